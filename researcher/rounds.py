"""The rounds of an approved study: post the state, aggregate what comes back, keep a record, go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NoReturn, Protocol

from datasites.wire.arrays import Arrays, steps
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import FINAL
from datasites.wire.shown import Shown
from policies.errors import InvalidInput
from researcher.errors import RoundFailed, StudyFailed
from researcher.exchange import Answer, Ticket
from researcher.history import History, record_of
from researcher.journal import Checkpoint
from researcher.participation import ApprovedStudy, Members, stage_of
from researcher.progress import bar
from researcher.result import Result
from researcher.secagg.summed import of_sums, refuse_single
from researcher.strategies import Aggregation, FedAvg, Strategy, Update
from researcher.strategies.base import described, identity


class Observer(Protocol):
    """Looks at each round's updates, of which the record keeps only the metrics."""

    def begin(self, current: Arrays) -> None:
        """A round of training begins with this state."""

    def see(self, update: Update) -> None:
        """A usable update of this round."""


class Rounds(Shown):
    """Runs a study's rounds at every hospital that has approved it, or approves it while they are under way.

    strategy: FedAvg when left out; the same, with the same settings, from a study's first round to its last.
    min_hospitals: a round with fewer usable answers fails (default: 2, or 1 where only one hospital takes part; never
    fewer than the strategy needs).
    deadline: seconds after which a round closes without those that have not answered; they take part in the next one.
    enough: a round of training closes as soon as so many usable answers are in. Later ones are not used, though each
    counts among the rounds that its hospital has approved.
    sample: how many hospitals train in each round, drawn by `seed` (all, when left out); all evaluate the last state.
    evaluate: whether hospitals also evaluate each state on their own test patients.
    observer: looks at every update, for instance a `Watch` for free-riders.
    Of a study with secure_aggregation there is one participant, the sum of all hospitals: averages can be had of it.
    What another topology does otherwise (see researcher/topology) it says in the methods under "the star's own".
    """

    def __init__(
        self,
        submission: ApprovedStudy,
        strategy: Strategy | None = None,
        min_hospitals: int | None = None,
        deadline: float = 600,
        evaluate: bool = True,
        enough: int | None = None,
        sample: int | None = None,
        seed: int = 0,
        observer: Observer | None = None,
    ) -> None:
        if deadline <= 0 or any(number is not None and number < 1 for number in (min_hospitals, enough, sample)):
            raise InvalidInput("deadline must be above 0; min_hospitals, enough and sample must be at least 1.")
        if min_hospitals and min_hospitals > min(enough or min_hospitals, sample or min_hospitals):
            raise InvalidInput("No round could have min_hospitals answers.", "Raise enough and sample to it.")
        self.strategy: Strategy = strategy or FedAvg()
        needed = self.strategy.min_updates
        if needed > min(enough or needed, sample or needed):
            raise InvalidInput(
                f"No round could have the {needed} answers that {self.strategy.name} needs.",
                "Raise enough and sample to it.",
            )
        if type(self) is not Rounds:  # another topology, which moves models of single hospitals
            refuse_single(submission.manifest)
        single = {"min_hospitals": min_hospitals, "enough": enough, "sample": sample, "observer": observer}
        self.submission = submission = of_sums(submission, self.strategy, single)
        self._identity = identity(self.strategy)
        self._wanted = min_hospitals
        self._deadline, self._enough, self._sample, self._seed = deadline, enough, sample, seed
        self._evaluate_each, self._evaluate = evaluations(submission.manifest, evaluate)
        self._exchange = submission.exchange()
        self._members = Members(submission)
        self._observer = observer
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
            self._gather(fit=checkpoint.round < target)
            before = checkpoint
            self._records = journal.history()
            with bar(self.submission.manifest.name, target) as advance_to:
                while checkpoint.round < target:
                    advance_to(checkpoint.round, self._note())
                    trained, checkpoint = checkpoint.round, self._message(checkpoint, fit=True)
                    if on_round and checkpoint.round > trained:
                        on_round(self._history())
                advance_to(target, "evaluating" if self._evaluate else "")
                if self._evaluate and not checkpoint.evaluated:
                    checkpoint = self._message(checkpoint, fit=False)
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

    def _facts(self) -> dict[str, object]:
        begun = self.submission.journal.checkpoint().strategy
        return {**stage_of(self.submission), "strategy": described(begun or self._identity)}

    def _target(self, checkpoint: Checkpoint, rounds: int | None) -> int:
        limit = self.submission.manifest.rounds
        target = limit if rounds is None else checkpoint.round + rounds
        if rounds is not None and rounds < 0:
            raise InvalidInput("The number of rounds cannot be negative.")
        if rounds != 0 and target > limit:
            raise InvalidInput(f"The study was approved for {limit} rounds, {checkpoint.round} are done.")
        return target

    def _check_strategy(self, checkpoint: Checkpoint) -> None:
        begun = checkpoint.strategy
        if begun is not None and begun != self._identity:
            raise InvalidInput(
                f"This study's rounds were begun with {described(begun)}, not {described(self._identity)}.",
                "Go on with that, or submit the study under another name.",
            )

    def _gather(self, fit: bool) -> None:
        self._members.gather()
        if (present := len(self._members.present)) < self._min(fit):
            raise RoundFailed(
                f"{present} hospitals have approved this study; it needs {self._min(fit)}.", "See Submission.status()."
            )

    def _min(self, fit: bool) -> int:
        few = max(1, min(2, self._members.came, self._enough or 2, self._sample or 2))
        wanted = self._wanted if self._wanted is not None else few
        return max(wanted, self.strategy.min_updates) if fit else wanted

    def _message(self, checkpoint: Checkpoint, fit: bool) -> Checkpoint:
        """One message to hospitals that are in, and what becomes of the answers."""
        self._members.look()
        number = checkpoint.messages + 1
        asked = self._asked(checkpoint, number, fit)
        evaluate = (self._evaluate_each if fit else self._evaluate) and not checkpoint.evaluated
        tickets: dict[str, Ticket] = {}
        for hospitals, state in self._sent(checkpoint, asked):
            tickets |= self._exchange.post(number, hospitals, state, evaluate=evaluate, fit=fit)
        aggregation = self._begin(checkpoint, asked)
        if fit and self._observer:
            self._observer.begin(checkpoint.parameters)
        answers: dict[str, Answer] = {}
        usable: list[str] = []
        silence = f"No answer within {self._deadline:g} seconds."
        for answer in self._exchange.answers(tickets, self._deadline):
            answers[answer.hospital] = replace(answer, parameters={})
            if answer.usable and answer.reply and answer.reply.fit:
                update = Update(answer.hospital, answer.parameters, answer.reply.fit.num_examples)
                aggregation.add(update)
                if self._observer:
                    self._observer.see(update)
            if answer.reply and answer.reply.reason in FINAL:
                self._members.leave(answer.hospital)
            if answer.usable:
                usable.append(answer.hospital)
            if fit and len(usable) == self._enough:
                silence = f"The round closed before it answered: {len(usable)} answers were enough."
                break
        self._exchange.withdraw(tickets)
        records = [record_of(h, answers.get(h), number, checkpoint.round, fit, silence) for h in asked]
        if shortage := self._shortage(usable, fit):
            if any(not answer.usable for answer in answers.values()):
                self._close(replace(checkpoint, messages=number), records)
            # else all that is missing are answers that may still come to this very message, at no cost to the others
            self._give_up(checkpoint.round, records, shortage, fit)
        if fit:
            parameters, memory = aggregation.result()
            records = self._noted(records)
            after = Checkpoint(self._round_after(checkpoint, usable), number, False, parameters, self._identity, memory)
        else:
            after = replace(checkpoint, messages=number, evaluated=True)
        self._close(after, records)
        return self.submission.journal.checkpoint()  # the same, but that a large model lies in its file

    def _give_up(self, trained: int, records: list[dict[str, Any]], shortage: str, fit: bool) -> NoReturn:
        """The state stays as it was, and the researcher is told who failed why."""
        label = self.submission.label
        why = " ".join(f"{label(r['hospital'])}: {r['problem']}" for r in records if r["problem"])
        what = f"Round {trained + 1}" if fit else "The last evaluation"
        raise RoundFailed(f"{what} had {shortage}. {why}", "The state before it is kept; run() goes on.")

    # the star's own

    def _asked(self, checkpoint: Checkpoint, number: int, fit: bool) -> list[str]:
        """To whom message `number` goes."""
        return self._members.sample(self._sample if fit else None, self._seed, number)

    def _sent(self, checkpoint: Checkpoint, asked: list[str]) -> Iterable[tuple[list[str], Arrays]]:
        """Which hospitals are sent which state."""
        return [(asked, checkpoint.parameters)]

    def _begin(self, checkpoint: Checkpoint, asked: list[str]) -> Aggregation:
        """What makes the next state and memory of the updates."""
        return self.strategy.begin(checkpoint.parameters, checkpoint.memory)

    def _shortage(self, usable: list[str], fit: bool) -> str:
        """What is missing for the round to count, in words that follow "it had"; empty where nothing is."""
        return f"{len(usable)} usable answers" if len(usable) < self._min(fit) else ""

    def _noted(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records of a round, with what there is to add to them."""
        return records

    def _round_after(self, checkpoint: Checkpoint, usable: list[str]) -> int:
        """How many rounds have been trained after a message to train."""
        return checkpoint.round + 1

    def _close(self, checkpoint: Checkpoint, records: list[dict[str, Any]]) -> None:
        self.submission.journal.close_round(checkpoint, records)
        self._records = [*self._records, *records]

    def _history(self) -> History:
        return History(self._records, self.submission.label)

    def _note(self) -> str:
        auc = self._history().last_auc()
        return f"federated AUC {auc:.4f}" if auc is not None else ""


def evaluations(manifest: Manifest, wanted: bool) -> tuple[bool, bool]:
    """Whether hospitals may be asked to evaluate each state, and the last. Raises InvalidInput where none trains."""
    if manifest.statistics is not None:
        raise InvalidInput("This study only counts: it has no rounds.", "Use collect(submission).")
    training, outputs = manifest.training, manifest.outputs
    # a study whose evaluation reports nothing does not ask for one: with gate noise none is answered
    reports = bool(outputs.evaluate_metrics or outputs.evaluate_arrays)
    allowed = wanted and (reports if training is None else training.evaluation is not None)
    # a private study pays for each evaluation: those of states before the last are left out unless all are paid
    paid = training.evaluation.times if training and training.evaluation else 0
    return allowed and (training is None or paid > manifest.rounds), allowed


def _same(before: Checkpoint, after: Checkpoint) -> bool:
    alike = (steps(before.parameters[name], array) for name, array in after.parameters.items())
    return all(one.tobytes() == other.tobytes() for pairs in alike for one, other in pairs)
