"""Flower's strategies over Wardround's hospitals; needs the extra `wardround[flower]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.errors import Unavailable

if TYPE_CHECKING:
    from researcher.flower.grid import WardroundGrid
    from researcher.participation import ApprovedStudy


def flower_grid(submission: ApprovedStudy, deadline: float = 600) -> WardroundGrid:
    """A Flower `Grid` of the hospitals of an approved study (or a simulated one); see `WardroundGrid`.

    Raises Unavailable where Flower is not installed.
    """
    try:
        from researcher.flower.grid import WardroundGrid
    except ModuleNotFoundError as missing:
        if missing.name != "flwr":
            raise
        raise Unavailable("Flower is not installed.", "pip install 'wardround[flower]'") from None
    return WardroundGrid(submission, deadline)


__all__ = ["flower_grid"]
