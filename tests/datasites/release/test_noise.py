"""Gate noise on the running gate: its shape, what is clipped, and that nothing else speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from datasites.release.gate import Gate, covered
from datasites.release.noise import clipped, noised, update
from datasites.release.terms import Cohort, Rules, Terms
from datasites.runner.replies import encode_result
from datasites.training.private.randomness import SecureRandom
from datasites.wire.arrays import Arrays
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from policies.sections import Release

SIZE = 40_000
CLIP, NOISE = 0.5, 3.0
SIGMAS = 6  # the noise is new at each run: one of a billion is further off
CONTRACT = OutputContract(
    parameters={
        "w": ArraySpec(shape=(SIZE,), dtype="float64"),
        "h": ArraySpec(shape=(2,), dtype="float16"),
        "n": ArraySpec(shape=(3,), dtype="int64"),
    },
    fit_metrics=(),
    evaluate_metrics=(),
    evaluate_arrays={},
)
RULES = Rules(
    release=Release(
        metrics=(),
        arrays={},
        min_cohort=1,
        min_cell=1,
        decimals=3,
        secure_aggregation=False,
        max_update_norm=CLIP,
        gate_noise=NOISE,
    ),
    bytes_per_round=10**6,
    kept_bytes=1000,
    min_patients=1,
    cohort=Cohort(rows=100, patients=50),
    rounding_key="ab" * 32,
)
TERMS = Terms(contract=CONTRACT, rules=RULES)
SENT = {"w": np.linspace(-2, 2, SIZE), "h": np.ones(2, np.float16), "n": np.arange(3)}


def came(**changes: np.ndarray) -> Arrays:
    return {**SENT, **changes}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> list[Arrays]:
    """What the gate lets out of an update of no length, and of one that is a thousand times too long."""
    long = came(w=SENT["w"] + 500 / np.sqrt(SIZE), n=np.array([7, 8, 9]))
    with Gate.start(tmp_path_factory.mktemp("gate") / "log", 1 << 22) as gate:
        verdicts = [gate.examine("fit", encode_result("fit", (p, 50, {})), SENT, 0, TERMS) for p in (SENT, long)]
    assert all(one.released and (one.released.num_examples, one.released.metrics) == (1, {}) for one in verdicts)
    return [one.released.parameters for one in verdicts if one.released]


def test_the_noise_is_gaussian_of_the_stated_deviation(released: list[Arrays]) -> None:
    noise = released[0]["w"] - SENT["w"]
    deviation = NOISE * CLIP
    assert abs(noise.mean()) < SIGMAS * deviation / np.sqrt(SIZE)
    assert abs(noise.std() / deviation - 1) < SIGMAS / np.sqrt(2 * SIZE)
    assert stats.kstest(noise, "norm", (0, deviation)).pvalue > 1e-9
    neighbours = np.corrcoef(noise[:-1], noise[1:])[0, 1]
    assert abs(neighbours) < SIGMAS / np.sqrt(SIZE)


def test_each_release_has_noise_of_its_own(released: list[Arrays]) -> None:
    first, second = (one["w"] - SENT["w"] for one in released)
    assert abs(np.corrcoef(first, second)[0, 1]) < SIGMAS / np.sqrt(SIZE)


def test_an_update_a_thousand_times_too_long_moves_the_model_by_the_clip(released: list[Arrays]) -> None:
    along = np.ones(SIZE) / np.sqrt(SIZE)
    moved = float((released[1]["w"] - SENT["w"]) @ along)
    assert abs(moved - CLIP) < SIGMAS * NOISE * CLIP  # noise along one direction; unclipped it would be 500


def test_whole_numbers_leave_as_they_were_sent(released: list[Arrays]) -> None:
    assert [one["n"].tolist() for one in released] == [[0, 1, 2]] * 2


def test_the_clip_is_exact_and_over_all_arrays_together() -> None:
    moved = update(came(w=SENT["w"] + 3, h=np.array([9, 1], np.float16)), SENT)
    assert len(moved) == SIZE + 2
    short = clipped(moved, CLIP)
    assert np.linalg.norm(short) == pytest.approx(CLIP, rel=1e-12)
    assert short @ moved == pytest.approx(CLIP * np.linalg.norm(moved), rel=1e-12)
    within = moved * (0.9 * CLIP / np.linalg.norm(moved))
    assert clipped(within, CLIP).tobytes() == within.tobytes()


@pytest.mark.parametrize("number", [1e308, -1e308, np.inf, np.nan, 5e-324])
def test_no_number_makes_the_update_longer(number: float) -> None:
    moved = update(came(w=np.full(SIZE, number)), SENT)
    assert np.linalg.norm(clipped(moved, CLIP)) <= CLIP * (1 + 1e-12)


def test_two_tables_move_the_sum_by_twice_the_clip_at_most() -> None:
    """The same noise for both: what differs is what the ledger's event allows, with its half of sigma."""
    key, up, down = bytes(32), came(w=SENT["w"] + 1e6), came(w=SENT["w"] - 1e6)
    one, other = (noised(p, SENT, CLIP, NOISE, SecureRandom(key)).parameters["w"] for p in (up, down))
    assert np.linalg.norm(one - other) == pytest.approx(2 * CLIP, rel=1e-6)


def test_noise_alone_when_nothing_may_leave() -> None:
    alone = covered(None, SENT, TERMS).released
    assert alone
    assert abs((alone.parameters["w"] - SENT["w"]).std() / (NOISE * CLIP) - 1) < SIGMAS / np.sqrt(2 * SIZE)


@pytest.mark.parametrize(
    ("task", "result", "why"),
    [
        ("fit", (SENT, 50, {"loss": 0.5}), "metric 'loss' has no noise"),
        ("evaluate", (50, {}), "an evaluation has no noise"),
    ],
)
def test_nothing_leaves_that_the_noise_does_not_cover(task: str, result: tuple, why: str, tmp_path: Path) -> None:
    contract = CONTRACT.model_copy(update={"fit_metrics": ("loss",)})
    terms = Terms(contract=contract, rules=RULES)
    with Gate.start(tmp_path / "log", 1 << 22) as gate:
        verdict = gate.examine(task, encode_result(task, result), SENT, 0, terms)  # type: ignore[arg-type]
    assert (verdict.released, verdict.reason) == (None, Reason.OUTPUTS)
    assert any(why in line for line in verdict.details)
