from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from datasites.approval.vault import Vault
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest, describe_files, sign_manifest
from datasites.wire.outputs import OutputContract
from policies.errors import Refused

FILES = {"study.py": b"def fit(): ...\n", "parts/net.py": b"LAYERS = 3\n"}

# dies at its n-th rename: each file is renamed into the draft, then the draft into its place
KILLED = """
import os, sys
from pathlib import Path
from datasites.approval.vault import Vault
from datasites.wire.manifest import Manifest
real, count = (os.replace, os.rename), [int(sys.argv[4])]
def dying(step):
    def rename(*names):
        count[0] -= 1
        if count[0] == 0:
            os.kill(os.getpid(), 9)
        step(*names)
    return rename
os.replace, os.rename = map(dying, real)
manifest = Manifest.model_validate_json(Path(sys.argv[2]).read_bytes())
files = {"study.py": b"def fit(): ...\\n", "parts/net.py": b"LAYERS = 3\\n"}
Vault(Path(sys.argv[1])).keep(manifest, sys.argv[3], files)
"""


@pytest.fixture
def ada(tmp_path: Path) -> Identity:
    return Identity.create("ada@uni.org", tmp_path / "identity.json")


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        name="demo",
        purpose="Test",
        researcher="ada@uni.org",
        dataset="stays",
        dictionary="0" * 64,
        columns=("days",),
        files=describe_files(FILES),
        config={},
        rounds=1,
        seconds_per_round=10,
        outputs=OutputContract(parameters={}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={}),
    )


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "approved")


def test_what_was_kept_is_what_runs(vault: Vault, manifest: Manifest, ada: Identity) -> None:
    for _ in range(2):  # keeping it again is harmless
        vault.keep(manifest, sign_manifest(manifest, ada), FILES)
    code = vault.code(manifest.digest)
    assert {p.relative_to(code).as_posix(): p.read_bytes() for p in code.rglob("*") if p.is_file()} == FILES
    assert vault.manifest(manifest.digest, ada.public) == manifest
    assert [p.name for p in vault.folder.iterdir()] == [manifest.digest]


def test_other_bytes_than_the_manifests_are_not_kept(vault: Vault, manifest: Manifest, ada: Identity) -> None:
    for files in ({**FILES, "study.py": b"evil"}, {**FILES, "more.py": b""}, {"study.py": FILES["study.py"]}):
        with pytest.raises(Refused, match="files have changed"):
            vault.keep(manifest, sign_manifest(manifest, ada), files)
    assert list(vault.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "data"),
    [("code/study.py", b"evil"), ("code/parts/net.py", None), ("code/sitecustomize.py", b""), ("manifest.json", b"{}")],
)
def test_a_change_on_disk_is_refused(
    vault: Vault, manifest: Manifest, ada: Identity, path: str, data: bytes | None
) -> None:
    vault.keep(manifest, sign_manifest(manifest, ada), FILES)
    target = vault.folder / manifest.digest / path
    target.unlink() if data is None else target.write_bytes(data)
    with pytest.raises(Refused, match=r"was changed on this disk|is missing or damaged"):
        vault.code(manifest.digest)


def test_another_studys_manifest_or_signature_is_refused(vault: Vault, manifest: Manifest, ada: Identity) -> None:
    other = manifest.model_copy(update={"rounds": 99})
    vault.keep(manifest, sign_manifest(manifest, ada), FILES)
    (vault.folder / manifest.digest / "manifest.json").write_bytes(other.canonical())
    with pytest.raises(Refused, match="was changed on this disk"):
        vault.code(manifest.digest)
    with pytest.raises(Refused, match="missing or damaged"):
        vault.manifest(manifest.digest, ada.public)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_process_killed_while_keeping_leaves_all_or_nothing(
    vault: Vault, manifest: Manifest, ada: Identity, tmp_path: Path, step: int
) -> None:
    (tmp_path / "manifest").write_bytes(manifest.canonical())
    argv = [sys.executable, "-c", KILLED, vault.folder, tmp_path / "manifest", sign_manifest(manifest, ada), str(step)]
    assert subprocess.run(argv, check=False, timeout=60).returncode == -signal.SIGKILL
    with pytest.raises(Refused):
        vault.code(manifest.digest)
    vault.keep(manifest, sign_manifest(manifest, ada), FILES)
    assert vault.code(manifest.digest).is_dir()
