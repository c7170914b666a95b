from __future__ import annotations

from pathlib import Path

from datasites.wire.manifest import MANIFEST_FILE, Manifest, RehearsalReport
from researcher.submission import as_first_rehearsed
from tests.support.submissions import manifest


def rehearsed(sandbox: str, **changes: object) -> Manifest:
    return manifest(rehearsal=RehearsalReport(sandbox=sandbox, twins=()).model_dump(), **changes)


def kept(studies: Path, study: Manifest) -> Manifest:
    (studies / study.digest).mkdir(parents=True)
    (studies / study.digest / MANIFEST_FILE).write_bytes(study.canonical())
    return study


def test_a_repetition_takes_over_the_first_rehearsals_report(tmp_path: Path) -> None:
    """Another rehearsal takes other seconds; the work would no longer be the same to the last byte."""
    first = kept(tmp_path, rehearsed("bubblewrap"))
    kept(tmp_path, rehearsed("bubblewrap", rounds=2))
    again = as_first_rehearsed(tmp_path, rehearsed("Landlock", repetition=2))
    assert (again.repetition, again.first) == (2, first.digest)


def test_other_work_keeps_its_own_report(tmp_path: Path) -> None:
    kept(tmp_path, rehearsed("bubblewrap"))
    for study in (rehearsed("Landlock"), rehearsed("Landlock", repetition=2, rounds=2)):
        assert as_first_rehearsed(tmp_path, study) == study
