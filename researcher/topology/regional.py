"""A region's own aggregator: the one that the region's hospitals answer to, and all that the nation hears of them.

It is a participant with keys of its own, in a process of its own. To its hospitals it is the researcher: they approve
its study, and seal their updates for it alone, so neither the nation nor another region can open one. For the nation it
answers each message with the mean of its hospitals' updates and their number of examples, as one hospital would.

An answer is written down before it is posted, and a message that was answered is never worked on again, so it may be
killed at any line: the hospitals give their stored answers to the same message.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasites.wire import keys, quarantine
from datasites.wire.arrays import Arrays, pack, unpack
from datasites.wire.contract import array_problems
from datasites.wire.files import write_atomically
from datasites.wire.identity import Identity, PublicIdentity, check_email
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.pace import Pace
from datasites.wire.reasons import FINAL, Reason
from datasites.wire.rounds import (
    RoundReply,
    RoundRequest,
    decode_request,
    encode_reply,
    is_addressed,
    request_digest,
)
from datasites.wire.shown import Shown
from datasites.wire.store import Store
from policies.errors import InvalidInput, Refused, Unavailable, WardroundError
from researcher.errors import RoundFailed
from researcher.participation import ApprovedStudy, Members, stage_of
from researcher.submission import Submission
from researcher.topology.names import no_controls
from researcher.topology.national import national, published, write_study
from researcher.topology.sums import Sums

_ANSWER = "regional.safetensors"
_LOCAL_WAIT, _REMOTE_WAIT = 0.25, 30.0  # longest wait between two looks, by the kind of store


@dataclass(frozen=True)
class _Work:
    """A message of the nation's."""

    request: RoundRequest
    digest: str
    parameters: Arrays


