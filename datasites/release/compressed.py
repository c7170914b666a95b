"""The last step before a model leaves: compressed as the study asks, after the gate, by the hospital's own code.

It is a fixed function of what the gate has let out, in this round and (error feedback: Seide et al., 2014; Karimireddy
et al., 2019) in earlier ones, and of states that the researcher sent. So whatever holds of those holds of this, noise
and all; but the policy's greatest distance is promised of what leaves, so it is measured again, on what the researcher
will read. Error feedback may add up to more; then the update is shortened, and the rest stays for the next round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasites.release.rules.norm import update_norm
from datasites.wire.arrays import Arrays
from datasites.wire.codecs.pipeline import Vectors, check_finite
from datasites.wire.contract import array_problems
from datasites.wire.outputs import RESIDUAL, OutputContract
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput

_TRIES = 8
_SHORTER = 1 - 1e-6


class Unfit(Exception):
    """What the researcher would read may not leave. `reason` travels; the text stays here."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Compressed:
    """`residual`: what was left out of it, for the next round's update; empty without error feedback."""

    blob: bytes
    residual: Arrays


def compressed(came: Arrays, sent: Arrays, kept: Arrays, contract: OutputContract, most: float | None) -> Compressed:
    """The parameters `came`, which the gate has let out, made from the state `sent`.

    kept: with the last round's residual, if there is any. most: the greatest L2 norm of an update, if there is one.
    Raises Unfit.
    """
    pipeline = contract.pipeline
    if pipeline is None:
        raise ValueError("the study compresses nothing")
    try:
        wanted = _with_residual(pipeline.moved(came, sent), kept)
        check_finite(wanted)
    except InvalidInput as problem:
        raise Unfit(Reason.CONTRACT, problem.message) from None
    share = 1.0
    for _ in range(_TRIES):
        shorter = {n: share * vector if pipeline.changes(n) else vector for n, vector in wanted.items()}
        blob = pipeline.pack(shorter, came)
        read, whole = pipeline.unpack(blob, contract.shapes)
        arrays = pipeline.restored(read, whole, sent, contract.shapes)
        norm = update_norm(arrays, sent) if most is not None else 0.0
        if most is None or norm <= most:
            break
        share *= _SHORTER * most / norm if pipeline.delta and np.isfinite(norm) else 1.0
    else:
        raise Unfit(Reason.NORM, f"what can be read of the compressed model moved further than {most:g}")
    if problems := array_problems(arrays, contract.parameters):
        raise Unfit(Reason.CONTRACT, "; ".join(problems))
    if len(blob) > contract.parameter_bytes:
        raise Unfit(Reason.OUTPUTS, f"{len(blob):,} bytes; at most {contract.parameter_bytes:,} were approved")
    return Compressed(blob, _residual(wanted, read, contract) if pipeline.feedback else {})


def without_residual(kept: Arrays) -> Arrays:
    """Of what stays here, that which is the study code's own."""
    return {name: array for name, array in kept.items() if not name.startswith(RESIDUAL)}


def _with_residual(vectors: Vectors, kept: Arrays) -> Vectors:
    left = {name.removeprefix(RESIDUAL): array for name, array in kept.items() if name.startswith(RESIDUAL)}
    return {n: v + left[n].astype(np.float64).ravel() if n in left else v for n, v in vectors.items()}


def _residual(wanted: Vectors, read: Vectors, contract: OutputContract) -> Arrays:
    most = float(np.finfo(np.float32).max)
    names = [name.removeprefix(RESIDUAL) for name in contract.residual]
    rest = {name: np.clip(wanted[name] - read[name], -most, most).astype(np.float32) for name in names}
    return {RESIDUAL + name: array.reshape(contract.parameters[name].shape) for name, array in rest.items()}
