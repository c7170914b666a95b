"""Other code than what was approved, by other ways into the study."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import researcher as wr
from datasites.audit.entry import Kind
from datasites.wire.manifest import Manifest, describe_files, sign_manifest
from datasites.wire.reasons import Reason
from policies.errors import Refused
from tests.attacks.system.line import Line
from tests.attacks.system.ward import HONEST, Ward

EVIL = "raise SystemExit('swapped')\n"
MALLORY = "mallory@evil.org"


@pytest.fixture(scope="module")
def _started(_ward_of_module: Ward) -> Line:
    return _ward_of_module.line(_ward_of_module.approved(_ward_of_module.ada, HONEST))


@pytest.fixture
def started(ward: Ward, _started: Line, tmp_path: Path) -> Iterator[Line]:
    """An approved study of Ada's whose worker is warm, and whose approved copy is put right again afterwards."""
    assert _started.ask().reason is None
    code = vault(ward, _started)
    shutil.copytree(code.parent, tmp_path / "kept")
    yield _started
    for path in code.iterdir():  # the folder itself is what the worker's sandbox holds
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(tmp_path / "kept", code.parent, dirs_exist_ok=True)


def vault(ward: Ward, line: Line) -> Path:
    return ward.north.home.approved / line.study.digest / "code"


def test_swaps_code_in_the_synced_tree_after_the_approval(ward: Ward, started: Line) -> None:
    with ward.attack(Kind.RELEASED, charged=(1, 0), study=started.study.digest):
        copies = [p for p in ward.north.home.syftbox.rglob("study.py") if started.study.manifest.job_name in p.parts]
        assert copies
        for copy in copies:
            copy.write_text(EVIL)
        assert started.ask().reason is None


@pytest.mark.parametrize(
    "path",
    ["study.py", "study/__init__.py", "sitecustomize.py", "numpy.py", "evil.pth", "__pycache__/study.cpython-311.pyc"],
)
def test_puts_into_the_vault_while_the_study_runs(ward: Ward, started: Line, path: str) -> None:
    """Somebody at the disk: each call imports the code anew, so it is compared before each."""
    with ward.attack(Kind.RUN_FAILED, study=started.study.digest, reason="hospital"):
        target = vault(ward, started) / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(EVIL)
        assert started.ask().reason is Reason.HOSPITAL
        assert "swapped" not in ward.north.study_log(started.study)
        assert "was changed on this disk" in ward.north.log.read_text()


def test_puts_a_link_in_the_place_of_approved_code(ward: Ward, started: Line, tmp_path: Path) -> None:
    with ward.attack(Kind.RUN_FAILED, study=started.study.digest, reason="hospital"):
        (tmp_path / "evil.py").write_text(EVIL)
        shutil.move(vault(ward, started) / "study.py", tmp_path / "study.py")
        os.symlink(tmp_path / "evil.py", vault(ward, started) / "study.py")
        assert started.ask().reason is Reason.HOSPITAL


def test_changes_the_approved_manifest_on_the_disk(ward: Ward, started: Line) -> None:
    with ward.attack(Kind.RUN_FAILED, study=started.study.digest, reason="hospital"):
        manifest = vault(ward, started).parent / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"rounds":10000', '"rounds":99999'))
        assert started.ask().reason is Reason.HOSPITAL


# what a manifest cannot say, and a job cannot hold


def signed(ward: Ward, files: dict[str, str], **changed: object) -> tuple[str, dict[str, str]]:
    """A job of Mallory's with a manifest that names `files` but says what else it likes."""
    base = ward.hostile.study.manifest
    named = describe_files({path: text.encode() for path, text in files.items()})
    name = f"odd-{uuid.uuid4().hex[:8]}"
    manifest = Manifest.model_construct(**{**dict(base), "name": name, "files": named, **changed})
    signature = sign_manifest(manifest, ward.mallory.identity)
    return manifest.job_name, {"manifest.json": manifest.canonical().decode(), "manifest.sig": signature}


