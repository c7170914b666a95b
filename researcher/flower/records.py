"""Flower's records as a study's arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flwr.app import Array, ArrayRecord, Error, Message, MetricRecord, RecordDict

from datasites.wire.arrays import Arrays
from policies.errors import InvalidInput
from researcher.exchange import Answer
from researcher.strategies.layout import Layout

_UNKNOWN = 0  # Flower's code for an error that is none of its own
_ROUND = "server-round"  # Flower adds it to every message; a hospital counts for itself


def as_record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def as_arrays(record: ArrayRecord, like: Arrays) -> Arrays:
    """With the dtypes of `like`: Flower's means of whole numbers are float64, and are rounded.

    Raises InvalidInput where names or shapes are other ones, RoundFailed where a number is not finite.
    """
    arrays = {name: array.numpy() for name, array in record.items()}
    if {n: a.shape for n, a in arrays.items()} != {n: a.shape for n, a in like.items()}:
        raise InvalidInput("Flower's arrays are not those of the study's model.", "Begin with grid.initial_arrays().")
    layout = Layout(like)
    return layout.arrays(layout.vector(arrays))


def state_of(message: Message) -> ArrayRecord:
    """The one model that a message carries."""
    records = list(message.content.array_records.values())
    if len(records) != 1:
        raise InvalidInput(f"A message carries {len(records)} models; hospitals take one.")
    return records[0]


def check_config(message: Message, approved: Mapping[str, Any]) -> None:
    """Raises InvalidInput for what Flower would tell hospitals beyond the config that they approved."""
    for record in message.content.config_records.values():
        for name, value in record.items():
            if name != _ROUND and approved.get(name.replace("-", "_"), approved.get(name)) != value:
                raise InvalidInput(
                    f"The strategy would send {name}={value!r}, which is not what the hospitals approved.",
                    f"Give it in the study's config, as {name.replace('-', '_')!r}, and submit that.",
                )


def as_reply(message: Message, answer: Answer, metrics: frozenset[str]) -> Message:
    """What a hospital answered, of its metrics those named; or, in one of the fixed sentences, why it did not."""
    report = answer.reply and (answer.reply.fit or answer.reply.evaluate)
    if not answer.usable or not report:
        return Message(Error(_UNKNOWN, answer.problem), reply_to=message)
    numbers = {name: report.metrics[name] for name in sorted(metrics)}
    content = RecordDict({"metrics": MetricRecord({"num-examples": report.num_examples, **numbers})})
    if answer.reply and answer.reply.fit:
        content["arrays"] = as_record(answer.parameters)
    return Message(content, reply_to=message)


def common_metrics(answers: list[Answer]) -> frozenset[str]:
    """The metrics that all have who have any: Flower aggregates no others. An AUC, say, may be undefined somewhere."""
    reports = [a.reply.fit or a.reply.evaluate for a in answers if a.usable and a.reply]
    named = [frozenset(report.metrics) for report in reports if report]
    return frozenset.intersection(*named) if named else frozenset()
