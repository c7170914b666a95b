"""A policy with gate noise: code that copies rows into the model, fails on purpose, or takes the gate over, tells
nothing beyond what the ledger has charged."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from datasites.release.layout import write
from datasites.release.terms import Cohort, terms_of
from datasites.runner.errors import NotStarted
from datasites.runner.replies import Outcome
from datasites.wire.reasons import Reason
from datasites.wire.rounds import decode_reply
from policies.errors import Refused
from policies.policy import Policy
from policies.privacy.accounting import epsilon
from policies.privacy.events import Gaussian
from tests.attacks.outputs.test_gate import _fake
from tests.attacks.outputs.ward import CONTRACT, POLICY, ROWS, Ward

CLIP, NOISE, ROUNDS, DELTA = 10, 30, 12, 1e-6
COVERED = f"{POLICY}gate_noise = {NOISE}\n[budget]\nepsilon_per_study = 3\nepsilon_total = 10\ndelta = {DELTA}\n"
COPY_ROWS, FAILS = 30, (1, 5, 6, 9, 10, 13, 14, 17, 25, 26)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    ward = Ward(tmp_path / "home", COVERED, ROUNDS)
    yield ward
    ward.close()


def charged(ward: Ward) -> tuple[object, ...]:
    return ward.state.ledger.spent("stays", study=ward.manifest.digest)


def started(ward: Ward) -> int:
    return ward.state.audit.rows("SELECT count(*) FROM audit_entries WHERE kind = 'run_started'")[0][0]


def test_rows_copied_into_the_model_cannot_be_read(ward: Ward) -> None:
    rows = ward.table["days"].to_numpy()[:4].astype(np.float64)
    clipped = rows * CLIP / np.linalg.norm(rows)
    seen = []
    for _ in range(ROUNDS):
        answer = ward.round(COPY_ROWS, evaluate=False)
        reply, parameters, arrays = decode_reply(answer.plaintext)
        assert (answer.outcome, arrays, reply.seconds) == ("released", {}, 0.0)
        assert reply.fit
        assert (reply.fit.num_examples, reply.fit.metrics) == (1, {})
        assert parameters["ids"].tolist() == [0] * 8
        seen.append(parameters["w"].astype(np.float64))
    assert ward.held() == []
    errors = np.array(seen) - clipped
    assert 0.4 < errors.std() / (NOISE * CLIP) < 1.7  # 48 numbers: less than one run of a million is outside
    # even all rounds together, scaled back as only somebody could who knew how long the row is
    guess = np.mean(seen, axis=0) * np.linalg.norm(rows) / CLIP
    assert np.linalg.norm(guess - rows) > 10  # a single day may be guessed by chance, all four are not
    # and all of it costs what dp-accounting says of so many Gaussians, at half of the noise
    assert charged(ward) == (Gaussian(NOISE / 2, ROUNDS, "hospital"),)
    spent = epsilon(ward.state.ledger.spent("stays"), DELTA)
    assert spent == pytest.approx(by_formula(NOISE / 2, ROUNDS, DELTA), rel=1e-3)
    runs = started(ward)
    assert ward.round(COPY_ROWS, evaluate=False).outcome == Reason.BUDGET
    assert started(ward) == runs  # the code did not run


def by_formula(noise: float, rounds: int, delta: float) -> float:
    """Balle and Wang 2018, of the sum of all rounds."""
    mu = rounds**0.5 / noise
    spent = lambda eps: norm.cdf(mu / 2 - eps / mu) - np.exp(eps) * norm.cdf(-mu / 2 - eps / mu) - delta  # noqa: E731
    return float(brentq(spent, 0, 100))


def test_failing_on_purpose_says_nothing(ward: Ward) -> None:
    """Each kind of failure is answered as success is, and others see the audit log grow by as much."""
    sizes, replies = [], []
    for act in (COPY_ROWS, *FAILS):
        before = ward.state.audit.size
        answer = ward.round(act, evaluate=False)
        sizes.append(ward.state.audit.size - before)
        reply, parameters, _ = decode_reply(answer.plaintext)
        assert (answer.outcome, reply.reason, reply.seconds) == ("released", None, 0.0)
        assert np.abs(parameters["w"]).max() > 1
        replies.append(len(answer.plaintext))
    assert len(set(sizes)) == 1
    assert max(replies) - min(replies) < 8  # the round's number grows
    assert len(charged(ward)) == 1


def test_an_evaluation_is_refused_before_the_code_runs(ward: Ward) -> None:
    assert ward.round(COPY_ROWS, evaluate=True).outcome == Reason.OUTPUTS
    assert (started(ward), charged(ward)) == (0, ())


class _Full:
    """A cluster without room."""

    def start(self, launch: object, should_stop: object) -> NoReturn:
        raise NotStarted("The cluster did not start the job.")


def test_a_study_that_was_not_started_is_not_charged_for_that_round(ward: Ward) -> None:
    ward.bench._executor, here = _Full(), ward.bench._executor
    assert ward.round(COPY_ROWS, evaluate=False).outcome == Reason.NOT_STARTED
    assert (started(ward), charged(ward)) == (1, ())
    ward.bench._executor = here
    assert ward.round(COPY_ROWS, evaluate=False).outcome == "released"
    assert charged(ward) == (Gaussian(NOISE / 2, 1, "hospital"),)


def test_a_gate_that_dies_lets_nothing_out_and_the_round_is_charged(ward: Ward) -> None:
    ward.round(COPY_ROWS, evaluate=False)
    assert ward.bench._gate
    os.kill(ward.bench._gate.pid, signal.SIGKILL)
    answer = ward.round(COPY_ROWS, evaluate=False)
    assert (answer.outcome, decode_reply(answer.plaintext)[1]) == (Reason.HOSPITAL, {})
    assert charged(ward) == (Gaussian(NOISE / 2, 2, "hospital"),)


def test_a_gate_that_was_taken_over_gets_noise_out(ward: Ward) -> None:
    rows = np.array([61, 72, 83, 94], np.float32)
    sent = {"w": np.zeros(4, np.float32), "ids": np.zeros(8, np.int64), "act": np.asarray(0)}
    outcome = Outcome({**sent, "w": rows, "ids": np.arange(8)}, ROWS, {"loss": 61.0})
    policy = Policy.from_toml(COVERED)
    terms = terms_of(ward.manifest, policy, Cohort(rows=ROWS, patients=30), b"secret")
    with _fake(b"+" + write("fit", outcome, CONTRACT)) as fake:
        released = fake.examine("fit", b"", sent, 0, terms).released
    assert released
    assert (released.num_examples, released.metrics, released.parameters["ids"].tolist()) == (1, {}, [0] * 8)
    assert np.linalg.norm(released.parameters["w"] - rows) > 1


def test_less_noise_than_was_paid_for_lets_nothing_out(ward: Ward) -> None:
    ward.round(COPY_ROWS, evaluate=False)
    for policy in (COVERED.replace("gate_noise = 30", "gate_noise = 1"), POLICY):
        ward.policy(policy)
        with pytest.raises(Refused, match="not the one that this round has paid for"):
            ward.bench.cover({}, float(NOISE))
    ward.policy(COVERED.replace("gate_noise = 30", "gate_noise = 40"))
    assert ward.round(COPY_ROWS, evaluate=False).outcome == Reason.HOSPITAL  # another plan than the first round's
