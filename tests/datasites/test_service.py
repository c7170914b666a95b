from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from datasites.service import unit, unit_name
from datasites.settings import write_settings
from policies.errors import InvalidInput


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / 'a "strange" 100% $HOME'
    folder.mkdir()
    write_settings(folder, "do@north.org", "North", f"file://{tmp_path}/store")
    return folder


def sections(text: str) -> dict[str, list[str]]:
    """The unit's settings, by name."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_the_service_has_no_privilege_and_writes_in_its_home_only(home: Path, tmp_path: Path) -> None:
    said = sections(unit(home, "wardround"))
    assert said["User"] == ["wardround"]
    assert said["NoNewPrivileges"] == ["yes"]
    assert said["CapabilityBoundingSet"] == [""]
    assert said["ProtectSystem"] == ["strict"]
    written = said["ReadWritePaths"][0].replace("$$", "$").replace("%%", "%").replace('\\"', '"')
    assert written == f'"{home}" "{tmp_path}/store"'
    assert said["RestartPreventExitStatus"] == ["2 3"]


def test_what_would_keep_studies_from_being_confined_is_not_in_it(home: Path) -> None:
    said = sections(unit(home))
    assert not said.keys() & {"ProtectKernelTunables", "ProtectProc", "ProcSubset", "RestrictNamespaces"}
    allowed = " ".join(said["SystemCallFilter"]).split()
    assert {"@mount", "@system-service", "seccomp", "sethostname"} <= set(allowed)


def test_a_passphrase_is_handed_on_by_systemd(home: Path, tmp_path: Path) -> None:
    said = sections(unit(home, passphrase_file=tmp_path / "secret"))
    assert said["LoadCredential"] == [f"passphrase:{tmp_path}/secret"]
    assert said["Environment"] == ["WARDROUND_PASSPHRASE_FILE=%d/passphrase"]
    assert "LoadCredential" not in unit(home)


def test_names_that_would_break_the_unit_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no name of a user"):
        unit(home, "root\nExecStartPre=/bin/sh")
    broken = tmp_path / "a\nExecStartPre=rm"
    broken.mkdir()
    write_settings(broken, "do@north.org", "North", "memory:///x")
    with pytest.raises(InvalidInput, match="cannot stand in a unit file"):
        unit(broken)
    assert unit_name("do+x@north.org") == "wardround-do-x-north.org.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_it_and_finds_it_closed(home: Path, tmp_path: Path) -> None:
    file = tmp_path / unit_name("do@north.org")
    file.write_text(unit(home, "daemon", tmp_path / "secret"))
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60)
    assert file.name not in done.stderr, done.stderr
    argv = ["systemd-analyze", "security", "--no-pager", "--offline=true", str(file)]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    exposure = float(told.stdout.split("Overall exposure level for")[1].split(":")[1].split()[0])
    assert exposure <= 3.5, told.stdout  # without any hardening it is 9.6
