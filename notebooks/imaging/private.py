"""The study's network as the private tier takes it: one row of pixels in, one logit out."""

from torch import nn

from notebooks.imaging.synthetic import SIZE


def network() -> nn.Module:
    """Convolutions, and normalisation within each image: nothing in it mixes two patients' images."""
    return nn.Sequential(
        nn.Unflatten(1, (1, SIZE, SIZE)),
        *_block(1, 16, 5),
        *_block(16, 32, 3),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 1),
    )


def _block(inputs: int, outputs: int, side: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, side, 2, side // 2), nn.GroupNorm(outputs, outputs), nn.ReLU()]
