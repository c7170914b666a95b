"""The model: MONAI's DenseNet, made small for grey images of 48 x 48 pixels.

MONAI's own DenseNet normalises over a batch; this one within each image, so that no running mean or variance of a
hospital's images travels with it.
"""

import numpy as np
import torch
from monai.networks.nets import DenseNet
from torch import nn

Arrays = dict[str, np.ndarray]


def build() -> nn.Module:
    """Takes (images, 1, 48, 48), gives a logit each: `sigmoid` turns it into a probability."""
    return DenseNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        init_features=16,
        growth_rate=8,
        block_config=(2, 2),
        bn_size=2,
        norm=("instance", {"affine": True}),
    )


def from_arrays(arrays: Arrays) -> nn.Module:
    """The network with these parameters. Raises RuntimeError where a name or a shape does not fit."""
    model = build()
    model.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    return model


def to_arrays(model: nn.Module) -> Arrays:
    """Copies, so that training on does not change what was handed out."""
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
