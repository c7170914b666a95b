"""What a researcher must not lose between rounds: the global state with its strategy's memory, and the history.

A round's file is written whole before the next round's message is posted, so a study that was stopped anywhere goes on
from its last closed round, and posts the same next message again.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasites.wire.arrays import Arrays, pack, packed, unpack
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.spool import Spool, mapped
from policies.errors import InvalidInput

_STATE, _SUM = "state.safetensors", "sum.safetensors"
# FedAdam remembers two float64 for each number of the model, which may be a float16
MOST_BYTES = 9 * ROUND_BYTES
_MEMORY = "strategy:"  # before the names of a strategy's arrays, which lie in one file with the model's


@dataclass(frozen=True)
class Checkpoint:
    """`round` rounds have been trained, with `messages` messages; `evaluated` says whether this state has been.

    `strategy` is the identity of the strategy that trained them (None before the first), `memory` what it remembers.
    """

    round: int
    messages: int
    evaluated: bool
    parameters: Arrays
    strategy: dict[str, Any] | None = None
    memory: Arrays = field(default_factory=dict)


class Journal:
    """A folder of one study on the researcher's machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = private_folder(folder)

    def start(self, initial: Arrays) -> None:
        """Writes the initial state, unless the study has begun already."""
        if taken := [name for name in initial if name.startswith(_MEMORY)]:
            raise InvalidInput(f"The model has an array {taken[0]!r}.", f"Names may not begin with {_MEMORY!r}.")
        if not (self.folder / _STATE).exists():
            self.move(Checkpoint(0, 0, False, initial))

    @property
    def spool(self) -> Spool:
        """Where large messages of the study lie while it works on them."""
        return Spool(self.folder)

    def checkpoint(self) -> Checkpoint:
        """The state. Large arrays lie in its file, and are read from there when they are looked at."""
        try:
            header, arrays = unpack(mapped(self.folder / _STATE), MOST_BYTES)
            memory = {n.removeprefix(_MEMORY): arrays.pop(n) for n in list(arrays) if n.startswith(_MEMORY)}
            numbers = int(header["round"]), int(header["messages"]), bool(header["evaluated"])
            return Checkpoint(*numbers, arrays, header.get("strategy"), memory)
        except (OSError, KeyError, InvalidInput):
            raise InvalidInput(f"The study's state in {self.folder} is missing or damaged.", "Restore it.") from None

    def close_round(self, checkpoint: Checkpoint, records: list[dict[str, Any]]) -> None:
        """Records what a message brought, then moves on to the new state."""
        self.note(checkpoint.messages, records)
        self.move(checkpoint)

    def note(self, message: int, records: list[dict[str, Any]]) -> None:
        """Records what a message has brought so far."""
        write_atomically(self.folder / f"history-{message:06d}.json", json.dumps(records, indent=1).encode())

    def noted(self, message: int) -> list[dict[str, Any]]:
        """What `note` has recorded of a message."""
        path = self.folder / f"history-{message:06d}.json"
        return list(json.loads(path.read_bytes())) if path.exists() else []

    def move(self, checkpoint: Checkpoint) -> None:
        """Makes this the state of the study."""
        header = {
            "round": checkpoint.round,
            "messages": checkpoint.messages,
            "evaluated": checkpoint.evaluated,
            "strategy": checkpoint.strategy,
        }
        memory = {_MEMORY + name: array for name, array in checkpoint.memory.items()}
        write_atomically(self.folder / _STATE, packed(header, {**checkpoint.parameters, **memory}))

    def history(self) -> list[dict[str, Any]]:
        """One record for each hospital and message, in order."""
        closed = self.checkpoint().messages
        records: list[dict[str, Any]] = []
        for path in sorted(self.folder.glob("history-*.json")):
            if int(path.stem.rsplit("-", 1)[1]) <= closed:
                records += json.loads(path.read_bytes())
        return records

    def cross(self, number: int, records: list[dict[str, Any]]) -> None:
        """Records what message `number` brought of a model that is not the study's state."""
        write_atomically(self.folder / f"cross-{number:06d}.json", json.dumps(records, indent=1).encode())

    def crossed(self) -> list[dict[str, Any]]:
        """What `cross` has recorded, in order."""
        return [record for path in sorted(self.folder.glob("cross-*.json")) for record in json.loads(path.read_bytes())]

    def keep_sum(self, header: dict[str, Any], arrays: Arrays) -> None:
        """Keeps the one sum that a study of statistics asks for: it cannot be had again."""
        write_atomically(self.folder / _SUM, pack(header, arrays))

    def kept_sum(self) -> tuple[dict[str, Any], Arrays] | None:
        """What `keep_sum` has kept. Raises InvalidInput where it is damaged."""
        try:
            return unpack((self.folder / _SUM).read_bytes(), MOST_BYTES)
        except FileNotFoundError:
            return None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises InvalidInput when another notebook runs this study just now."""
        with (self.folder / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidInput("This study is running in another notebook or process.", "Stop it there.") from None
            yield
