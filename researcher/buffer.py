"""What asynchronous training must not lose beside the journal's checkpoint: the messages that are out, the states they
were sent with, and the updates that are buffered.

Every step of it is one file, written whole before anything of the step is posted; then the journal closes the step. A
study that was stopped in between finds the step here, closes it, and posts the same messages again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from datasites.wire.arrays import Arrays, pack, packed, unpack
from datasites.wire.files import write_atomically
from datasites.wire.spool import mapped
from policies.errors import InvalidInput
from researcher.journal import Checkpoint, Journal
from researcher.strategies.layout import is_weight

_STEP = "asynchronous.safetensors"


@dataclass(frozen=True)
class Sent:
    """A message that is out: its number, the version of the state in it, and whether it asks for an evaluation."""

    number: int
    version: int
    evaluate: bool


@dataclass(frozen=True)
class Step:
    """After message `messages`. `sums` (float64) are those of `count` buffered updates, of total weight `weight`."""

    messages: int
    version: int
    out: dict[str, Sent] = field(default_factory=dict)
    count: int = 0
    weight: float = 0.0
    sums: Arrays = field(default_factory=dict)

    def with_update(self, delta: Arrays, examples: int, discount: float) -> Step:
        """With one more update in the buffer."""
        weighted = {name: array * (examples * discount) for name, array in delta.items()}
        sums = {name: self.sums[name] + array for name, array in weighted.items()} if self.sums else weighted
        return Step(self.messages, self.version, self.out, self.count + 1, self.weight + examples, sums)

    def applied(self, state: Arrays, learning_rate: float) -> Arrays:
        """The state moved by the buffered updates' mean; buffers at most as far as to the mean; whole numbers are
        rounded."""
        rates = {
            name: learning_rate if is_weight(name, array) else min(learning_rate, 1) for name, array in state.items()
        }
        moved = {name: array + rates[name] * self.sums[name] / self.weight for name, array in state.items()}
        return {
            name: np.asarray(array if state[name].dtype.kind == "f" else np.rint(array)).astype(state[name].dtype)
            for name, array in moved.items()
        }


def difference(trained: Arrays, base: Arrays, newest: Arrays) -> Arrays:
    """What an update moves the newest state by, in float64: weights by the step from the state it was trained from, and
    buffers towards their trained values. BatchNorm's variances would become negative by steps from a stale state.
    """
    starts = {name: (base if is_weight(name, array) else newest)[name] for name, array in trained.items()}
    return {name: np.subtract(array, starts[name], dtype=np.float64) for name, array in trained.items()}


class StepJournal:
    """The newest step, in the folder of the study's journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._folder = journal.folder

    def begin(self) -> Step:
        """Where the study stands. What was interrupted is closed; after rounds of another kind the buffer is empty."""
        checkpoint = self._journal.checkpoint()
        step, records = self._read()
        if step and step.messages == checkpoint.messages + 1:
            self._close(step, records)
        elif step is None or step.messages != checkpoint.messages:
            step = Step(checkpoint.messages, checkpoint.round)
            self._write_state(step.version, checkpoint.parameters)
        return step

    def state(self, version: int) -> Arrays:
        """Of a version that a message is out with, or of the newest."""
        return self._unpacked(self._path(version))[1]

    def take(self, step: Step, records: list[dict[str, Any]], state: Arrays | None = None) -> None:
        """Records a step and what its answer brought; `state` is that of a new version."""
        if state is not None:
            self._write_state(step.version, state)
        header = {
            "messages": step.messages,
            "version": step.version,
            "out": {hospital: asdict(sent) for hospital, sent in step.out.items()},
            "count": step.count,
            "weight": step.weight,
            "records": records,
        }
        write_atomically(self._folder / _STEP, pack(header, step.sums))
        self._close(step, records)

    def _close(self, step: Step, records: list[dict[str, Any]]) -> None:
        checkpoint = Checkpoint(step.version, step.messages, False, self.state(step.version))
        self._journal.close_round(checkpoint, records)
        needed = {self._path(version) for version in {step.version, *(sent.version for sent in step.out.values())}}
        for path in set(self._folder.glob("version-*.safetensors")) - needed:
            path.unlink()

    def _read(self) -> tuple[Step | None, list[dict[str, Any]]]:
        path = self._folder / _STEP
        if not path.exists():
            return None, []
        header, sums = self._unpacked(path)
        records = header.pop("records")
        out = {hospital: Sent(**sent) for hospital, sent in header.pop("out").items()}
        return Step(**header, out=out, sums=sums), records

    def _write_state(self, version: int, state: Arrays) -> None:
        write_atomically(self._path(version), packed({"version": version}, state))

    def _unpacked(self, path: Path) -> tuple[dict[str, Any], Arrays]:
        try:
            blob = mapped(path)
            return unpack(blob, len(blob))
        except (OSError, InvalidInput):
            raise InvalidInput(f"{path} is missing or damaged.", "Restore it, or go on with Rounds.") from None

    def _path(self, version: int) -> Path:
        return self._folder / f"version-{version:06d}.safetensors"
