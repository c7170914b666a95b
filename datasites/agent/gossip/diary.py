"""Where a hospital stands in training without a centre, in files that are written whole: what `kill -9` must not undo.

Each round begins with a file of its model. The file of what it trained is written before the round's answer is
recorded, and is the hospital's word for this round only once that is: a round without a recorded answer is run again,
one with an answer never, so no two models of one round are ever sent.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datasites.wire import keys
from datasites.wire.arrays import Arrays, pack, unpack
from datasites.wire.contract import array_problems
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.gossip.messages import Order
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import ArraySpec
from policies.errors import InvalidInput, Refused

_BEGUN, _TRAINED = "begun.safetensors", "trained.safetensors"


@dataclass(frozen=True)
class Begun:
    """A round and the model that it begins with. heard: whose models are in it, besides the hospital's own.

    after: the rounds that it has been through; less than number - 1 where the study was stopped.
    at: when, by this machine's clock. before: the same of the round before; 0 where there was none,
    or the hospital had left the others.
    """

    number: int
    model: Arrays
    after: int = 0
    heard: tuple[str, ...] = ()
    at: float = 0.0
    before: float = 0.0


class Diary:
    """Of one study, in `folder`, a private one of this study's alone. Reading raises Refused for what was changed."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder / "gossip"
        self._study = manifest.digest
        self._specs = manifest.outputs.parameters
        self._begun: Begun | None = None

    # the researcher's orders

    def order(self, order: str) -> Order | None:
        path = self._folder / f"{order}.json"
        return Order.model_validate_json(path.read_bytes()) if path.exists() else None

    def obey(self, order: Order, model: Arrays) -> None:
        """Keeps an order. Where it is the start, and not of one who joins, the first round begins with its model."""
        private_folder(self._folder)
        if order.order == "start" and not order.joins:
            self.begin(Begun(1, model))
        write_atomically(self._folder / f"{order.order}.json", order.model_dump_json().encode())

    # rounds

    def begun(self) -> Begun | None:
        """The newest round."""
        if self._begun is None and (numbers := self._numbers()):
            number = numbers[-1]
            header, model = self._read(self._path(number, _BEGUN), number, self._specs)
            times = float(header["at"]), float(header["before"])
            self._begun = Begun(number, model, int(header["after"]), tuple(header["heard"]), *times)
        return self._begun

    def begin(self, begun: Begun) -> None:
        """Moves on; what the rounds before had left goes."""
        begun = replace(begun, at=time.time())
        told = {"after": begun.after, "heard": list(begun.heard), "at": begun.at, "before": begun.before}
        header = {**self._header(begun.number), **told}
        write_atomically(self._path(begun.number, _BEGUN), pack(header, begun.model))
        self._begun = begun
        for number in self._numbers():
            if number < begun.number:
                shutil.rmtree(self._round(number), ignore_errors=True)

    def keep_trained(self, number: int, model: Arrays) -> None:
        """What leaves for the neighbours, if this round's answer is recorded."""
        write_atomically(self._path(number, _TRAINED), pack(self._header(number), model))

    def trained(self, number: int) -> Arrays:
        return self._read(self._path(number, _TRAINED), number, self._specs)[1]

    def sealed(self, number: int, neighbour: str) -> Path:
        """Where the message of this round to a neighbour lies as it is sent."""
        return self._round(number) / keys.encode(neighbour)

    # what neighbours were told of this hospital

    def presence(self) -> tuple[int, bool]:
        """(serial, present); (0, False) before the first word."""
        path = self._folder / "presence.json"
        if not path.exists():
            return 0, False
        said = json.loads(path.read_bytes())
        return int(said["serial"]), bool(said["present"])

    def say(self, present: bool) -> int:
        """The serial with which it is to be told."""
        serial, before = self.presence()
        if not serial or before != present:
            serial += 1
            private_folder(self._folder)
            write_atomically(
                self._folder / "presence.json", json.dumps({"serial": serial, "present": present}).encode()
            )
        return serial

    def _numbers(self) -> list[int]:
        found = self._folder.iterdir() if self._folder.exists() else ()
        return sorted(int(p.name) for p in found if re.fullmatch(r"\d{6}", p.name) and (p / _BEGUN).exists())

    def _round(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    def _path(self, number: int, name: str) -> Path:
        return self._round(number) / name

    def _header(self, number: int) -> dict[str, str | int]:
        return {"study": self._study, "round": number}

    def _read(self, path: Path, number: int, specs: dict[str, ArraySpec]) -> tuple[dict[str, Any], Arrays]:
        try:
            data = path.read_bytes()
            header, model = unpack(data, len(data))
        except (OSError, InvalidInput):
            raise Refused(f"What round {number} without a centre has left here is gone or changed.") from None
        named = {name: header.get(name) for name in ("study", "round")}
        if named != self._header(number) or array_problems(model, specs):
            raise Refused(f"What lies here of round {number} without a centre is not what the study keeps.")
        return header, model
