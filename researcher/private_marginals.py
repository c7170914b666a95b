"""How hospitals' patients spread over the cells of columns and of pairs of columns: with noise, and charged.

asked = wr.PrivateMarginals("anchor", "Pre-train a model", "readmissions", columns, epsilon=1, around="readmitted_30d")
submission = federation.submit(asked, federation.rehearse(asked))
anchor = wr.anchor(submission, federation.datasets("readmissions")[0].dictionary)     # once the hospitals have approved
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import ValidationError

from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.marginals import Binned, Marginals
from policies.errors import InvalidInput
from researcher.cost import Cost
from researcher.errors import unusable
from researcher.private_statistics import PrivateStatistics
from researcher.spread import Spread


@dataclass(frozen=True, repr=False)
class PrivateMarginals(PrivateStatistics):
    """To be rehearsed and submitted as a `PrivateStatistics` is, and then made an anchor of with `anchor`.

    around: a column, mostly the one to be predicted: then only its pairs with each other column are counted, which
    needs far less noise than all pairs, and gives synthetic patients whose columns agree with it, and with each other
    only as far as follows from that.
    bins: of a number; cut by the dictionary's `typical` and `range`, or where `edges` says for that column. Fewer bins
    mean more patients in each, against the same noise.
    """

    around: str | None = None
    bins: int = 6
    edges: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def statistics(self, dictionary: Dictionary) -> Marginals:
        """What hospitals are asked for. Raises InvalidInput."""
        self._check_columns(dictionary)
        if self.bins < 2:
            raise InvalidInput("A number must be cut into at least 2 bins.")
        if unknown := [name for name in self.edges if name not in self.columns]:
            raise InvalidInput(f"There are edges for {', '.join(unknown)}, which is not asked for.")
        noise = self._noise()
        try:
            inputs = tuple(self._binned(dictionary.columns[name]) for name in self.columns)
            return Marginals(inputs=inputs, around=self.around, encounters=self.encounters, noise_multiplier=noise)
        except ValidationError as error:
            raise unusable(error) from None

    def cost(self) -> Cost:
        """Of all of it together."""
        return dataclasses.replace(super().cost(), released="Counts of cells and of pairs of cells")

    def _binned(self, column: Column) -> Binned:
        if column.type == "image":
            raise InvalidInput(f"{column.name!r} is an image, which has no cells to count.", "Leave it out.")
        if column.type == "category":
            return Binned(column=column.name, categories=column.categories or (), missing=column.missing)
        given = tuple(float(edge) for edge in self.edges.get(column.name, ()))
        return Binned(column=column.name, edges=given or _edges(column, self.bins), missing=column.missing)


def _edges(column: Column, bins: int) -> tuple[float, ...]:
    """As many patients in each, if they are as the dictionary expects them; between whole numbers where it holds
    whole numbers, and between all of them where there are no more than `bins`. Raises InvalidInput."""
    low, high = column.bounds
    if not low < high:
        raise InvalidInput(f"{column.name!r} has one allowed value, so there is nothing to ask.", "Leave it out.")
    whole = column.type != "number"
    if whole and high - low < bins:
        return tuple(float(value) for value in np.arange(low, high) + 0.5)
    edges = Spread(column).quantiles(np.arange(1, bins) / bins)
    placed = np.floor(edges) + 0.5 if whole else edges
    return tuple(float(edge) for edge in np.unique(placed) if low < edge < high)
