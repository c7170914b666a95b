"""Asynchronous training: no hospital waits for another.

FedBuff: Nguyen et al. (2022), Federated Learning with Buffered Asynchronous Aggregation, AISTATS.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from datasites.wire.reasons import FINAL
from datasites.wire.shown import Shown
from policies.errors import InvalidInput
from researcher.buffer import Sent, Step, StepJournal, difference
from researcher.errors import RoundFailed
from researcher.exchange import Answer, Ticket
from researcher.history import History, record_of
from researcher.participation import ApprovedStudy, Members, stage_of
from researcher.progress import bar
from researcher.result import Result
from researcher.rounds import Rounds, evaluations


def polynomial(staleness: int) -> float:
    """1 / sqrt(1 + staleness), as in the paper."""
    return 1 / math.sqrt(1 + staleness)


class AsyncRounds(Shown):
    """Keeps every hospital at work: each has one message out, and gets the newest state as soon as it has answered.

    The state moves whenever `buffer` updates are in, by learning_rate times sum(n d(s) delta) / sum(n): delta is an
    update less the state it was trained from, n its number of examples, s how many times the state has moved meanwhile
    and d the `discount`. BatchNorm's statistics and whole numbers take no steps: they go that way towards their trained
    values. Fast hospitals have more say than in FedAvg: they answer more often.

    Each update counts among the rounds that its hospital has approved; one that has used them is not asked again.
    deadline: seconds without any answer after which the run fails; and seconds that the evaluation of the last state,
    the one thing that waits for all, takes at most.
    A study that was stopped goes on where it stopped, with the buffered updates and the messages that were out.
    """

    name = "FedBuff"

    def __init__(
        self,
        submission: ApprovedStudy,
        buffer: int,
        learning_rate: float = 1.0,
        discount: Callable[[int], float] = polynomial,
        deadline: float = 600,
        evaluate: bool = True,
    ) -> None:
        if buffer < 1 or learning_rate <= 0 or deadline <= 0:
            raise InvalidInput("buffer must be at least 1; learning_rate and deadline must be above 0.")
        self.submission = submission
        self._size, self._rate, self._discount, self._deadline = buffer, learning_rate, discount, deadline
        self._evaluate_each, self._evaluate = evaluations(submission.manifest, evaluate)
        self._exchange = submission.exchange()
        self._members = Members(submission)
        self._steps = StepJournal(submission.journal)

    def _facts(self) -> dict[str, object]:
        return {**stage_of(self.submission), "buffer": self._size, "learning rate": self._rate}

    def run(self, updates: int | None = None, on_update: Callable[[History], None] | None = None) -> Result:
        """Moves the state `updates` more times (when left out: until it has moved as often as the study has rounds),
        or until all hospitals have used their rounds. Raises RoundFailed when no hospital answers any more."""
        if updates is not None and updates < 0:
            raise InvalidInput("The number of updates cannot be negative.")
        with self.submission.journal.alone():
            self._step = self._steps.begin()
            target = self.submission.manifest.rounds if updates is None else self._step.version + updates
            self._members.gather()
            records = self.submission.journal.history()
            self._trained = Counter(r["hospital"] for r in records if r["fit"])
            self._evaluated = {(r["hospital"], r["evaluated_round"]) for r in records if r["evaluate"]}
            self._failed: dict[str, int] = {}
            with bar(self.submission.manifest.name, target) as advance_to:
                self._train(target, advance_to, on_update)
        return self._rest()

    def _train(
        self, target: int, advance_to: Callable[[int, str], None], on_update: Callable[[History], None] | None
    ) -> None:
        tickets = self._post(self._step.out)
        if self._step.version < target and self._idle(self._step):
            tickets |= self._next(self._step, [])
        while self._step.version < target and tickets:
            answer = next(iter(self._exchange.answers(tickets, self._deadline)), None)
            if answer is None:
                raise RoundFailed(f"No hospital answered within {self._deadline:g} seconds.", "run() goes on.")
            self._exchange.withdraw({answer.hospital: tickets.pop(answer.hospital)})
            before = self._step.version
            tickets |= self._take(answer, target)
            if on_update and self._step.version > before:
                on_update(History(self.submission.journal.history(), self.submission.label))
            advance_to(self._step.version, "")
        rounds = self.submission.manifest.rounds
        if self._step.version < target and any(self._trained[h] < rounds for h in self._members.present):
            raise RoundFailed(
                "Every hospital that is left has failed since the state last moved.",
                "Submission.journal.history() has their reasons; run() asks them again.",
            )
        self._exchange.withdraw(tickets)
        if self._step.version < target and self._step.count:  # all rounds are used: what is left makes one more update
            self._move(replace(self._step, messages=self._step.messages + 1), [])
        elif self._step.out:
            self._save(replace(self._step, messages=self._step.messages + 1, out={}), [])

    def _take(self, answer: Answer, target: int) -> dict[str, Ticket]:
        """One answer: into the buffer, from there into the state if it is full, and the hospital is asked again."""
        hospital, step = answer.hospital, self._step
        sent = step.out[hospital]
        staleness = step.version - sent.version
        record = record_of(hospital, answer, sent.number, sent.version, fit=True, silence="")
        record["staleness"] = staleness
        step = replace(step, out={h: s for h, s in step.out.items() if h != hospital})
        if answer.usable and answer.reply and answer.reply.fit:
            base, newest = self._steps.state(sent.version), self._steps.state(step.version)
            delta = difference(answer.parameters, base, newest)
            step = step.with_update(delta, answer.reply.fit.num_examples, self._discount(staleness))
            self._trained[hospital] += 1
        else:
            self._failed[hospital] = step.version
        if sent.evaluate and answer.usable:
            self._evaluated.add((hospital, sent.version))
        if answer.reply and answer.reply.reason in FINAL:
            self._members.leave(hospital)
        last = step.count == self._size and step.version + 1 == target
        return self._next(step, [record], ask=not last)

    def _next(self, step: Step, records: list[dict[str, Any]], ask: bool = True) -> dict[str, Ticket]:
        """Moves the state if the buffer is full, and sends it to every hospital that has nothing to do."""
        step, state = replace(step, messages=step.messages + 1), None
        if step.count == self._size:
            state = step.applied(self._steps.state(step.version), self._rate)
            step = Step(step.messages, step.version + 1, step.out)
        new = {hospital: self._message(hospital, step) for hospital in self._idle(step)} if ask else {}
        self._save(replace(step, out=step.out | new), records, state)
        return self._post(new)

    def _move(self, step: Step, records: list[dict[str, Any]]) -> None:
        state = step.applied(self._steps.state(step.version), self._rate)
        self._save(Step(step.messages, step.version + 1), records, state)

    def _idle(self, step: Step) -> list[str]:
        """Hospitals to be asked: one whose code failed is asked again when the state has moved."""
        self._members.look()
        rounds = self.submission.manifest.rounds
        return [
            hospital
            for hospital in self._members.present
            if hospital not in step.out
            and self._trained[hospital] < rounds
            and self._failed.get(hospital, -1) < step.version
        ]

    def _message(self, hospital: str, step: Step) -> Sent:
        evaluate = self._evaluate_each and (hospital, step.version) not in self._evaluated
        return Sent(step.messages, step.version, evaluate)

    def _post(self, messages: dict[str, Sent]) -> dict[str, Ticket]:
        tickets: dict[str, Ticket] = {}
        for hospital, sent in messages.items():
            state = self._steps.state(sent.version)
            tickets |= self._exchange.post(sent.number, [hospital], state, evaluate=sent.evaluate, fit=True)
        return tickets

    def _save(self, step: Step, records: list[dict[str, Any]], state: Any = None) -> None:
        self._steps.take(step, records, state)
        self._step = step

    def _rest(self) -> Result:
        """The evaluation of the last state, as after rounds of the other kind."""
        rounds = Rounds(self.submission, None, min_hospitals=1, deadline=self._deadline, evaluate=self._evaluate)
        return replace(rounds.run(rounds=0), strategy=self.name)
