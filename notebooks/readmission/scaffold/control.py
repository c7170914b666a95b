"""The hospital's part of SCAFFOLD: Karimireddy et al. (2020), Algorithm 1, option II.

Each local step goes along the gradient corrected by c - c_i: what all hospitals' gradients are on average, less what
this hospital's own are. c, the server's control variate, comes with the model as the arrays `control/NAME`. c_i is this
hospital's own: it stays here from round to round, as an array NAME for each parameter, and is zero in the first.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

Arrays = dict[str, np.ndarray]
CONTROL = "control/"


def with_controls(model: Arrays, trained: Iterable[str]) -> Arrays:
    """The first state: the model, and a control variate of zeros for each array that is trained."""
    return model | {CONTROL + name: np.zeros_like(model[name]) for name in trained}


def split(state: Arrays) -> tuple[Arrays, Arrays]:
    """The model, and c by the names of the model's arrays."""
    model = {name: array for name, array in state.items() if not name.startswith(CONTROL)}
    return model, {name: state[CONTROL + name] for name in model if CONTROL + name in state}


def joined(model: Arrays, control: Arrays, before: Arrays, after: Arrays) -> Arrays:
    """What goes back: the trained model, and c + c_i⁺ - c_i in the place of c."""
    return model | {CONTROL + name: c + after[name] - before[name] for name, c in control.items()}


def own(kept: Arrays, control: Arrays) -> Arrays:
    """c_i as the last round left it."""
    return kept or {name: np.zeros_like(array) for name, array in control.items()}


def train(
    model: torch.nn.Module,
    batches: Iterable[Any],
    loss: Callable[[torch.nn.Module, Any], torch.Tensor],
    control: Arrays,
    before: Arrays,
    rate: float,
) -> tuple[Arrays, list[float]]:
    """Trains `model` in place, one step of SGD a batch. Returns c_i⁺ = c_i - c + (x - y_i) / (steps * rate), and the
    loss before each step. control: c. before: c_i."""
    start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    correction = {name: torch.from_numpy(control[name] - before[name]) for name in start}
    losses = []
    for batch in batches:
        model.zero_grad()
        value = loss(model, batch)
        value.backward()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter -= rate * (parameter.grad + correction[name])
        losses.append(value.item())
    steps = max(len(losses), 1) * rate
    moved = {name: ((start[name] - p.detach()) / steps).numpy() for name, p in model.named_parameters()}
    return {name: before[name] - control[name] + moved[name] for name in moved}, losses
