"""A researcher's own program: it may put any bytes into the store, and reads what comes back."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import researcher as wr
from datasites.wire import keys
from datasites.wire.arrays import Arrays, pack
from datasites.wire.rounds import RoundReply, decode_reply, request_digest
from tests.support.federation import PATIENCE, Hospital, wait_for


class Line:
    """Between one researcher and one hospital, about one study."""

    def __init__(self, study: wr.Submission, hospital: Hospital, initial: Arrays) -> None:
        self.study, self.hospital, self.initial = study, hospital, initial
        self.federation = study.federation
        self.store = self.federation.store

    # what is sent

    def next(self) -> int:
        return self.hospital.datasite.state.last_round(self.study.digest) + 1

    def request(self, number: int, parameters: Arrays | None = None, **changed: Any) -> bytes:
        """A plaintext; `changed` are fields of its header that say something else."""
        header = {"kind": "round", "study": self.study.digest, "number": number, "hospital": self.hospital.email}
        header |= {"evaluate": False, "fit": True, **changed}
        return pack(header, self.initial if parameters is None else parameters)

    def sealed(self, plaintext: bytes) -> bytes:
        return self.federation.identity.seal(self.hospital.datasite.identity.public, plaintext)

    def box(self, number: int | str) -> str:
        name = f"{number:06d}" if isinstance(number, int) else number
        return f"{keys.rounds_down(self.study.digest, self.hospital.email)}/{name}"

    def put(self, number: int | str, data: bytes) -> bytes:
        """Bytes into the study's own box; returns them."""
        self.store.put(self.box(number), data)
        return data

    # what comes back

    def ask(self, parameters: Arrays | None = None, **changed: Any) -> RoundReply:
        """Posts the next round, and waits for its answer."""
        number = self.next()
        plaintext = self.request(number, parameters, **changed)
        self.put(number, self.sealed(plaintext))
        return self.answer(number, plaintext)

    def act(self, number_of_act: int) -> RoundReply:
        """A round in which the hostile study does what the number stands for."""
        return self.ask({"w": np.array([number_of_act, 0, 0, 0], np.int64)})

    def answer(self, number: int, plaintext: bytes) -> RoundReply:
        """The hospital's answer to exactly this message."""
        digest = request_digest(plaintext)

        def answered() -> RoundReply | None:
            reply = self.read(number)
            return reply if reply and reply.request == digest else None

        found = wait_for(answered, f"an answer to round {number}", PATIENCE)
        assert isinstance(found, RoundReply)
        return found

    def read(self, number: int) -> RoundReply | None:
        raw = self.store.get(keys.round_up(self.study.digest, number, self.hospital.email))
        if raw is None:
            return None
        return decode_reply(self.federation.identity.open(self.hospital.datasite.identity.public, raw))[0]

    def silence(self, number: int, seconds: float = 0.4) -> bool:
        """Whether no answer comes for a while."""
        time.sleep(seconds)
        return self.read(number) is None
