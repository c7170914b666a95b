"""The rounds of one approved study without a centre, at one hospital: D-PSGD (Lian et al. 2017), in the order adapt,
then combine.

The researcher's start is all that comes from a centre. From then on the hospital trains, sends what its gate lets out
to its neighbours, waits for theirs until all are there or the deadline has passed, mixes, and goes on, until the last
round or the researcher's stop. Only time that passes here counts; no clock is compared with another's.

A hospital that was away goes on with its own model in the round that its neighbours are in.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from datasites.agent.admission import RoundRefused
from datasites.agent.gossip.diary import Begun, Diary
from datasites.agent.gossip.post import KeysOf, NeighbourPost
from datasites.agent.rounds import Worked
from datasites.agent.session import StudySession
from datasites.agent.workbench import Workbench
from datasites.audit.entry import Kind
from datasites.state import AnsweredRound, State, now
from datasites.wire import keys, quarantine
from datasites.wire.arrays import Arrays
from datasites.wire.canonical import digest_of
from datasites.wire.contract import array_problems
from datasites.wire.gossip.messages import START, STOP, Due, Report, decode_order, due, encode_report
from datasites.wire.gossip.mixing import mean_arrays, mixed_arrays
from datasites.wire.gossip.network import Network
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.reasons import FINAL, Reason
from datasites.wire.rounds import RoundRequest, request_digest
from datasites.wire.store import Store
from policies.errors import InvalidInput, Refused, Unavailable, WardroundError

log = logging.getLogger(__name__)


class GossipSession(StudySession):
    """In place of a `StudySession`, for a study that names a network."""

    def __init__(
        self,
        identity: Identity,
        researcher: PublicIdentity,
        store: Store,
        state: State,
        bench: Workbench,
        longest_wait: float,
        follow: Callable[[], bool] = lambda: False,
        *,
        network: Network,
        keys_of: KeysOf,
    ) -> None:
        super().__init__(identity, researcher, store, state, bench, longest_wait, follow)
        self._ours = network.hospitals.get(identity.email) == identity.public.fingerprint  # else nothing is done
        self._network = network
        self._diary = Diary(bench.folder, bench.manifest)
        self._neighbours = NeighbourPost(
            identity, store, bench.manifest, network, self._diary, bench.home, state.audit, keys_of
        )
        self._last = bench.manifest.rounds + 1  # the number of the last report
        self._waits_since: float | None = None
        self._told = ""

    def _look(self) -> bool:
        """One step, if there is one to do. Where this hospital's own files are damaged, there is none."""
        try:
            return self._ours and self._step()
        except Refused as problem:
            if str(problem) != self._told:
                log.error("study %s: %s", self.study[:12], problem)
            self._told = str(problem)
            return False

    def _step(self) -> bool:
        if self._read_order(STOP) or self._read_order(START):
            return True
        refused = self.admission.refusal()
        started, begun = self._diary.order("start") is not None, self._diary.begun()
        ended = self._diary.order("stop") is not None or (begun is not None and begun.number == self._last)
        if started or refused is None:
            self._neighbours.tell(present=refused is None and not ended)
        if not started:
            return False
        self._neighbours.look(begun.number if begun else 1)
        if begun is None:
            return refused is None and self._join()
        answered = self._state.answer(self.study, begun.number)
        if answered is None:
            return self._begin(begun, refused)
        if begun.number == self._last or (refused is not None and answered.outcome != "released"):
            self._waits_since = None  # it is over, or until the owner allows it again
            return False
        return self._exchange(begun, answered, allowed=refused is None)

    # the researcher's orders

    def _read_order(self, number: int) -> bool:
        """Whether there was a new one. The first start, and the first stop, count for good."""
        key = keys.round_down(self.study, self._identity.email, number)
        name = "start" if number == START else "stop"
        if self._diary.order(name) is not None:
            return False
        version = next((v for v in self._store.versions(self._box) if v[0] == key), None)
        if version is None or version in self._put_aside:
            return False
        raw: bytes | None = b""
        try:
            raw = self._store.get(key, ROUND_BYTES)
            if raw is None:
                return False
            if (plaintext := self._opened(raw)) is None:
                return False
            order, model = decode_order(plaintext)
            if (order.study, order.hospital, order.order) != (self.study, self._identity.email, name):
                raise Refused("is not this order, for this study at this hospital")
            if problems := array_problems(model, self._bench.manifest.outputs.parameters if name == "start" else {}):
                raise Refused(f"does not begin with a model of this study: {problems[0]}")
        except Unavailable:
            raise
        except WardroundError as why:
            quarantine.put_aside(self._bench.home.quarantine, self._researcher.email, key, raw or b"", why.message)
            self._put_aside.add(version)
            return False
        request = request_digest(plaintext)
        self._state.audit.record(
            Kind.ROUND_RECEIVED, study=self.study, round=number, request=request, bytes=len(plaintext)
        )
        self._diary.obey(order, model)
        return True

    # a round

    def _join(self) -> bool:
        """Begins with the mean of the neighbours' newest models, in the round after theirs, once there are some."""
        newest = self._neighbours.newest(1, self._last - 1)
        heard = _models(self._neighbours.models(newest)) if newest else {}
        if newest is None or not heard:
            return False
        self._diary.begin(Begun(newest + 1, mean_arrays(heard), newest, tuple(sorted(heard))))
        return True

    def _begin(self, begun: Begun, refused: Reason | None) -> bool:
        """Trains a round and stores what came of it, before anything of it leaves."""
        over = begun.number == self._last
        if not over and (self._diary.order("stop") or self._rounds_used()):
            self._diary.begin(replace(begun, number=self._last))
            return True
        if not over and refused is None and (number := self._caught_up(begun)) > begun.number:
            self._diary.begin(replace(begun, number=number, after=number - 1))
            return True
        if over and refused is not None:
            return False  # a last report is made only once; it waits for the owner
        self._answer_begun(begun, due(self._bench.manifest, begun.number, over), over)
        return True

    def _rounds_used(self) -> bool:
        """Whether the owner has approved no more than were trained."""
        signed = self._state.decision(self.study)
        return signed is not None and 0 < signed.decision.rounds <= self._state.used(self.study)[0]

    def _caught_up(self, begun: Begun) -> int:
        """The round that neighbours are in, if it is later.

        Each round that they went on without this hospital has cost them a deadline of waiting. So a neighbour that says
        it is further than the time allows is not followed: else one that lies could end the study for everybody.
        """
        passed = time.time() - begun.before
        most = begun.number + max(0, math.floor(passed / self._network.deadline))
        return self._neighbours.newest(begun.number + 1, min(most, self._last - 1)) or begun.number

    def _answer_begun(self, begun: Begun, todo: Due, over: bool) -> None:
        started = time.monotonic()
        request = digest_of({"gossip": self.study, "round": begun.number})
        worked, reason = self._worked(begun, todo, request)
        seconds = time.monotonic() - started
        report = Report(
            study=self.study,
            hospital=self._identity.email,
            number=begun.number,
            last=over,
            after=begun.after,
            heard=begun.heard,
            reason=reason,
            fit=worked.fit_report(),
            evaluate=worked.evaluate_report(),
            seconds=self._runner.told(seconds, worked.noise),
        )
        shown = begun.model if todo.report and self.admission.refusal() is None else {}
        plaintext = encode_report(report, shown, worked.evaluated.arrays if worked.evaluated else {})
        if worked.fitted:
            self._diary.keep_trained(begun.number, worked.leaving)
        row = AnsweredRound(
            number=begun.number,
            request=request,
            outcome=reason or "released",
            fit=todo.fit,
            evaluate=todo.evaluate,
            reply=self._identity.seal(self._researcher, plaintext),
            answered_at=now().isoformat(),
            seconds=seconds,
        )
        self._kept.commit(row, worked.left)
        self._post(row)
        if over:
            self._kept.end()
        self._answered = time.monotonic()
        self._waits_since = None

    def _worked(self, begun: Begun, todo: Due, digest: str) -> tuple[Worked, Reason | None]:
        if not todo.fit and not todo.evaluate:
            return Worked(), None
        asked = RoundRequest(
            study=self.study,
            number=begun.number,
            hospital=self._identity.email,
            evaluate=todo.evaluate,
            fit=todo.fit,
        )
        try:
            return self._runner.work(asked, digest, begun.model), None
        except RoundRefused as refused:
            log.warning("study %s round %d: %s", self.study[:12], begun.number, refused.reason.text)
            return Worked(), refused.reason

    # what follows

    def _exchange(self, begun: Begun, answered: AnsweredRound, allowed: bool) -> bool:
        """Sends, and waits; whether the next round has begun. A hospital that trained nothing keeps its model.

        allowed: else nothing is sent or waited for; what the researcher is then told is why.
        """
        number, waits = begun.number, self._network.deadline if allowed else 0.0
        mine = self._diary.trained(number) if answered.outcome == "released" else None
        if allowed:
            self._neighbours.send(number, mine)
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        models = self._neighbours.models(number)
        missing = [n for n in self._neighbours.neighbours if n not in models and self._expects(n)]
        if missing and time.monotonic() - self._waits_since < waits and self._diary.order("stop") is None:
            return False
        if missing:
            log.info("study %s round %d goes on without %s", self.study[:12], number, ", ".join(missing))
        heard = _models(models) if mine is not None else {}
        model = self._mixed(number, mine, heard) if mine is not None else begun.model
        # neighbours did not wait for one that had left
        before = 0.0 if answered.outcome in FINAL or not allowed else begun.at
        self._diary.begin(Begun(number + 1, model, number, tuple(sorted(heard)), before=before))
        self._waits_since = None
        return True

    def _expects(self, neighbour: str) -> bool:
        """Whether to wait for it: it takes part, or has approved the study before the start and was not heard yet."""
        said = self._neighbours.present(neighbour)
        order = self._diary.order("start")
        return said if said is not None else order is not None and neighbour in order.expected

    def _mixed(self, number: int, mine: Arrays, heard: Mapping[str, Arrays]) -> Arrays:
        try:
            return mixed_arrays(mine, heard, self._network.weights(self._identity.email))
        except InvalidInput as problem:  # finite numbers at the very end of their type
            log.warning("study %s round %d: %s It goes on with its own.", self.study[:12], number, problem)
            return mine


def _models(heard: Mapping[str, Arrays | None]) -> dict[str, Arrays]:
    return {name: model for name, model in heard.items() if model is not None}
