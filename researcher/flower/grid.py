"""A Flower `Grid` whose nodes are the hospitals of an approved study.

A ServerApp's strategy sends, waits and aggregates as it always does. What it sends travels as a round of the study:
signed, encrypted, in the study's own boxes; and each hospital answers by its approval, its sandbox and its gate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from flwr.app import ArrayRecord, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from datasites.wire.canonical import sha256
from datasites.wire.reasons import FINAL
from policies.errors import InvalidInput
from researcher.exchange import Answer, Ticket
from researcher.flower.records import as_arrays, as_record, as_reply, check_config, common_metrics, state_of
from researcher.history import History, record_of
from researcher.participation import ApprovedStudy, Members
from researcher.result import Result
from researcher.rounds import evaluations
from researcher.strategies.base import described

_IDENTITY: dict[str, Any] = {"name": "Flower", "settings": {}}
_TRAIN, _EVALUATE = "train", "evaluate"
_SILENT = "No answer in time."
_SERVER = 1  # the number that Flower gives its own


@dataclass
class _Batch:
    """Messages of one number: by hospital, with what has come back."""

    number: int
    round_before: int
    fit: bool
    messages: dict[str, Message]
    tickets: dict[str, Ticket] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)


class WardroundGrid(Grid):  # type: ignore[misc]  # Flower is an extra, so its types are not there
    """Give it to a Flower strategy: `FedAdagrad().start(grid, grid.initial_arrays(), num_rounds=12)`.

    deadline: seconds to wait where the caller names none.

    - A node's number is made of its hospital's address: `hospital(node)`.
    - Hospitals run the config that they approved. Of what a strategy puts into its messages, `server-round` is not
      sent, and anything else must be in the study's config with the same value: FedProx's `proximal-mu`, say.
    - Metrics that are single numbers, and reported by all that answered, reach the strategy; `history()` has all.
    - A number is used for one message, whatever becomes of it, so a strategy can be started again; Flower keeps its
      memory (momenta, say) in the process alone.
    """

    def __init__(self, submission: ApprovedStudy, deadline: float = 600) -> None:
        begun = submission.journal.checkpoint().strategy
        if begun is not None and begun != _IDENTITY:
            raise InvalidInput(f"This study's rounds were begun with {described(begun)}.", "Go on with that.")
        self._study, self._deadline = submission, deadline
        self._evaluates = evaluations(submission.manifest, True)[0]
        self._exchange = submission.exchange()
        self._members = Members(submission)
        self._members.gather()
        self.set_run(Run.create_empty(0))
        self._out: dict[str, tuple[_Batch, str]] = {}

    def initial_arrays(self) -> ArrayRecord:
        """The study's first state, for `start`."""
        return as_record(self._study.journal.checkpoint().parameters)

    def hospital(self, node: int) -> str:
        """The address of a node. Raises InvalidInput where there is none of this number."""
        found = {_node(hospital): hospital for hospital in self._members.present}
        if node not in found:
            raise InvalidInput(f"No hospital is node {node}.", "Ask get_node_ids().")
        return found[node]

    def history(self) -> History:
        """What all hospitals have answered, as after `Rounds`."""
        return History(self._study.journal.history(), self._study.label)

    def result(self, trained: ArrayRecord, strategy: str = "Flower") -> Result:
        """The `arrays` of a strategy's result, as the result of a study."""
        checkpoint = self._study.journal.checkpoint()
        parameters = as_arrays(trained, checkpoint.parameters)
        notes = tuple(self._study.noise())
        return Result(self._study.manifest, strategy, parameters, checkpoint.round, self.history(), notes)

    def set_run(self, run: Run) -> None:
        """Also what messages take as their sender, which Flower asks the process for: a server."""
        self._run = run
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = run.run_id, _SERVER, _SERVER

    @property
    def run(self) -> Run:
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """Those that have approved, and have not left."""
        self._members.look()
        return [_node(hospital) for hospital in self._members.present]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """All of one kind, and one to a hospital. Returns what `pull_messages` knows them by."""
        batch = self._post(list(messages))
        mine = {f"{batch.number}/{hospital}": (batch, hospital) for hospital in batch.messages}
        self._out |= mine
        return list(mine)

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that are there, each one once."""
        known = [key for key in message_ids if key in self._out]
        for batch in {self._out[key][0].number: self._out[key][0] for key in known}.values():
            self._collect(batch, 0)
        return self._taken(known)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Those that do not answer in time are not asked any more."""
        if not (listed := list(messages)):
            return []
        keys = self.push_messages(listed)
        batch, _ = self._out[keys[0]]
        self._collect(batch, self._deadline if timeout is None else timeout)
        self._exchange.withdraw(batch.tickets)
        replies = self._taken(keys)
        for key in keys:
            self._out.pop(key, None)
        return replies

    def _taken(self, keys: list[str]) -> list[Message]:
        there = [self._out.pop(key) for key in keys if self._out[key][1] in self._out[key][0].answers]
        metrics = common_metrics([batch.answers[hospital] for batch, hospital in there])
        return [as_reply(batch.messages[hospital], batch.answers[hospital], metrics) for batch, hospital in there]

    def _post(self, messages: list[Message]) -> _Batch:
        """Checks all of them, then takes a number, for good, and posts them."""
        fit = self._asks_training(messages)
        addressed = {self.hospital(message.metadata.dst_node_id): message for message in messages}
        if len(addressed) != len(messages):
            raise InvalidInput("There are two messages to one hospital.")
        journal = self._study.journal
        with journal.alone():
            before = journal.checkpoint()
            states = [
                (as_arrays(state, before.parameters), [h for h, m in addressed.items() if state_of(m) is state])
                for state in {id(state_of(message)): state_of(message) for message in messages}.values()
            ]
            batch = _Batch(before.messages + 1, before.round, fit, addressed)
            journal.move(replace(before, messages=batch.number, strategy=_IDENTITY))
            for parameters, those in states:
                batch.tickets |= self._exchange.post(batch.number, those, parameters, evaluate=not fit, fit=fit)
        return batch

    def _asks_training(self, messages: list[Message]) -> bool:
        """Raises InvalidInput for what hospitals are not asked."""
        kinds = {message.metadata.message_type for message in messages}
        if len(kinds) > 1 or not kinds <= {_TRAIN, _EVALUATE}:
            raise InvalidInput(f"Hospitals train or evaluate; they are not asked to {', '.join(sorted(kinds))}.")
        if kinds == {_EVALUATE} and not self._evaluates:
            raise InvalidInput("This study does not evaluate each round's state.", "Set fraction_evaluate=0.0.")
        for message in messages:
            check_config(message, self._study.manifest.config)
        return kinds == {_TRAIN}

    def _collect(self, batch: _Batch, seconds: float) -> None:
        """Takes answers until all are there or the time is over, and writes down what there is."""
        waiting = {h: ticket for h, ticket in batch.tickets.items() if h not in batch.answers}
        for answer in self._exchange.answers(waiting, seconds):
            batch.answers[answer.hospital] = answer
            if answer.reply and answer.reply.reason in FINAL:
                self._members.leave(answer.hospital)
        records = [
            record_of(hospital, batch.answers.get(hospital), batch.number, batch.round_before, batch.fit, _SILENT)
            for hospital in sorted(batch.messages)
        ]
        journal = self._study.journal
        with journal.alone():
            journal.note(batch.number, records)
            checkpoint = journal.checkpoint()
            trained = batch.fit and any(answer.usable for answer in batch.answers.values())
            if trained and checkpoint.round == batch.round_before:
                journal.move(replace(checkpoint, round=checkpoint.round + 1))


def _node(hospital: str) -> int:
    return int(sha256(hospital.encode())[:15], 16)