class RegionalAggregator(Shown):
    """Answers the nation's messages for one region; `of` makes it from a submission of the region's own.

    quorum: with fewer usable answers of its hospitals nothing leaves the region. deadline: seconds that a round waits
    for hospitals; the nation's own must be longer.
    """

    def __init__(
        self,
        study: ApprovedStudy,
        identity: Identity,
        store: Store,
        nation: PublicIdentity,
        quorum: int = 2,
        deadline: float = 300,
    ) -> None:
        if quorum < 1 or deadline <= 0:
            raise InvalidInput("quorum must be at least 1, and deadline above 0.")
        no_controls(study.manifest)
        self.manifest = national(study.manifest, nation.email)
        self._study, self._identity, self._store, self._nation = study, identity, store, nation
        self._quorum, self._deadline = quorum, deadline
        self._members, self._exchange = Members(study), study.exchange()
        self._file = study.journal.folder / _ANSWER
        self._box = keys.rounds_down(self.manifest.digest, identity.email)
        self._put_aside: set[tuple[str, str]] = set()  # names and versions

    def _facts(self) -> dict[str, object]:
        aggregator, nation = self._identity.email, self._nation.email
        return {**stage_of(self._study), "aggregator": aggregator, "nation": nation, "quorum": self._quorum}

    @classmethod
    def of(
        cls, submission: Submission, nation: str, fingerprint: str, quorum: int = 2, deadline: float = 300
    ) -> RegionalAggregator:
        """nation: its address; fingerprint: of its keys, as it told you by telephone or on paper."""
        store = submission.federation.store
        public = published(store, check_email(nation), fingerprint)
        return cls(submission, submission.federation.identity, store, public, quorum, deadline)

    @staticmethod
    def write_study(study: ApprovedStudy, nation: str, path: str | Path) -> None:
        """The file that the nation, at this address, begins with: study and first state, and nothing of the region."""
        manifest = national(study.manifest, check_email(nation))
        write_study(Path(path), manifest, study.journal.checkpoint().parameters)

    def serve(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Answers messages until `stop()` or an interrupt; a store that is away is waited for."""
        with self._study.journal.alone():
            self._answer = self._read()
            self._members.gather()
            posted, pace = False, Pace(_REMOTE_WAIT if self._store.remote else _LOCAL_WAIT)
            while not stop():
                try:
                    if not posted:
                        self._post()  # a crash, or the store, may have kept it back
                    posted = True
                    if self._step():
                        pace.came()
                except Unavailable:
                    posted = False
                time.sleep(pace.wait())

    def _step(self) -> bool:
        """Answers the newest message, if there is a new one."""
        work = self._look()
        if work is None:
            return False
        plaintext = self._answered(work)
        self._write(work.request.number, self._identity.seal(self._nation, plaintext))
        self._post()
        return True

    def _look(self) -> _Work | None:
        done = keys.round_down(self.manifest.digest, self._identity.email, self._answer[0])
        for key, tag in reversed(self._store.versions(self._box, after=done)):
            if (key, tag) in self._put_aside:
                continue
            name = keys.last(key)
            number = int(name) if len(name) == 6 and name.isdecimal() else 0
            raw = self._store.get(key, ROUND_BYTES)
            if raw is None:
                return None  # the round was closed and its message withdrawn just now
            try:
                return self._opened(raw, number)
            except WardroundError as why:
                # whoever holds the store can put rubbish there; a message behind it is found all the same
                aside = self._study.journal.folder / "quarantine"
                quarantine.put_aside(aside, self._nation.email, key, raw, why.message)
                self._put_aside.add((key, tag))
        return None

    def _opened(self, raw: bytes, number: int) -> _Work:
        """Raises WardroundError for anything but a message of the nation's, for this region, study and number."""
        plaintext = self._identity.open(self._nation, raw)
        if not number or not is_addressed(plaintext, self.manifest.digest, number, self._identity.email):
            raise Refused("is not for this round of this study in this region")
        request, parameters = decode_request(plaintext)
        if array_problems(parameters, self.manifest.outputs.parameters):
            raise Refused("holds another model than the study's")
        return _Work(request, request_digest(plaintext), parameters)

    def _answered(self, work: _Work) -> bytes:
        """The plaintext for the nation, once the region's hospitals have answered the same message."""
        request = work.request
        self._members.look()
        asked = self._members.present
        if len(asked) < self._quorum:  # it would cost its hospitals a round for nothing
            return self._refused(work, Reason.QUORUM)
        tickets = self._exchange.post(request.number, asked, work.parameters, request.evaluate, request.fit)
        sums = Sums(work.parameters)
        for answer in self._exchange.answers(tickets, self._deadline):
            if answer.usable:
                sums.add(answer)
            if answer.reply and answer.reply.reason in FINAL:
                self._members.leave(answer.hospital)
        self._exchange.withdraw(tickets)
        if sums.answers < self._quorum:
            return self._refused(work, Reason.QUORUM)
        try:
            mean = sums.mean() if request.fit else None
        except RoundFailed:  # too large to be a number
            return self._refused(work, Reason.HOSPITAL)
        reply = RoundReply(
            study=request.study,
            number=request.number,
            hospital=request.hospital,
            request=work.digest,
            fit=sums.fit() if request.fit else None,
            evaluate=sums.evaluate() if request.evaluate else None,
        )
        return encode_reply(reply, mean, sums.histogram)

    def _refused(self, work: _Work, reason: Reason) -> bytes:
        about = work.request
        reply = RoundReply(
            study=about.study, number=about.number, hospital=about.hospital, request=work.digest, reason=reason
        )
        return encode_reply(reply)

    def _read(self) -> tuple[int, bytes]:
        """The number of the last message that was answered, and the sealed answer; 0 for none."""
        if not self._file.exists():
            return 0, b""
        try:
            blob = self._file.read_bytes()
            header, arrays = unpack(blob, len(blob))
            return int(header["number"]), arrays["sealed"].tobytes()
        except (OSError, KeyError, InvalidInput):
            raise InvalidInput(f"{self._file} is missing or damaged.", "Restore it.") from None

    def _write(self, number: int, sealed: bytes) -> None:
        write_atomically(self._file, pack({"number": number}, {"sealed": np.frombuffer(sealed, np.uint8)}))
        self._answer = number, sealed

    def _post(self) -> None:
        number, sealed = self._answer
        if number:
            self._store.put(keys.round_up(self.manifest.digest, number, self._identity.email), sealed)
