"""What a study keeps at the hospital from one of its rounds to the next: arrays of its code's, and what compression has
left out of its updates.

Each round's arrays lie in a file of that round's own (0600), written whole before the round's answer is recorded; the
record of the answer holds the file's digest. So whatever was killed when: a round that is run again is given what the
last *answered* round left, and a file that no answer speaks of is nobody's. The file of the round before goes once the
answer is recorded.

When a study has ended the arrays are removed, and it does not go on without them: a method that counts on what it kept
(SCAFFOLD's control variates) would go wrong without a word.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from datasites.state import AnsweredRound, State
from datasites.wire.arrays import Arrays, pack, unpack
from datasites.wire.canonical import sha256
from datasites.wire.contract import array_problems
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.manifest import Manifest
from policies.errors import InvalidInput, Refused

log = logging.getLogger(__name__)


class Kept:
    """The kept arrays of one study, in `folder`, a private one of this study's alone."""

    def __init__(self, folder: Path, state: State, manifest: Manifest) -> None:
        self._folder = folder / "kept"
        self._state = state
        self.study = manifest.digest
        self._manifest = manifest
        self._specs = manifest.outputs.stays

    def load(self) -> Arrays:
        """What the last answered round left; empty before the first. Raises Refused where it was removed or is not,
        to the byte, what that round left."""
        row = self._state.kept(self.study) if self._specs else None
        if row is None:
            return {}
        if row.digest is None:
            raise Refused("What the study kept was removed when it ended.", "It can be asked for as a repetition.")
        try:
            data = self._file(row.number).read_bytes()
            if sha256(data) != row.digest:
                raise InvalidInput("It has other bytes.")
            header, arrays = unpack(data, len(data))
        except (OSError, InvalidInput):
            raise Refused(f"What round {row.number} left for the next one is gone or changed.") from None
        if header != self._header(row.number) or array_problems(arrays, self._specs):
            raise Refused(f"What round {row.number} left is not what the study keeps.")
        return arrays

    def commit(self, answer: AnsweredRound, left: Arrays) -> None:
        """Records a round's answer and, in the same transaction, what it left for the next round, if anything."""
        self._state.record_answer(self.study, answer, self._write(answer.number, left))
        self.tidy()

    def _write(self, number: int, arrays: Arrays) -> str | None:
        """The digest that the answer's record must hold."""
        if not arrays:
            return None
        private_folder(self._folder)
        data = pack(self._header(number), arrays)
        write_atomically(self._file(number), data)
        return sha256(data)

    def tidy(self) -> None:
        """Removes what no later round will ask for; once no round can follow, all. An agent that starts does so too, as
        the one before it may have been killed before it did."""
        if not self._specs:
            return
        trained, evaluated = self._state.used(self.study)
        if trained >= self._manifest.rounds and evaluated > self._manifest.rounds:
            return self.end()
        row = self._state.kept(self.study)
        current = self._file(row.number).name if row else ""
        for path in self._folder.iterdir() if row and self._folder.exists() else ():
            if path.name != current:
                path.unlink(missing_ok=True)

    def end(self) -> None:
        """Removes it for good, because the study has ended. May be called again."""
        if not self._specs:
            return
        row = self._state.kept(self.study)
        # not asked: whether anything was kept. With gate noise that is nobody's business
        if self._state.used(self.study)[0] and (row is None or row.digest is not None):
            self._state.end_kept(self.study)  # first, so that a crash leaves no study that starts anew with nothing
            log.info("study %s has ended: what it kept here is removed", self.study[:12])
        shutil.rmtree(self._folder, ignore_errors=True)

    def _header(self, number: int) -> dict[str, str | int]:
        return {"study": self.study, "round": number}

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.safetensors"
