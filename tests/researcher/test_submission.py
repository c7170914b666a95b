from __future__ import annotations

import uuid
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from datasites.wire import keys
from datasites.wire.manifest import MANIFEST_FILE, Manifest
from datasites.wire.parts import PART_BYTES
from datasites.wire.rehearsed import RehearsalReport
from datasites.wire.store import Store
from policies.errors import InvalidInput
from researcher.submission import Submission, as_first_rehearsed
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


HOSPITALS = ["do@north.org", "do@south.org"]


@pytest.fixture
def cut_off(tmp_path: Path) -> Submission:
    """A study whose messages, one of them in parts, still lie in two hospitals' boxes."""
    federation = SimpleNamespace(emails=HOSPITALS, store=Store(f"memory:///{uuid.uuid4().hex}"))
    study = Submission(federation, manifest(), tmp_path / "study")  # type: ignore[arg-type]
    study.journal.start({"w": np.zeros(1)})
    for hospital in HOSPITALS:
        federation.store.put(keys.round_down(study.digest, hospital, 1), b"a state")
    federation.store.put(keys.round_down(study.digest, HOSPITALS[0], 2), bytes(PART_BYTES + 1))
    return study


def test_a_sweep_takes_back_all_that_a_study_sent_and_nothing_else(cut_off: Submission) -> None:
    store, other = cut_off.federation.store, keys.round_down("b" * 64, HOSPITALS[0], 1)
    answer = keys.round_up(cut_off.digest, 1, HOSPITALS[0])
    for key in (other, answer):
        store.put(key, b"not this study's message")
    assert cut_off.sweep() == len(HOSPITALS) + 1 + 2  # messages, and the parts of the large one
    assert all(store.names(keys.rounds_down(cut_off.digest, hospital)) == [] for hospital in HOSPITALS)
    assert store.exists(other)
    assert store.exists(answer)
    assert cut_off.sweep() == 0


def test_a_study_that_runs_is_not_swept(cut_off: Submission) -> None:
    place = keys.round_down(cut_off.digest, HOSPITALS[0], 1)
    with cut_off.journal.alone(), pytest.raises(InvalidInput, match="running in another notebook"):
        cut_off.sweep()
    assert cut_off.federation.store.exists(place)
