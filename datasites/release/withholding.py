"""Small cells in tables that count every patient once in each row: the gate withholds them, and others to cover them.

Primary suppression takes the cells of 1 to `least` - 1. One such cell alone would follow from the row's total, which
leaves as the number of examples, and several could be forced to their greatest values. So complementary suppression
withholds others of the row until those that are gone, two or more, hold `least` each on average: then a small cell can
be anything from 1 to `least` - 1 to whoever knows the total. A row that does not come to that is withheld as a whole.

Which cells go to cover others depends on their places alone, not on their counts: to take the smallest, as is common,
would tell that it was the smallest (the minimality attack; Wong et al., VLDB 2007). The terms are those of Hundepool
et al., Statistical Disclosure Control (2012), chapter 4. Rows are looked at one by one: what follows from one row about
another, such as columns that add up to a third, is for those to see who approve the study.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Table = NDArray[Any]
COVER = -1


def withheld(table: Table, least: int) -> Table:
    """What stands in the place of each cell of a table of counts, of shape (rows, cells): -`least` for one that is
    smaller, `COVER` for one that is withheld to cover others, and 0 for one that may leave."""
    return np.array([_of_row(row.tolist(), least) for row in table], table.dtype).reshape(table.shape)


def _of_row(counts: list[int], least: int) -> list[int]:
    small = {cell for cell, count in enumerate(counts) if 0 < count < least}
    if not small:
        return [0] * len(counts)
    hidden = set(small)
    for cell in _outwards(min(small), len(counts)):
        if _covered(hidden, counts, least):
            break
        if counts[cell]:
            hidden.add(cell)
    if not _covered(hidden, counts, least):  # not even which are small
        return [COVER] * len(counts)
    return [-least if cell in small else COVER if cell in hidden else 0 for cell in range(len(counts))]


def _covered(hidden: set[int], counts: list[int], least: int) -> bool:
    return sum(counts[cell] for cell in hidden) >= least * max(2, len(hidden))


def _outwards(middle: int, length: int) -> list[int]:
    """All places but `middle`, the nearest first: bins beside each other are withheld together."""
    return sorted(set(range(length)) - {middle}, key=lambda place: (abs(place - middle), place))
