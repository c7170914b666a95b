"""The model: a small convolutional network for grey images of 48 x 48 pixels, some 14,000 numbers.

It normalises within each image and not over a batch, so that no running mean or variance of a hospital's images travels
with it, and an image's score depends on no other image.
"""

import numpy as np
import torch
from torch import nn

Arrays = dict[str, np.ndarray]


def build() -> nn.Module:
    """Takes (images, 1, 48, 48), gives a logit each: `sigmoid` turns it into a probability."""
    return nn.Sequential(
        *_block(1, 16, 5, 2),
        *_block(16, 32, 3, 2),
        *_block(32, 32, 3, 1),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 1),
    )


def _block(inputs: int, outputs: int, side: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, side, stride, side // 2), nn.GroupNorm(outputs, outputs), nn.ReLU()]


def from_arrays(arrays: Arrays) -> nn.Module:
    """The network with these parameters. Raises RuntimeError where a name or a shape does not fit."""
    model = build()
    model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return model


def to_arrays(model: nn.Module) -> Arrays:
    """Copies, so that training on does not change what was handed out."""
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
