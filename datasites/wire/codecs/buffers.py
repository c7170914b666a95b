"""BatchNorm's running means and variances, told by PyTorch's names for them. They are statistics and no weights: what
is left out of one cannot be added later, and a variance that rounding makes negative is the end of a model."""

from __future__ import annotations

_RUNNING = ("running_mean", "running_var")


def is_buffer(name: str) -> bool:
    return name.rsplit(".", 1)[-1] in _RUNNING
