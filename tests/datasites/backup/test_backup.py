from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites.backup import put_back as put_back_module
from datasites.backup import save as save_module
from datasites.backup.put_back import put_back
from datasites.backup.stream import Writer
from datasites.datasite import Datasite
from policies.errors import InvalidInput, Refused
from tests.datasites.backup.conftest import PASSPHRASE, STUDY, Ward

Opened = Callable[[Path], Datasite]


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_datasite_comes_back_as_it_was(ward: Ward, opened: Opened) -> None:
    site, home = ward.site, ward.root / "new"
    file = ward.backup()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    about = put_back(file, home, PASSPHRASE)
    back = opened(home)
    assert back.fingerprint == site.fingerprint
    assert back.settings == site.settings
    assert about.entries == back.state.audit.size == site.state.audit.size
    assert back.state.audit.entries() == site.state.audit.entries()
    assert back.state.decisions() == site.state.decisions()
    assert back.policy("stays") == site.policy("stays")
    assert back.home.pseudonym_secret() == site.home.pseudonym_secret()
    for path in home.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_patients_data_is_in_it_only_if_asked_for(ward: Ward, opened: Opened) -> None:
    put_back(ward.backup("plain"), ward.root / "plain-home", PASSPHRASE)
    there = files(ward.root / "plain-home")
    assert not [name for name in there if name.startswith(("studies", "held", "tables"))]
    put_back(ward.backup("whole", private=True), ward.root / "whole-home", PASSPHRASE)
    assert (ward.root / "whole-home" / "studies" / STUDY / "study.log").read_text() == "a row of a patient"
    (ward.root / "elsewhere" / "stays.csv").unlink()
    from datasites.catalog.registry import Registry

    assert len(Registry(opened(ward.root / "whole-home").home.datasets).read("stays")) == 40


def test_a_table_that_was_moved_away_is_not_left_out_silently(ward: Ward) -> None:
    (ward.root / "elsewhere" / "stays.csv").unlink()
    ward.backup("plain")
    with pytest.raises(InvalidInput, match="The table stays is not where it was"):
        ward.backup("whole", private=True)
    with pytest.raises(InvalidInput, match="cannot be written"):
        ward.backup("nowhere/file")


def test_nothing_in_the_file_can_be_read(ward: Ward) -> None:
    data = ward.backup(private=True).read_bytes()
    first, _, rest = data.partition(b"\n")
    assert b"do@north.org" in first
    for secret in (b"patient_id", b"a row of a patient", b"keys_jwk", b"SQLite format", b"do@north.org"):
        assert secret not in rest


def test_nothing_is_put_over_a_datasite(ward: Ward) -> None:
    file = ward.backup()
    with pytest.raises(Refused, match="not empty"):
        put_back(file, ward.site.home.path, PASSPHRASE)
    with pytest.raises(InvalidInput, match="inside the home"):
        ward.site.backup(ward.site.home.path / "x", PASSPHRASE)
    with pytest.raises(InvalidInput, match="does not open"):
        put_back(file, ward.root / "new", b"a wrong passphrase")
    assert not (ward.root / "new").exists()
    assert not list(ward.root.glob(".new*"))


def killed(work: Callable[[], object]) -> int:
    """How a process of its own ended that did the work."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Dies:
    """Does as the function does, and kills its process at a call."""

    def __init__(self, real: Callable[..., object], at: int) -> None:
        self._real, self._left = real, at

    def __call__(self, *args: object, **options: object) -> object:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), 9)
        return self._real(*args, **options)


@pytest.mark.parametrize(("name", "at"), [("_add", 0), ("_add", 4), ("sync_folder", 0)])
def test_kill_9_leaves_the_old_backup_or_the_new_one(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, name: str, at: int
) -> None:
    old = ward.backup().read_bytes()
    ward.happen()
    ward.site.state.close()
    home, root = ward.site.home.path, ward.root

    def work() -> None:
        setattr(save_module, name, Dies(getattr(save_module, name), at))
        with Datasite.opened(home) as site:
            site.backup(root / "ward.backup", PASSPHRASE)

    assert killed(work) == -9
    ward.site = Datasite(home)
    whole = (root / "ward.backup").read_bytes()
    assert (whole == old) is (name == "_add")
    put_back(root / "ward.backup", root / "new", PASSPHRASE)
    ward.backup()  # and the next one clears up what was left
    assert {path.name for path in root.glob("*backup*")} == {"ward.backup"}
    assert not list(root.glob(".ward*"))
    assert not list(home.glob("backup.draft*"))


@pytest.mark.parametrize(("name", "at"), [("_write", 1), ("_write", 5), ("_checked", 0), ("sync_folder", 0)])
def test_kill_9_leaves_no_datasite_or_a_whole_one(ward: Ward, opened: Opened, name: str, at: int) -> None:
    file, home = ward.backup(), ward.root / "new"

    def work() -> None:
        setattr(put_back_module, name, Dies(getattr(put_back_module, name), at))
        put_back(file, home, PASSPHRASE)

    assert killed(work) == -9
    assert home.exists() is (name == "sync_folder")
    if not home.exists():
        put_back(file, home, PASSPHRASE)
    assert opened(home).home.restored.exists()
    assert not list(ward.root.glob(".new*"))


def hostile(target: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with target.open("wb") as stream:
        writer = Writer(stream, PASSPHRASE, {"kind": save_module.KIND})
        with tarfile.open(fileobj=writer, mode="w|") as archive:  # type: ignore[call-overload]
            for member, content in members:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        writer.close()
    return target


_NAMES = ["../x", "/etc/x", "policies/../../x", ".ssh/x", "unknown", "studies", "policies/.x", "tables//x", "syftbox/x"]


def test_a_file_of_whoever_knows_the_passphrase_writes_nowhere_else(tmp_path: Path) -> None:
    said = {"email": "do@north.org", "fingerprint": "", "at": "", "layout": 1, "entries": 1, "root": "0" * 64}
    about = (tarfile.TarInfo(save_module.ABOUT), json.dumps({**said, "private": False}).encode())
    link = tarfile.TarInfo("policies/x")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for member in (*map(tarfile.TarInfo, _NAMES), link):
        with pytest.raises(InvalidInput, match=r"no part of a datasite|what is no file"):
            put_back(hostile(tmp_path / "bad", about, (member, b"")), tmp_path / "home", PASSPHRASE)
    newer = (tarfile.TarInfo(save_module.ABOUT), json.dumps({**said, "layout": 99, "private": False}).encode())
    with pytest.raises(InvalidInput, match="A newer release of Wardround made this backup"):
        put_back(hostile(tmp_path / "bad", newer), tmp_path / "home", PASSPHRASE)
    assert {path.name for path in tmp_path.iterdir()} == {"bad"}
