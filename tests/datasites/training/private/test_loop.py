from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from datasites.training.clipping import clipped_sum
from datasites.training.prepare import Rows
from datasites.training.private.loop import load, tensors, train
from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom
from datasites.wire.preparation import NumberInput, Preparation, Target
from datasites.wire.training import Optimizer
from tests.support.private import GRAPH, WIDTH, linear, rows, state, training

KEY = b"k" * 32
STILL = 1e-9  # no noise to speak of, where a test wants to see what is under it


def quiet(**changes: object) -> object:
    """A training without noise, which no manifest can ask for."""
    return training(**changes).model_copy(update={"noise_multiplier": STILL})


def lot_sum(table: Rows, encounters: int, clip: float, weight: float) -> np.ndarray:
    gradients = clipped_sum(load(GRAPH, state(weight)).train(), "binary_cross_entropy", clip)
    random = SecureRandom(KEY)
    sums = [gradients(*tensors(lot)).sums for lot in Patients(table, encounters).draw(1.0, random)]
    return np.concatenate([sum(one[name].detach().numpy() for one in sums).ravel() for name in ("weight", "bias")])


@pytest.mark.parametrize("weight", [0.3, 50.0, 1e30])
def test_taking_out_any_one_patient_moves_the_clipped_sum_by_at_most_the_clip(weight: float) -> None:
    table, clip = rows(40), 0.8
    whole = lot_sum(table, 4, clip, weight)
    assert np.isfinite(whole).all()
    moved = [np.linalg.norm(whole - lot_sum(table.of(table.patients != p), 4, clip, weight)) for p in range(40)]
    assert max(moved) <= clip * (1 + 2**-20)
    if weight < 1:
        assert max(moved) > 0.99 * clip  # and the bound is reached


def test_a_patient_of_many_encounters_moves_it_no_more() -> None:
    few = rows(10)
    many = Rows(np.full((500, WIDTH), 5, np.float32), np.zeros(500, np.float32), np.full(500, 99))
    both = Rows(*(np.concatenate(pair) for pair in zip(vars(few).values(), vars(many).values(), strict=True)))
    moved = lot_sum(both, 100, 1.0, 0.3) - lot_sum(few, 100, 1.0, 0.3)
    assert np.linalg.norm(moved) == pytest.approx(1.0)


def test_without_noise_a_step_is_the_sum_over_the_public_constant() -> None:
    table = rows(30)
    asked = quiet(steps=1, sampling_rate=1.0, encounters=4, expected_lot=70.0, optimizer=Optimizer(learning_rate=0.5))
    after = train(state(), Patients(table, 4), asked, SecureRandom(KEY))  # type: ignore[arg-type]
    expected = lot_sum(table, 4, 1.5, 0.3)[:WIDTH] / 70
    assert state()["weight"][0] - after["weight"][0] == pytest.approx(0.5 * expected, rel=1e-4)
    assert after["weight"].dtype == np.float32


def test_twice_the_patients_move_it_twice_as_far() -> None:
    """The sums are never divided by how many patients there are (Opacus issues 571 and 819)."""
    table = rows(30)
    double = Rows(*(np.concatenate([one, one]) for one in (table.inputs, table.targets)), np.arange(2 * len(table)))
    single = Rows(table.inputs, table.targets, np.arange(len(table)))
    asked = quiet(steps=1, sampling_rate=1.0, encounters=1)
    moves = [
        train(state(), Patients(one, 1), asked, SecureRandom(KEY))["weight"] - state()["weight"]  # type: ignore[arg-type]
        for one in (single, double)
    ]
    assert moves[1] == pytest.approx(2 * moves[0], rel=1e-3)


def test_the_noise_of_a_step_is_what_is_claimed_in_an_empty_table_too() -> None:
    many = 2_000
    inputs = tuple(NumberInput(column=f"x{number}") for number in range(many))
    asked = training(
        graph=linear(many),
        preparation=Preparation(inputs=inputs, target=Target(column="y")),
        steps=1,
        noise_multiplier=3.0,
        expected_lot=10.0,
        optimizer=Optimizer(learning_rate=1.0),
    )
    nobody = Patients(Rows(np.zeros((0, many), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)), 1)
    before = {"weight": np.zeros((1, many), np.float32), "bias": np.zeros(1, np.float32)}
    moves = [train(before, nobody, asked, SecureRandom.fresh())["weight"] for _ in range(3)]
    claimed = 3.0 * 1.5 / 10
    # six sigmas, as the noise is new at each run
    assert np.std(moves) == pytest.approx(claimed, rel=6 / math.sqrt(2 * 3 * many))
    assert np.mean(moves) == pytest.approx(0, abs=6 * claimed / math.sqrt(3 * many))


def test_two_runs_never_share_noise() -> None:
    table = Patients(rows(20), 2)
    runs = [train(state(), table, training(), SecureRandom.fresh())["weight"] for _ in range(2)]
    assert not np.array_equal(*runs)


def test_fedprox_pulls_towards_the_state_the_round_began_with() -> None:
    table = Patients(rows(40), 4)
    free = quiet(steps=20, sampling_rate=1.0)
    held = free.model_copy(update={"proximal": 1.0})  # type: ignore[attr-defined]
    moves = [
        np.abs(train(state(), table, one, SecureRandom(KEY))["weight"] - state()["weight"]).sum()
        for one in (free, held)
    ]
    assert moves[1] < 0.7 * moves[0]


def test_a_round_may_give_the_mean_of_its_states() -> None:
    table = Patients(rows(40), 4)
    states = []
    for steps in (1, 2):
        last = quiet(steps=steps, sampling_rate=1.0, encounters=4)
        states.append(train(state(), table, last, SecureRandom(KEY))["weight"])  # type: ignore[arg-type]
    averaged = quiet(steps=2, sampling_rate=1.0, encounters=4, optimizer=Optimizer(learning_rate=0.5, average=1.0))
    mean = train(state(), table, averaged, SecureRandom(KEY))["weight"]  # type: ignore[arg-type]
    assert mean == pytest.approx((states[0] + states[1]) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "optimizer", [Optimizer(learning_rate=0.5, momentum=0.5), Optimizer(name="adam", learning_rate=0.1)]
)
def test_every_optimizer_learns_through_the_noise(optimizer: Optimizer) -> None:
    table = rows(600)
    asked = training(steps=40, noise_multiplier=1.0, expected_lot=300.0, optimizer=optimizer)
    after = train(state(0.0), Patients(table, 2), asked, SecureRandom.fresh())
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(table.inputs @ after["weight"][0] + after["bias"]), torch.from_numpy(table.targets)
    )
    assert after["weight"][0, 0] > 0.15
    assert loss < math.log(2) - 0.1
