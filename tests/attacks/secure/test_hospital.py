"""A hospital's own rounds as secure sums: gate and policy hold before anything is masked; steps keep their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasites.agent.rounds import Answer
from datasites.secagg.participant import Participant
from datasites.wire.identity import Identity
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from datasites.wire.rounds import RoundRequest, encode_request
from datasites.wire.secagg.messages import (
    STEPS,
    SecureReply,
    SecureRequest,
    Step,
    as_bytes,
    as_text,
    decode_secure_reply,
    encode_secure,
    numbers_in,
)
from datasites.wire.secagg.numbers import Part, read, size, written
from researcher.secagg.collector import Collector
from tests.attacks.outputs.ward import EMAIL, POLICY, Ward
from tests.support.secure import terms_of

CODE = b"""
import numpy as np

def fit(parameters, table, config):
    return {"w": parameters["w"] + np.float32(config["round"])}, len(table), {"loss": 0.25}

def evaluate(parameters, table, config):
    return len(table), {}
"""
CONTRACT = OutputContract(
    parameters={"w": ArraySpec(shape=(4,), dtype="float32")},
    fit_metrics=("loss",),
    evaluate_metrics=(),
    evaluate_arrays={},
)
SENT = {"w": np.zeros(4, np.float32)}


class Sums:
    """One real hospital, and two others of which there are the keys alone."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.others = {n: Identity.create(n, folder / f"{n}.json") for n in ("do@a.org", "do@z.org")}
        self.ward = Ward(
            folder / "ward",
            policy,
            code=CODE,
            contract=CONTRACT,
            secure=lambda identity: terms_of({**self.others, EMAIL: identity}),
        )
        self.terms = self.ward.manifest.secure_aggregation
        assert self.terms

    def begin(self, first: int = 1) -> None:
        self.first, study = first, self.ward.manifest.digest
        self.sums = Collector(self.terms, study, first)
        self.at = {name: Participant(who, self.terms, study, first) for name, who in self.others.items()}

    def ask(self, step: Step, arrays: dict[str, Any] | None = None, **more: Any) -> tuple[SecureReply, dict[str, Any]]:
        number = self.first + STEPS.index(step)
        request = SecureRequest(
            study=self.ward.manifest.digest,
            number=number,
            hospital=EMAIL,
            step=step,
            first=self.first,
            round=2,
            evaluate=False,
            fit=True,
            **more,
        )
        return decode_secure_reply(self.answer(number, encode_secure(request, arrays)).plaintext)

    def answer(self, number: int, plaintext: bytes) -> Answer:
        return self.ward.runner.answer(number, plaintext, in_order=True)

    def until_numbers(self, first: int = 1) -> None:
        self.begin(first)
        reply, _ = self.ask("keys")
        assert reply.keys
        self.sums.add_keys(EMAIL, reply.keys)
        for name, one in self.at.items():
            self.sums.add_keys(name, one.keys())
        roster = self.sums.roster()
        self.sums.add_shares(EMAIL, as_bytes(self.ask("shares", roster=roster)[0].sealed))
        for name, one in self.at.items():
            self.sums.add_shares(name, one.shares(roster))

    def numbers(self) -> tuple[SecureReply, dict[str, Any]]:
        return self.ask("numbers", SENT, sealed=as_text(self.sums.shares_for(EMAIL)))


@pytest.fixture
def sums(tmp_path: Path) -> Iterator[Sums]:
    sums = Sums(tmp_path, POLICY)
    yield sums
    sums.ward.close()


def test_what_the_gate_lets_out_is_in_the_sum_and_in_nothing_else(sums: Sums) -> None:
    sums.until_numbers()
    reply, arrays = sums.numbers()
    assert reply.reason is None
    sums.sums.add_numbers(EMAIL, numbers_in(arrays, size(CONTRACT, sums.terms, True, False)))
    for name, one in sums.at.items():
        one.receive(sums.sums.shares_for(name))
        own = written(CONTRACT, sums.terms, SENT, Part(60, {"loss": 0.75}, {"w": np.ones(4, np.float32)}), None)
        sums.sums.add_numbers(name, one.masked(own))
    survivors = sums.sums.survivors
    sums.sums.add_signature(EMAIL, sums.ask("agree", survivors=survivors)[0].signature)
    for name, one in sums.at.items():
        sums.sums.add_signature(name, one.agree(survivors))
    told, _ = sums.ask("unmask", signatures=sums.sums.signatures)
    sums.sums.add_unmasking(EMAIL, as_bytes(told.of_masks), as_bytes(told.of_keys))
    one = sums.at["do@a.org"].unmask(sums.sums.signatures)
    sums.sums.add_unmasking("do@a.org", one.of_masks, one.of_keys)
    fitted, _ = read(CONTRACT, sums.terms, SENT, sums.sums.total(), True, False)
    assert fitted
    assert fitted.examples == 180  # the ward has sixty rows
    np.testing.assert_allclose(fitted.arrays["w"], np.full(4, 4 / 3), atol=1e-6)  # its code was told of round 2
    assert fitted.metrics["loss"] == pytest.approx((0.25 + 2 * 0.75) / 3)
    again, _ = sums.ask("unmask", signatures=sums.sums.signatures)
    assert again.reason == Reason.SECURE
    assert not again.of_masks


def test_the_gates_bounds_hold_before_anything_is_masked(tmp_path: Path) -> None:
    sums = Sums(tmp_path, POLICY.replace("max_update_norm = 10", "max_update_norm = 3.9"))
    try:
        sums.until_numbers()
        reply, arrays = sums.numbers()
        assert (reply.reason, arrays) == (Reason.NORM, {})
        assert sums.ask("agree", survivors=[EMAIL, *sums.others])[0].reason == Reason.SECURE
    finally:
        sums.ward.close()


def test_no_step_is_skipped_and_no_plain_round_is_answered(sums: Sums) -> None:
    sums.begin()
    reply, arrays = sums.ask("numbers", SENT)
    assert (reply.reason, arrays) == (Reason.SECURE, {})
    sums.until_numbers(first=6)
    assert sums.ask("unmask")[0].reason == Reason.SECURE
    assert sums.numbers()[0].reason == Reason.SECURE  # the sum is over
    assert sums.ward.audited() == []
    log = sums.ward.bench.folder / "study.log"
    assert not log.exists()  # nothing has run
    number = 20
    request = RoundRequest(study=sums.ward.manifest.digest, number=number, hospital=EMAIL, evaluate=False, fit=True)
    reply, arrays = decode_secure_reply(sums.answer(number, encode_request(request, SENT)).plaintext)
    assert (reply.reason, arrays) == (Reason.BAD_MESSAGE, {})


def test_a_new_sum_forgets_the_last_one(sums: Sums) -> None:
    sums.until_numbers()
    shares = as_text(sums.sums.shares_for(EMAIL))
    sums.begin(first=6)
    sums.ask("keys")
    sums.first = 1
    assert sums.ask("numbers", SENT, sealed=shares)[0].reason == Reason.SECURE
