"""The post of one approved study at one hospital: fetches rounds, has them answered, stores and posts the answers.

An answer is stored before it is posted, and a round that has an answer is never run again, so a crash at any line
leads to the same answer or to a first run, never to a second one.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable

from datasites.agent.admission import Admission
from datasites.agent.kept import Kept
from datasites.agent.rounds import Interrupted, Message, RoundRunner
from datasites.agent.secure import SecureSums
from datasites.agent.spending import Spending
from datasites.agent.trouble import PASSING, Trouble
from datasites.agent.workbench import Workbench
from datasites.approval.enforcement import PolicyWatch
from datasites.audit.entry import Kind
from datasites.state import AnsweredRound, State, now
from datasites.wire import chunked, keys, quarantine
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.pace import Pace
from datasites.wire.pieces import Pieces
from datasites.wire.reasons import Reason
from datasites.wire.rounds import is_addressed, most_bytes
from datasites.wire.spool import Buffer
from datasites.wire.store import Store
from policies.errors import Refused, Unavailable, WardroundError

log = logging.getLogger(__name__)
_AT_LEAST_LOCAL_SECONDS = 0.5  # a folder is looked into so often, whatever the settings say: it costs nothing
_TROUBLE_SECONDS = 0.5  # shortest wait before what failed is tried again
_OVER_SECONDS = 60.0  # between two looks of a study that may not run any more
_IN_USE_SECONDS = 2.0
_ENDED = (Reason.REVOKED, Reason.EXPIRED, Reason.NOT_APPROVED)  # a policy that forbids it may allow it again


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
        follow: Callable[[], bool] = lambda: False,
    ) -> None:
        """follow: whether the researcher has replaced its keys; then the agent starts another session with them."""
        self.study = bench.manifest.digest
        super().__init__(name=f"study-{self.study[:8]}", daemon=True)
        self._identity, self._researcher = identity, researcher
        self._store, self._state, self._bench = store, state, bench
        self._most_bytes = most_bytes(bench.manifest)
        self._spool = bench.spool
        self._longest_wait = longest_wait if store.remote else min(longest_wait, _AT_LEAST_LOCAL_SECONDS)
        self._pace = Pace(self._longest_wait)
        self._follow = follow
        self._ending = threading.Event()
        self.closed = threading.Event()  # set by the agent when the study may no longer run
        watch = PolicyWatch(bench.home, state, bench.manifest)
        self.admission = Admission(state, self.study, identity.public, watch.refusal)
        spending = Spending(bench.home, state.ledger, bench.manifest)
        self._kept = Kept(bench.folder, state, bench.manifest)
        terms = bench.manifest.secure_aggregation
        sums = SecureSums(identity, bench.manifest, terms, self.admission, bench.rounding) if terms else None
        self._runner = RoundRunner(
            bench, self.admission, spending, self._kept, identity.email, state.audit, self._ending.is_set, sums
        )
        self._box = keys.rounds_down(self.study, identity.email)
        self._seen = keys.round_down(self.study, identity.email, state.last_round(self.study))
        self._put_aside: set[tuple[str, str]] = set()  # names and versions
        self._answered = -math.inf

    @property
    def researcher(self) -> str:
        """The researcher's address."""
        return self._researcher.email

    @property
    def in_use(self) -> bool:
        """Whether a round was answered just now, so that another one is to be expected."""
        return time.monotonic() - self._answered < _IN_USE_SECONDS

    def finish(self) -> None:
        """Ends the thread and its worker; a running round is stopped and stays unanswered."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        leftovers, trouble = True, Trouble(self.name)
        try:
            while not self._ending.is_set():
                try:
                    if leftovers:
                        self._post_leftovers()
                        self._kept.tidy()
                        leftovers = False
                    if self._look():
                        self._pace.came()
                    wait = self._pace.wait()
                    if self.closed.is_set():
                        self._bench.clear()
                        if self.admission.refusal() in _ENDED:
                            self._kept.end()
                    else:
                        self._bench.stop_if_idle()
                    trouble.over()
                except PASSING as problem:
                    trouble.met(problem)
                    wait, leftovers = max(self._pace.wait(), min(_TROUBLE_SECONDS, self._longest_wait)), True
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
        for version in reversed(self._store.versions(self._box, after=self._seen)):
            # whoever can write to the store can put rubbish there; a round behind it is found all the same
            if version not in self._put_aside and self._handle(*version):
                self._seen = version[0]
                return True
        return False

    def _handle(self, key: str, tag: str) -> bool:
        """Whether it was a message of the researcher's for this very place; others are put aside."""
        raw: Buffer | None = b""
        try:
            raw = self._store.fetch(key, self._most_bytes, self._spool)
            if raw is None:
                return False  # the round was closed and its message withdrawn just now
            if (plaintext := self._opened(raw)) is None:
                return False
            message = Message(plaintext, in_chunks=chunked.Message.parse(raw) is not None)
            del plaintext  # the message alone holds it, until it is read
            number = self._number(key, message.plaintext)
            stored = self._state.answer(self.study, number)
            if stored and stored.request != message.digest:
                raise Refused("asks for other work in a round that was answered already")
        except Unavailable:
            raise
        except WardroundError as why:
            quarantine.put_aside(self._bench.home.quarantine, self._researcher.email, key, raw or b"", why.message)
            self._put_aside.add((key, tag))
            return False
        raw = None  # a large model is not kept while the study trains on it
        if stored:
            self._post(stored)
        else:
            self._answer(number, message)
        return True

    def _opened(self, raw: Buffer) -> Buffer | None:
        """None for the message of a researcher who has replaced its keys. Raises Refused."""
        try:
            return self._identity.open_large(self._researcher, raw, self._spool)
        except Refused:
            if self._follow():
                return None
            raise

    def _number(self, key: str, plaintext: Buffer) -> int:
        """The round. Raises Refused for what was signed for another place, and copied here by whoever has the store:
        were it answered, the round that belongs here could not be any more."""
        name = keys.last(key)
        number = int(name) if len(name) == 6 and name.isdecimal() else 0
        if not number or not is_addressed(plaintext, self.study, number, self._identity.email):
            raise Refused("is not for this round of this study at this hospital")
        return number

    def _answer(self, number: int, message: Message) -> None:
        in_order, request = number > self._state.last_round(self.study), message.digest
        self._state.audit.record(
            Kind.ROUND_RECEIVED, study=self.study, round=number, request=request, bytes=len(message.plaintext)
        )
        answer = self._runner.answer(number, message, in_order)
        row = AnsweredRound(
            number=number,
            request=request,
            outcome=answer.outcome,
            fit=answer.fit,
            evaluate=answer.evaluate,
            reply=self._sealed(answer.pieces, message.in_chunks),
            answered_at=now().isoformat(),
            seconds=answer.seconds,
        )
        kept = answer.kept
        del answer  # what is recorded and posted is sealed
        self._kept.commit(row, kept)
        self._post(row)
        self._answered = time.monotonic()

    def _sealed(self, plaintext: Pieces, in_chunks: bool) -> Buffer:
        """In chunks for who has written in chunks, and so reads them."""
        if in_chunks:
            return self._identity.seal_in_chunks(self._researcher, plaintext, self._spool)
        return self._identity.seal(self._researcher, plaintext.join())

    def _post(self, answer: AnsweredRound) -> None:
        if answer.reply is None:
            return  # it was posted before newer answers replaced its bytes
        self._store.put(keys.round_up(self.study, answer.number, self._identity.email), answer.reply)
        self._state.mark_posted(self.study, answer.number)
