"""The model: a small network of 42 inputs, hidden layers of 128, 64 and 32, and one output.

Between hospitals it travels as a dictionary of NumPy arrays with the names of PyTorch's `state_dict`: weights, biases
and BatchNorm's running means, variances and counters. That is everything a model is, and nothing else.
"""

import numpy as np
import torch
from torch import nn

Arrays = dict[str, np.ndarray]


def build() -> nn.Sequential:
    """A new network with random weights. Its output is a logit: `sigmoid` turns it into a probability."""
    return nn.Sequential(*_block(42, 128, 0.3), *_block(128, 64, 0.3), *_block(64, 32, 0.2), nn.Linear(32, 1))


def _block(inputs: int, outputs: int, dropout: float) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]


def from_arrays(arrays: Arrays) -> nn.Sequential:
    """The network with these parameters. Raises RuntimeError where a name or a shape does not fit."""
    model = build()
    model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return model


def to_arrays(model: nn.Module) -> Arrays:
    """Copies, so that training on does not change what was handed out."""
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
