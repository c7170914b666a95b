"""Hospitals that are simulated on this machine, behind the same interface as those behind the store.

Time is simulated too: an answer comes `delay` seconds after its hospital began to work on it, and waiting for it takes
no time. So deadlines, quorums and stragglers behave as they would, and in the same way at each run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from datasites.release.compressed import Unfit, compressed, without_residual
from datasites.release.examine import examine
from datasites.release.terms import Terms
from datasites.runner.errors import WorkerFailed
from datasites.runner.replies import Outcome, Task
from datasites.wire.arrays import Arrays
from datasites.wire.compression import packed, read_update, send_state
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason
from datasites.wire.rounds import EvaluateReport, FitReport, RoundReply, RoundRequest, encode_request, request_digest
from researcher.exchange import Answer, Ticket, judged
from researcher.simulation.crew import Crew
from researcher.simulation.kept import SimulatedKept

Delay = Callable[[str, int], float]  # of a hospital's answer to a message: seconds
Tamper = Callable[[int, Arrays, dict[str, Answer]], dict[str, Answer]]


@dataclass(frozen=True)
class _Due:
    began: float
    at: float
    answer: Answer


class SimulatedExchange:
    """See the module.

    tamper: what hospitals make of their answers before they send them: of the message's number, the state that was
    sent and the honest answers by hospital. Free-riders and attackers are simulated with it.
    """

    def __init__(
        self,
        manifest: Manifest,
        crew: Crew,
        kept: SimulatedKept,
        delay: Delay,
        tamper: Tamper | None,
        label: Callable[[str], str],
    ) -> None:
        self._manifest, self._crew, self._kept, self._label = manifest, crew, kept, label
        self._delay, self._tamper = delay, tamper
        self.now = 0.0
        self._busy: dict[str, float] = {}
        self._due: dict[tuple[str, int], _Due] = {}

    def post(
        self, number: int, hospitals: list[str], parameters: Arrays, evaluate: bool, fit: bool
    ) -> dict[str, Ticket]:
        message, parameters = send_state(self._manifest, parameters)
        tickets = {h: Ticket(number, self._digest(number, h, message, evaluate, fit), evaluate, fit) for h in hospitals}
        honest = self._crew.pool.map(lambda h: self._answer(h, tickets[h], parameters), hospitals)
        answers = dict(zip(hospitals, honest, strict=True))
        if self._tamper:
            sent = self._tamper(number, parameters, {self._label(h): answer for h, answer in answers.items()})
            answers = {hospital: sent[self._label(hospital)] for hospital in hospitals}
        for hospital in hospitals:
            began = max(self.now, self._busy.get(hospital, 0.0))
            self._busy[hospital] = at = began + self._delay(self._label(hospital), number)
            self._due[hospital, number] = _Due(began, at, self._judged(answers[hospital], tickets[hospital]))
        return tickets

    def answers(self, tickets: Mapping[str, Ticket], seconds: float) -> Iterator[Answer]:
        until = self.now + seconds
        for hospital, ticket in sorted(tickets.items(), key=lambda item: (self._of(*item).at, item[0])):
            due = self._of(hospital, ticket)
            if due.at > until:
                self.now = until
                return
            self.now = max(self.now, due.at)
            yield due.answer

    def withdraw(self, tickets: Mapping[str, Ticket]) -> None:
        for hospital, ticket in tickets.items():
            due = self._due.pop((hospital, ticket.number))
            if due.began > self.now:  # it had not begun
                self._busy[hospital] = due.began
                self._kept.undo(hospital, ticket.number)

    def _of(self, hospital: str, ticket: Ticket) -> _Due:
        return self._due[hospital, ticket.number]

    def _digest(self, number: int, hospital: str, parameters: Arrays, evaluate: bool, fit: bool) -> str:
        study = self._manifest.digest
        request = RoundRequest(study=study, number=number, hospital=hospital, evaluate=evaluate, fit=fit)
        return request_digest(encode_request(request, parameters))

    def _answer(self, hospital: str, ticket: Ticket, parameters: Arrays) -> Answer:
        """As a hospital answers: it evaluates the state that it got, then trains on it."""
        reply = RoundReply.model_construct(
            study=self._manifest.digest, number=ticket.number, hospital=hospital, request=ticket.digest
        )
        evaluated = self._run("evaluate", hospital, parameters, ticket.number) if ticket.evaluate else None
        if isinstance(evaluated, Reason):
            return Answer(hospital, reply.model_copy(update={"reason": evaluated}))
        fitted = self._run("fit", hospital, parameters, ticket.number) if ticket.fit else None
        if isinstance(fitted, Reason):
            return Answer(hospital, reply.model_copy(update={"reason": fitted}))
        leaving = fitted.parameters if fitted else {}
        left = fitted.kept if fitted else {}
        if fitted and self._manifest.outputs.compression:
            try:
                leaving, left = self._through(hospital, ticket.number, fitted, parameters)
            except Unfit as problem:
                return Answer(hospital, reply.model_copy(update={"reason": problem.reason}))
        self._kept.commit(hospital, ticket.number, left)
        reports = {
            "fit": FitReport(num_examples=fitted.num_examples, metrics=fitted.metrics) if fitted else None,
            "evaluate": EvaluateReport(num_examples=evaluated.num_examples, metrics=evaluated.metrics)
            if evaluated
            else None,
        }
        return Answer(
            hospital,
            reply.model_copy(update=reports),
            leaving,
            evaluated.arrays if evaluated else {},
        )

    def _through(self, hospital: str, number: int, fitted: Outcome, sent: Arrays) -> tuple[Arrays, Arrays]:
        """What is read of the update after its compression, and what stays at the hospital."""
        contract = self._manifest.outputs
        small = compressed(fitted.parameters, sent, self._kept.before(hospital, number), contract, None)
        return read_update(contract, packed(small.blob), sent), {**fitted.kept, **small.residual}

    def _run(self, task: Task, hospital: str, parameters: Arrays, number: int) -> Outcome | Reason:
        try:
            kept = without_residual(self._kept.before(hospital, number))
            frame = self._crew.call(task, hospital, parameters, number, kept)
        except WorkerFailed as failure:
            return Reason(failure.code)
        verdict = examine(task, frame, parameters, 0, Terms(contract=self._manifest.outputs))
        return verdict.released or verdict.reason or Reason.HOSPITAL

    def _judged(self, answer: Answer, ticket: Ticket) -> Answer:
        """As the researcher's side judges what came. Tampering is found where a hospital's could be found."""
        if answer.reply is None:
            return answer
        judgement = judged(answer.reply, answer.parameters, answer.metrics, ticket, self._manifest.outputs)
        return replace(judgement, problem=judgement.problem or answer.problem)
