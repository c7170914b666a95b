"""The post of one approved study at one hospital: fetches rounds, has them answered, stores and posts the answers.

An answer is stored before it is posted, and a round that has an answer is never run again, so a crash at any line
leads to the same answer or to a first run, never to a second one.
"""

from __future__ import annotations

import logging
import threading

from datasites.agent.admission import Admission
from datasites.agent.rounds import Interrupted, RoundRunner
from datasites.agent.trouble import PASSING, Trouble
from datasites.agent.workbench import Workbench
from datasites.audit.entry import Kind
from datasites.state import AnsweredRound, State, now
from datasites.wire import keys, quarantine
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.rounds import request_digest
from datasites.wire.store import Store
from policies.errors import Unavailable, WardroundError

log = logging.getLogger(__name__)
_QUICK_SECONDS = 0.002  # first wait between two looks; grows up to the longest while nothing comes
_GROWTH = 1.2


class StudySession(threading.Thread):
    """Runs until `finish`; an unexpected error ends it, and the agent starts another one at its next look."""

    def __init__(
        self,
        identity: Identity,
        researcher: PublicIdentity,
        store: Store,
        state: State,
        bench: Workbench,
        longest_wait: float,
    ) -> None:
        self.study = bench.manifest.digest
        super().__init__(name=f"study-{self.study[:8]}", daemon=True)
        self._identity, self._researcher = identity, researcher
        self._store, self._state, self._bench = store, state, bench
        self._longest_wait = longest_wait
        self._ending = threading.Event()
        self.closed = threading.Event()  # set by the agent when the study may no longer run
        admission = Admission(state, self.study)
        self._runner = RoundRunner(bench, admission, identity.email, state.audit, self._ending.is_set)
        self._box = keys.rounds_down(self.study, identity.email)
        self._seen = keys.round_down(self.study, identity.email, state.last_round(self.study))

    def finish(self) -> None:
        """Ends the thread and its worker; a running round is stopped and stays unanswered."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        wait, leftovers, trouble = _QUICK_SECONDS, True, Trouble(self.name)
        try:
            while not self._ending.is_set():
                try:
                    if leftovers:
                        self._post_leftovers()
                        leftovers = False
                    wait = _QUICK_SECONDS if self._look() else min(wait * _GROWTH, self._longest_wait)
                    if self.closed.is_set():
                        self._bench.clear()
                    else:
                        self._bench.stop_if_idle()
                    trouble.over()
                except PASSING as problem:
                    trouble.met(problem)
                    wait, leftovers = self._longest_wait, True
                self._ending.wait(wait)
        except Interrupted:
            log.info("%s stops in the middle of a round; it will be run after the restart", self.name)
        finally:
            self._bench.stop()

    def _post_leftovers(self) -> None:
        """Posts answers that a crash or the store kept back."""
        for answer in self._state.unposted(self.study):
            self._post(answer)

    def _look(self) -> bool:
        """Answers the newest round, if there is a new one. Older ones that were missed are over."""
        found = self._store.names(self._box, after=self._seen)
        if found:
            self._handle(found[-1])
            self._seen = found[-1]
        return bool(found)

    def _handle(self, key: str) -> None:
        raw: bytes | None = b""
        try:
            raw = self._store.get(key, ROUND_BYTES)
            if raw is None:
                return  # the round was closed and its message withdrawn just now
            plaintext = self._identity.open(self._researcher, raw)
        except Unavailable:
            raise
        except WardroundError as why:
            self._put_aside(key, raw or b"", why.message)
            return
        name = keys.last(key)
        number = int(name) if len(name) == 6 and name.isdecimal() else 0
        stored = self._state.answer(self.study, number)
        if number == 0:
            self._put_aside(key, raw, "has no round number")
        elif stored is None:
            self._answer(number, plaintext)
        elif stored.request == request_digest(plaintext):
            self._post(stored)
        else:
            self._put_aside(key, raw, "asks for other work in a round that was answered already")

    def _answer(self, number: int, plaintext: bytes) -> None:
        in_order, request = number > self._state.last_round(self.study), request_digest(plaintext)
        self._state.audit.record(
            Kind.ROUND_RECEIVED, study=self.study, round=number, request=request, bytes=len(plaintext)
        )
        answer = self._runner.answer(number, plaintext, in_order)
        row = AnsweredRound(
            number=number,
            request=request,
            outcome=answer.outcome,
            fit=answer.fit,
            evaluate=answer.evaluate,
            reply=self._identity.seal(self._researcher, answer.plaintext),
            answered_at=now().isoformat(),
            seconds=answer.seconds,
        )
        self._state.record_answer(self.study, row)
        self._post(row)

    def _post(self, answer: AnsweredRound) -> None:
        if answer.reply is None:
            return  # it was posted before newer answers replaced its bytes
        self._store.put(keys.round_up(self.study, answer.number, self._identity.email), answer.reply)
        self._state.mark_posted(self.study, answer.number)

    def _put_aside(self, key: str, raw: bytes, why: str) -> None:
        quarantine.put_aside(self._bench.home.quarantine, self._researcher.email, key, raw, why)
