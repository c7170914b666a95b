"""From the table's cells to what a network takes."""

import numpy as np
import pandas as pd
import torch

SIDE = 48
CENTER, SCALE = 90, 60  # round numbers of the dictionary: nothing is measured from a hospital's images


def inputs(table: pd.DataFrame) -> torch.Tensor:
    """float32 of (images, 1, 48, 48). A cell holds one byte a pixel, row by row from the top."""
    pixels = np.frombuffer(b"".join(table["radiograph"]), np.uint8).reshape(-1, 1, SIDE, SIDE)
    return (torch.from_numpy(pixels.astype(np.float32)) - CENTER) / SCALE


def labels(table: pd.DataFrame) -> torch.Tensor:
    """float32 of (images,): 1 where a nodule was reported."""
    return torch.from_numpy(table["nodule"].to_numpy(dtype=np.float32, copy=True))


def varied(images: torch.Tensor) -> torch.Tensor:
    """Left and right exchanged in half of them, and each brightened or darkened, as by another scanner."""
    flip = torch.rand(len(images)) < 0.5
    turned = torch.where(flip[:, None, None, None], images.flip(3), images)
    gain, shift = 1 + 0.1 * torch.randn(len(images), 1, 1, 1), 0.1 * torch.randn(len(images), 1, 1, 1)
    return turned * gain + shift
