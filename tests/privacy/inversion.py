"""Gradient inversion: a patient's record from the update that was made of it.

For a first layer of weights W and biases b, and one record x, the gradients are g x^T and g: their quotient is x, to
the last digit (Phong et al. 2018; Geiping et al. 2020, "Inverting gradients"). Where noise was added, the best guess at
x's direction is the first right singular vector of W's gradient. What is measured is the cosine of the guess and the
record, beside that of a guess at random.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import nn

from datasites.training.private.loop import load
from datasites.training.private.study import TrustedStudy
from datasites.wire.arrays import Arrays
from datasites.wire.preparation import NumberInput, Preparation, Target
from datasites.wire.training import Optimizer, Training
from researcher.tracing import initial_parameters, trace
from tests.privacy.canaries import of_the_training

WIDTH, HIDDEN, RATE, TRIALS = 48, 16, 0.1, 60
LAYER = "0.weight"


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))


def training(noise: float) -> Training:
    names = [f"x{number}" for number in range(WIDTH)]
    return Training(
        graph=trace(model(), WIDTH),
        preparation=Preparation(inputs=tuple(NumberInput(column=n) for n in names), target=Target(column="y")),
        optimizer=Optimizer(learning_rate=RATE),
        steps=1,
        sampling_rate=1.0,
        expected_lot=1.0,
        clip=1.0,
        noise_multiplier=noise,
        encounters=1,
    )


def record(seed: int) -> np.ndarray:
    """One patient's numbers, [WIDTH], as the model gets them."""
    return np.random.default_rng(seed).normal(size=WIDTH).clip(-5, 5)


def initial() -> Arrays:
    return initial_parameters(model())


def raw_update(x: np.ndarray) -> Arrays:
    """What a study of the reviewed tier returns after one plain step of SGD on this patient alone."""
    module = load(training(1.0).graph, initial())
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    logit = module(torch.from_numpy(x)[None]).reshape(())
    nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor(1.0, dtype=torch.float64)).backward()
    optimizer.step()
    return {name: value.detach().numpy().astype(np.float32) for name, value in module.named_parameters()}


def private_update(x: np.ndarray, noise: float) -> Arrays:
    """What the private tier returns of a table in which there is nobody but this patient."""
    table = pd.DataFrame(x[None], columns=[f"x{number}" for number in range(WIDTH)])
    return TrustedStudy(training(noise), table.assign(y=1, patient=of_the_training(1))).fit(initial())[0]


def exact(update: Arrays) -> np.ndarray:
    """The record, by the quotient of the first layer's gradients."""
    weight, bias = _gradient(update, "0.weight"), _gradient(update, "0.bias")
    row = int(np.argmax(np.abs(bias)))
    return np.asarray(weight[row] / bias[row])


def closeness(update: Arrays, x: np.ndarray) -> float:
    """|cosine| of the record and the best guess at its direction, in [0, 1]."""
    guess = np.linalg.svd(_gradient(update, LAYER))[2][0]
    return float(abs(guess @ x) / np.linalg.norm(x))


def chance() -> np.ndarray:
    """`closeness` of guesses made without any update."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(20_000, WIDTH))
    return np.asarray(np.abs(directions[:, 0]) / np.linalg.norm(directions, axis=1))


def _gradient(update: Arrays, name: str) -> np.ndarray:
    return (initial()[name].astype(np.float64) - update[name]) / RATE
