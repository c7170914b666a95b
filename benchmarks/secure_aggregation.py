"""What a secure sum costs: seconds and bytes, by hospitals and numbers of parameters.

    python -m benchmarks secure_aggregation       # LARGE=0 leaves the 25 million parameters out

All hospitals and their researcher in this process, one after another, with their real keys and signatures; the store
and the training are left out. Prints a RESULT of one JSON for each size: the processor's seconds of one hospital (mean)
in each step, of the researcher with nobody gone and with a third of the hospitals gone after the shares were dealt,
bytes that one hospital sends and is sent besides the state, and the bytes of a model as it is; `error`: the largest
difference of a mean from that of float64, `peak_gigabytes`: of this process.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from datasites.secagg.participant import Participant
from datasites.wire.identity import Identity
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.secagg.messages import SecureReply, SecureRequest, as_text, encode_secure, numbers_out
from datasites.wire.secagg.numbers import Part, read, written
from datasites.wire.secagg.terms import SecureAggregation
from researcher.secagg.collector import Collector

SMALL, LARGE = 14_000, 25_000_000
SIZES = ((3, SMALL), (20, SMALL), (100, SMALL), (3, LARGE), (20, LARGE))
STUDY = "a" * 64
Result = TypeVar("Result")


class Clock:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, what: str, work: Callable[[], Result]) -> Result:
        began = time.process_time()
        found = work()
        self.seconds[what] = self.seconds.get(what, 0.0) + time.process_time() - began
        return found


def main() -> int:
    """Returns the exit status."""
    large = os.environ.get("LARGE", "1") != "0"
    with tempfile.TemporaryDirectory() as folder:
        people = [Identity.create(f"do@h{i:03d}.org", Path(folder) / f"{i}.json") for i in range(100)]
        for count, size in SIZES:
            if size == SMALL or large:
                print("RESULT " + json.dumps(_measured(people[:count], size)), flush=True)
    return 0


def _measured(people: list[Identity], size: int) -> dict[str, Any]:
    terms = SecureAggregation(hospitals={one.email: one.public.fingerprint for one in people})
    gone = {one.email for one in people[: len(people) - terms.threshold]}
    whole, error = _run(people, terms, size, set())
    part, _ = _run(people, terms, size, gone)
    hospitals = len(people)
    each = {
        what: round(whole[what] / hospitals, 4) for what in ("keys", "shares", "numbers", "masks", "agree", "unmask")
    }
    return {
        "hospitals": hospitals,
        "parameters": size,
        "threshold": terms.threshold,
        "hospital_seconds": each,
        "hospital_total_seconds": round(sum(each.values()), 4),
        "researcher_seconds": round(whole["researcher"], 3),
        "researcher_seconds_with_a_third_gone": round(part["researcher"], 3),
        "bytes_sent_by_a_hospital": round(whole["sent"] / hospitals),
        "bytes_sent_to_a_hospital": round(whole["came"] / hospitals),
        "bytes_of_the_model": 4 * size,
        "bits": terms.bits,
        "error": error,
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def _run(people: list[Identity], terms: SecureAggregation, size: int, gone: set[str]) -> tuple[dict[str, float], float]:
    contract = OutputContract(
        parameters={"w": ArraySpec(shape=(size,), dtype="float32")},
        fit_metrics=(),
        evaluate_metrics=(),
        evaluate_arrays={},
    )
    sent, clock = {"w": np.zeros(size, np.float32)}, Clock()
    sums, traffic = Collector(terms, STUDY, 1), {"sent": 0, "came": 0}
    at = {one.email: Participant(one, terms, STUDY, 1) for one in people}
    there = [name for name in at if name not in gone]
    draw = np.random.default_rng(0)
    model = draw.normal(scale=0.01, size=size).astype(np.float32)

    def count(name: str, reply: dict[str, Any], more: dict[str, Any], arrays: dict[str, Any] | None = None) -> None:
        about = {"study": STUDY, "hospital": name}
        request = SecureRequest(**about, number=1, step="keys", first=1, round=1, evaluate=False, fit=True, **more)
        traffic["came"] += len(encode_secure(request))
        traffic["sent"] += len(encode_secure(SecureReply(**about, number=1, request="0" * 64, **reply), arrays))

    for name, one in at.items():
        told = clock("keys", one.keys)
        count(name, {"keys": told}, {})
        clock("researcher", lambda n=name, k=told: sums.add_keys(n, k))
    roster = clock("researcher", sums.roster)
    for name, one in at.items():
        sealed = clock("shares", lambda o=one: o.shares(roster))
        count(name, {"sealed": as_text(sealed)}, {"roster": roster})
        clock("researcher", lambda n=name, s=sealed: sums.add_shares(n, s))
    for index, name in enumerate(there):
        shares = clock("researcher", lambda n=name: sums.shares_for(n))
        part = Part(100 + index, {}, {"w": model + np.float32(index / 1000)})
        numbers = clock("numbers", lambda p=part: written(contract, terms, sent, p, None))
        at[name].receive(shares)
        masked = clock("masks", lambda n=name, x=numbers: at[n].masked(x))
        count(name, {}, {"sealed": as_text(shares)}, numbers_out(masked))
        clock("researcher", lambda n=name, m=masked: sums.add_numbers(n, m))
    survivors = sums.survivors
    for name in there:
        signature = clock("agree", lambda n=name: at[n].agree(survivors))
        count(name, {"signature": signature}, {"survivors": survivors})
        clock("researcher", lambda n=name, s=signature: sums.add_signature(n, s))
    signatures = sums.signatures
    for name in there:
        told = clock("unmask", lambda n=name: at[n].unmask(signatures))
        shares = {"of_masks": as_text(told.of_masks), "of_keys": as_text(told.of_keys)}
        count(name, shares, {"signatures": signatures})
        clock("researcher", lambda n=name, t=told: sums.add_unmasking(n, t.of_masks, t.of_keys))
    fitted, _ = clock("researcher", lambda: read(contract, terms, sent, sums.total(), True, False))
    weights = 100 + np.arange(len(there))
    exact = model.astype(np.float64) + np.average(np.arange(len(there)) / 1000, weights=weights)
    assert fitted is not None
    assert fitted.examples == weights.sum()
    error = float(np.abs(fitted.arrays["w"] - exact).max())
    return {**clock.seconds, **traffic}, error


if __name__ == "__main__":
    sys.exit(main())
