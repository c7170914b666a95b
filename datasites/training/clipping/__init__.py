"""Per-patient gradient clipping: one method a file."""

from datasites.training.clipping.base import ClippedBatch, ClippedSum
from datasites.training.clipping.choose import clipped_sum

__all__ = ["ClippedBatch", "ClippedSum", "clipped_sum"]
