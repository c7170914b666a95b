"""The rounds of an approved study: post the state, aggregate what comes back, keep a record, go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from datasites.wire.reasons import FINAL
from policies.errors import InvalidInput
from researcher.errors import RoundFailed, StudyFailed
from researcher.exchange import Answer, Exchange
from researcher.history import History, record_of
from researcher.journal import Checkpoint
from researcher.progress import bar
from researcher.result import Result
from researcher.strategies import FedAvg, Strategy, Update
from researcher.strategies.base import described, identity
from researcher.submission import Submission


class Rounds:
    """Runs a study's rounds at every hospital that has approved it.

    strategy: FedAvg when left out; the same, with the same settings, from a study's first round to its last.
    min_hospitals: a round with fewer usable answers fails (default: 2, or 1 where only one hospital takes part; never
    fewer than the strategy needs).
    deadline: seconds after which a round closes without those that have not answered; they take part in the next one.
    evaluate: whether hospitals also evaluate each state on their own test patients.
    """

    def __init__(
        self,
        submission: Submission,
        strategy: Strategy | None = None,
        min_hospitals: int | None = None,
        deadline: float = 600,
        evaluate: bool = True,
    ) -> None:
        if submission.manifest.statistics is not None:
            raise InvalidInput("This study only counts: it has no rounds.", "Use collect(submission).")
        if deadline <= 0 or (min_hospitals is not None and min_hospitals < 1):
            raise InvalidInput("deadline must be above 0 and min_hospitals at least 1.")
        self.submission = submission
        self.strategy: Strategy = strategy or FedAvg()
        self._identity = identity(self.strategy)
        self._wanted = min_hospitals
        self._deadline = deadline
        training, outputs = submission.manifest.training, submission.manifest.outputs
        # a study whose evaluation reports nothing does not ask for one: with gate noise none is answered
        reports = bool(outputs.evaluate_metrics or outputs.evaluate_arrays)
        allowed = evaluate and (reports if training is None else training.evaluation is not None)
        self._evaluate = allowed
        # a private study pays for each evaluation: those of states before the last are left out unless all are paid
        paid = training.evaluation.times if training and training.evaluation else 0
        self._evaluate_each = allowed and (training is None or paid > submission.manifest.rounds)
        federation = submission.federation
        self._exchange = Exchange(submission.manifest, federation.identity, federation.peers, federation.store)
        self._left: set[str] = set()
        self._records: list[dict[str, Any]] = []

    def run(self, rounds: int | None = None, on_round: Callable[[History], None] | None = None) -> Result:
        """Trains `rounds` more rounds (all that are left of the study's, when left out), then evaluates the last state.

        A study that was stopped goes on where it stopped. Raises RoundFailed when a round has too few usable answers
        (the state before it is kept; run again to go on), and StudyFailed when training changed nothing.
        """
        journal = self.submission.journal
        with journal.alone():
            checkpoint = journal.checkpoint()
            self._check_strategy(checkpoint)
            target = self._target(checkpoint, rounds)
            hospitals = self._participants(fit=checkpoint.round < target)
            before = checkpoint
            self._records = journal.history()
            with bar(self.submission.manifest.name, target) as advance_to:
                while checkpoint.round < target:
                    advance_to(checkpoint.round, self._note())
                    checkpoint = self._message(checkpoint, hospitals, fit=True)
                    if on_round:
                        on_round(self._history())
                advance_to(target, "evaluating" if self._evaluate else "")
                if self._evaluate and not checkpoint.evaluated:
                    checkpoint = self._message(checkpoint, hospitals, fit=False)
                advance_to(target, "")
            if before.round < target and _same(before, checkpoint):
                raise StudyFailed("Training changed nothing: every hospital returned the state it was sent.")
            return self.result()

    def result(self) -> Result:
        """What there is so far. Raises StudyFailed before the first trained round."""
        checkpoint = self.submission.journal.checkpoint()
        if checkpoint.round == 0:
            raise StudyFailed("No round has been trained yet.", "Use run().")
        self._records = self.submission.journal.history()
        manifest, state = self.submission.manifest, checkpoint.parameters
        trained_by, notes = (checkpoint.strategy or self._identity)["name"], tuple(self.submission.noise())
        return Result(manifest, trained_by, state, checkpoint.round, self._history(), notes)

    def _target(self, checkpoint: Checkpoint, rounds: int | None) -> int:
        limit = self.submission.manifest.rounds
        target = limit if rounds is None else checkpoint.round + rounds
        if rounds is not None and rounds < 0:
            raise InvalidInput("The number of rounds cannot be negative.")
        if target > limit:
            raise InvalidInput(f"The study was approved for {limit} rounds, {checkpoint.round} are done.")
        return target

    def _check_strategy(self, checkpoint: Checkpoint) -> None:
        begun = checkpoint.strategy
        if begun is not None and begun != self._identity:
            raise InvalidInput(
                f"This study's rounds were begun with {described(begun)}, not {described(self._identity)}.",
                "Go on with that, or submit the study under another name.",
            )

    def _participants(self, fit: bool) -> list[str]:
        hospitals = [h for h in self.submission.participants() if h not in self._left]
        needed = self._min(len(hospitals), fit)
        if len(hospitals) < needed:
            raise RoundFailed(
                f"{len(hospitals)} hospitals have approved this study; it needs {needed}.",
                "See Submission.status().",
            )
        return hospitals

    def _min(self, participants: int, fit: bool) -> int:
        wanted = self._wanted if self._wanted is not None else max(1, min(2, participants))
        return max(wanted, self.strategy.min_updates) if fit else wanted

    def _message(self, checkpoint: Checkpoint, hospitals: list[str], fit: bool) -> Checkpoint:
        """One message to every hospital that is still in, and what becomes of the answers."""
        asked = [h for h in hospitals if h not in self._left]
        number = checkpoint.messages + 1
        evaluate = (self._evaluate_each if fit else self._evaluate) and not checkpoint.evaluated
        digests = self._exchange.post(number, asked, checkpoint.parameters, evaluate=evaluate, fit=fit)
        aggregation = self.strategy.begin(checkpoint.parameters, checkpoint.memory)
        answers: dict[str, Answer] = {}
        for answer in self._exchange.answers(number, digests, time.monotonic() + self._deadline):
            answers[answer.hospital] = Answer(answer.hospital, answer.reply, {}, answer.metrics, answer.problem)
            if answer.usable and answer.reply and answer.reply.fit:
                aggregation.add(Update(answer.hospital, answer.parameters, answer.reply.fit.num_examples))
            if answer.reply and answer.reply.reason in FINAL:
                self._left.add(answer.hospital)
        self._exchange.withdraw(number, asked)
        records = [record_of(h, answers.get(h), number, checkpoint.round, fit, self._deadline) for h in asked]
        usable = sum(1 for answer in answers.values() if answer.usable)
        if usable < self._min(len(hospitals), fit):
            if any(not answer.usable for answer in answers.values()):
                self._close(replace(checkpoint, messages=number), records)
            # else all that is missing are answers that may still come to this very message, at no cost to the others
            self._give_up(checkpoint.round, records, usable, fit)
        if fit:
            parameters, memory = aggregation.result()
            after = Checkpoint(checkpoint.round + 1, number, False, parameters, self._identity, memory)
        else:
            after = replace(checkpoint, messages=number, evaluated=True)
        self._close(after, records)
        return after

    def _give_up(self, trained: int, records: list[dict[str, Any]], usable: int, fit: bool) -> NoReturn:
        """The state stays as it was, and the researcher is told who failed why."""
        label = self.submission.federation.label
        why = " ".join(f"{label(r['hospital'])}: {r['problem']}" for r in records if r["problem"])
        what = f"Round {trained + 1}" if fit else "The last evaluation"
        raise RoundFailed(f"{what} had {usable} usable answers. {why}", "The state before it is kept; run() goes on.")

    def _close(self, checkpoint: Checkpoint, records: list[dict[str, Any]]) -> None:
        self.submission.journal.close_round(checkpoint, records)
        self._records = [*self._records, *records]

    def _history(self) -> History:
        return History(self._records, self.submission.federation.label)

    def _note(self) -> str:
        auc = self._history().last_auc()
        return f"federated AUC {auc:.4f}" if auc is not None else ""


def _same(before: Checkpoint, after: Checkpoint) -> bool:
    return all(before.parameters[name].tobytes() == array.tobytes() for name, array in after.parameters.items())