STUDY = {"study.py": EVIL}
NAMES = {
    "names a file that is not there": ({"study.py": EVIL, "helper.py": "x = 1\n"}, STUDY),
    "holds a file that it does not name": (STUDY, {"study.py": EVIL, "numpy.py": EVIL}),
    "has other bytes than it names": (STUDY, {"study.py": EVIL + "# more\n"}),
    "names two files that differ in case": ({**STUDY, "Study.py": EVIL}, {**STUDY, "Study.py": EVIL}),
    "names no study py": ({"main.py": EVIL}, {"main.py": EVIL, "study.py": EVIL}),
    "names a hidden file": ({**STUDY, ".pth": EVIL}, {**STUDY, ".pth": EVIL}),
    "names itself": ({**STUDY, "manifest.json": "{}"}, STUDY),
}


@pytest.mark.parametrize("what", NAMES, ids=[name.replace(" ", "-") for name in NAMES])
def test_sends_a_manifest_that(ward: Ward, what: str) -> None:
    named, sent = NAMES[what]
    # a path that no honest study has is not even taken in
    with ward.attack(Kind.MESSAGE_QUARANTINED if what == "names a hidden file" else Kind.STUDY_REFUSED, peer=MALLORY):
        name, papers = signed(ward, named)
        ward.propose_job(ward.mallory, name, {**sent, **papers})


@pytest.mark.parametrize(
    "changed",
    [{"researcher": "ada@uni.org"}, {"dataset": "../stays"}, {"columns": ("days", "days")}, {"rounds": -1}],
    ids=["another-researcher", "another-path-for-a-table", "a-column-twice", "a-negative-number-of-rounds"],
)
def test_sends_a_manifest_with(ward: Ward, changed: dict[str, object]) -> None:
    with ward.attack(Kind.STUDY_REFUSED, peer=MALLORY):
        name, papers = signed(ward, STUDY, **changed)
        ward.propose_job(ward.mallory, name, {**STUDY, **papers})


def test_sends_a_job_without_a_manifest(ward: Ward) -> None:
    with ward.attack(Kind.STUDY_REFUSED, peer=MALLORY):
        ward.propose_job(ward.mallory, "bare", STUDY)


def test_sends_compiled_code_with_the_source(ward: Ward) -> None:
    """Python would run it in place of the file that the data owner has read."""
    with ward.attack(Kind.MESSAGE_QUARANTINED, peer=MALLORY, aside="NUL or carriage-return"):
        pyc = "\xcb\r\r\n\0\0\0\0".encode("latin-1").decode("latin-1")
        ward.propose_job(ward.mallory, "compiled", {**STUDY, "__pycache__/study.cpython-311.pyc": pyc})


# files with names that Python looks for


SHADOWS = [
    "study/__init__.py",
    "sitecustomize.py",
    "usercustomize.py",
    "conftest.py",
    "torch/__init__.py",
    "datasites/__init__.py",
    "pandas.py",
    "json.py",
]


@pytest.fixture(scope="module")
def shadowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that is all right, beside files that would spoil every round if anything ran them."""
    code = tmp_path_factory.mktemp("shadowed")
    shutil.copytree(HONEST, code, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SHADOWS:
        (code / name).parent.mkdir(exist_ok=True)
        (code / name).write_text(EVIL)
    return code


def test_sends_a_path_file_that_python_runs_at_its_start(
    ward: Ward, shadowed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Python executes lines of a `.pth` file in site-packages: no policy can allow one, so it is never approved."""
    code = tmp_path_factory.mktemp("path-file")
    shutil.copytree(shadowed, code, dirs_exist_ok=True)
    (code / "evil.pth").write_text(EVIL)
    with ward.attack(Kind.STUDY_RECEIVED, researcher=MALLORY):
        study = ward.submit(ward.mallory, code)
        ward.north.wait_for_submission(study)
        with pytest.raises(Refused, match=r"evil\.pth"):
            ward.north.datasite.approve(study.manifest.job_name)


def test_sends_files_that_python_might_run_unasked(ward: Ward, shadowed: Path) -> None:
    study: wr.Submission = ward.approved(ward.mallory, shadowed)
    line = ward.line(study)
    with ward.attack(Kind.RELEASED, charged=(1, 0), study=study.digest):
        assert line.ask().reason is None
        assert "swapped" not in ward.north.study_log(study)


def test_sends_a_script_to_run(ward: Ward) -> None:
    """`run.sh` comes with every job, as Syft would have it; nobody ever executes it."""
    marker = ward.world.root / "executed"
    with ward.attack(Kind.STUDY_REFUSED, peer=MALLORY):
        ward.propose_job(ward.mallory, "script", {**STUDY, "run.sh": f"touch {marker}\n"})
    assert not marker.exists()
