"""The messages of training without a centre.

The researcher tells each hospital to start, with the first model, and may tell it to stop. Hospitals tell their
neighbours that they take part, and send them the model that they have trained in a round. Each hospital reports its
rounds to the researcher. All are signed and sealed for their one reader, and say what they are about, so that none can
be taken for another one, or copied to another place.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, ValidationError, model_validator

from datasites.wire.arrays import Arrays, pack, unpack
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason
from datasites.wire.rounds import EvaluateReport, FitReport, RoundNumber
from datasites.wire.spool import Buffer
from datasites.wire.values import Digest, Email, Frozen
from policies.errors import Refused

START, STOP = 1, 2  # the numbers of the researcher's orders
_MODEL, _METRIC = "model/", "metric/"
_HEADER_BYTES = 1024 * 1024  # more than the envelope and the names of arrays need
Some = TypeVar("Some", bound=Frozen)


class Order(Frozen):
    """What the researcher tells one hospital. A start comes with the first model.

    expected: the hospitals that have approved so far, for which their neighbours wait from the first round on.
    joins: the others have begun before; this one begins with the mean of its neighbours' models, once it has some.
    """

    kind: Literal["gossip-order"] = "gossip-order"
    study: Digest
    hospital: Email
    order: Literal["start", "stop"]
    expected: Annotated[tuple[Email, ...], Field(strict=False, max_length=500)] = ()
    joins: bool = False

    @property
    def number(self) -> int:
        return START if self.order == "start" else STOP


class Presence(Frozen):
    """What a hospital tells a neighbour of itself. serial: grows with each change."""

    kind: Literal["gossip-presence"] = "gossip-presence"
    study: Digest
    sender: Email
    hospital: Email
    serial: Annotated[int, Field(ge=1)]
    present: bool


class Model(Frozen):
    """What a hospital sends a neighbour in a round: the model that it trained, past its gate; or that it has none."""

    kind: Literal["gossip-model"] = "gossip-model"
    study: Digest
    sender: Email
    hospital: Email
    number: RoundNumber
    trained: bool


class Report(Frozen):
    """What a hospital tells the researcher of round `number`; the last one, after all rounds, has one number more.

    With it comes, where it is due, the model that the round began with, which `evaluate` is of. heard: the neighbours
    whose models are in it. after: how many rounds of training it has been through, or stood by. reason: why the
    hospital trained nothing in this round.
    """

    kind: Literal["gossip-report"] = "gossip-report"
    study: Digest
    hospital: Email
    number: RoundNumber
    last: bool
    after: Annotated[int, Field(ge=0)]
    heard: Annotated[tuple[Email, ...], Field(strict=False, max_length=500)]
    reason: Reason | None = Field(default=None, strict=False)
    fit: FitReport | None = None
    evaluate: EvaluateReport | None = None
    seconds: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _once(self) -> Self:
        if self.reason is not None and (self.fit or self.evaluate):
            raise ValueError("a report holds results or a reason")
        return self


class Due(Frozen):
    """What there is to do in a round, by the manifest alone."""

    fit: bool
    evaluate: bool
    report: bool


def due(manifest: Manifest, number: int, over: bool) -> Due:
    """over: nothing is trained any more, this is the last report."""
    network = manifest.gossip
    every = network.report_every if network else 0
    report = over or bool(every and number > 1 and (number - 1) % every == 0)
    outputs, training = manifest.outputs, manifest.training
    tests = bool(outputs.evaluate_metrics or outputs.evaluate_arrays)
    if training is not None:  # each evaluation is paid for: those before the last only where all of them are
        times = training.evaluation.times if training.evaluation else 0
        tests = times > (0 if over else manifest.rounds)
    return Due(fit=not over, evaluate=report and tests, report=report)


def encode(message: Order | Presence | Model, model: Arrays | None = None) -> bytes:
    return pack(message.model_dump(mode="json"), model or {})


def decode_order(plaintext: Buffer) -> tuple[Order, Arrays]:
    return _decoded(Order, plaintext, ROUND_BYTES)


def decode_presence(plaintext: bytes) -> Presence:
    return _decoded(Presence, plaintext, _HEADER_BYTES)[0]


def decode_model(plaintext: bytes, most: int) -> tuple[Model, Arrays]:
    return _decoded(Model, plaintext, most)


def most_bytes(manifest: Manifest) -> int:
    """Of a model's message, sealed: a larger one is not even fetched."""
    return manifest.outputs.parameter_bytes + 512 * len(manifest.outputs.parameters) + _HEADER_BYTES


def encode_report(report: Report, model: Arrays, metrics: Arrays) -> bytes:
    named = {_MODEL + name: array for name, array in model.items()}
    named.update({_METRIC + name: array for name, array in metrics.items()})
    return pack(report.model_dump(mode="json"), named)


def decode_report(plaintext: bytes) -> tuple[Report, Arrays, Arrays]:
    """(report, model, array metrics)."""
    report, arrays = _decoded(Report, plaintext, ROUND_BYTES)
    if not all(name.startswith((_MODEL, _METRIC)) for name in arrays):
        raise Refused("A report holds arrays of unknown kind.")
    model = {n.removeprefix(_MODEL): a for n, a in arrays.items() if n.startswith(_MODEL)}
    metrics = {n.removeprefix(_METRIC): a for n, a in arrays.items() if n.startswith(_METRIC)}
    return report, model, metrics


def _decoded(kind: type[Some], plaintext: Buffer, most: int) -> tuple[Some, Arrays]:
    header, arrays = unpack(plaintext, most)
    try:
        return kind.model_validate(header), arrays
    except ValidationError:
        raise Refused("is not the kind of message that belongs here") from None
