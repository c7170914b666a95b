"""What a study keeps between rounds, killed at every line: each round adds its number to the sum that the one before
left, so that what is lost, doubled or half-written shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasites.agent.kept import Kept
from datasites.state import AnsweredRound, State, now
from datasites.wire.outputs import ArraySpec
from policies.errors import Refused
from tests.crash.pieces import exactly_once, study_manifest
from tests.crash.section import DOUBLED, HALF, LOST, Problem, Section, said, say


def _sums(folder: Path) -> tuple[State, Kept]:
    contract = study_manifest()[0].outputs.model_copy(update={"kept": {"sum": ArraySpec(shape=(50,), dtype="int64")}})
    state = State(folder / "state.db")
    return state, Kept(folder / "study", state, study_manifest()[0].model_copy(update={"outputs": contract}))


def _leave(folder: Path) -> None:
    state, kept = _sums(folder)
    for number in range(state.last_round(kept.study) + 1, 5):
        left = {"sum": kept.load().get("sum", np.zeros(50, np.int64)) + number}
        row = AnsweredRound(number, "b" * 64, "released", True, False, b"x", now().isoformat(), 0.5)
        kept.commit(row, left)
        say(folder, str(number))
    kept.tidy()  # as an agent does that starts
    state.close()


def _left(folder: Path, final: bool) -> list[Problem]:
    state, kept = _sums(folder)
    last = state.last_round(kept.study)
    problems = exactly_once([1, 2, 3, 4], [a.number for a in state.answers(kept.study)], final, [])
    problems += [(LOST, f"round {n}") for n in said(folder) if int(n) > last]
    try:
        found = kept.load().get("sum", np.zeros(50, np.int64)).tolist()
    except Refused as why:
        found, problems = [], [*problems, (LOST, why.message)]
    if found and found != [last * (last + 1) // 2] * 50:
        problems.append((DOUBLED, f"after round {last} the sum is {found[0]}"))
    if final and len(list((folder / "study" / "kept").iterdir())) != 1:
        problems.append((HALF, "files of earlier rounds are left"))
    state.close()
    return problems


def _end(folder: Path) -> None:
    state, kept = _sums(folder)
    kept.end()
    say(folder, "ended")
    state.close()


def _ended(folder: Path, final: bool) -> list[Problem]:
    state, kept = _sums(folder)
    try:
        found = kept.load().get("sum", np.zeros(0)).tolist()
    except Refused:
        found = None
    state.close()
    gone = found is None and not (folder / "study" / "kept").exists()
    if (final or said(folder)) and not gone:
        return [(HALF, "what the study kept was not removed")]
    return [] if found in (None, [10] * 50) else [(LOST, "the study would begin anew with nothing")]


def _prepare_end(folder: Path) -> None:
    _leave(folder)
    (folder / "said").unlink()


def _nothing(folder: Path) -> None:
    """There is nothing to prepare."""


SECTIONS = (
    Section("a round's answer is recorded with what it leaves for the next", _nothing, _leave, _leave, _left),
    Section("what a study kept is removed", _prepare_end, _end, _end, _ended),
)
