"""A study's view of a table as the numbers a model is trained on, by the manifest's preparation and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.dictionary_rules import PATIENT
from datasites.wire.images import pixels
from datasites.wire.preparation import CategoryInput, ImageInput, NumberInput, Preparation, Target

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """Encounters: `inputs` [rows, width] and `targets` [rows] are finite; `patients` [rows] are int64 pseudonyms."""

    inputs: Floats
    targets: Floats
    patients: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    def of(self, chosen: NDArray[np.bool_]) -> Rows:
        """Those rows where `chosen` is true."""
        return Rows(self.inputs[chosen], self.targets[chosen], self.patients[chosen])


def prepare(view: pd.DataFrame, preparation: Preparation) -> Rows:
    """Each row by itself: no row's numbers depend on another row. Rows without a target are left out.

    `view` is what `catalog.view.study_view` makes. Whatever it holds gives finite numbers: an error that some patient's
    value could raise would tell of that patient.
    """
    targets, known = _target(view[preparation.target.column], preparation.target)
    blocks = [_block(view[one.column], one).astype(np.float32, copy=False) for one in preparation.inputs]
    rows = Rows(np.concatenate(blocks, axis=1), targets.astype(np.float32), view[PATIENT].to_numpy(np.int64))
    return rows.of(known)


def numbers_of(view: pd.DataFrame, inputs: Iterable[NumberInput | CategoryInput]) -> NDArray[np.float64]:
    """[rows, width]: the columns prepared, from left to right."""
    blocks = [_block(view[one.column], one) for one in inputs]
    return np.concatenate(blocks, axis=1, dtype=np.float64) if blocks else np.zeros((len(view), 0))


def _block(values: pd.Series, one: NumberInput | CategoryInput | ImageInput) -> NDArray[Any]:
    """[rows, width] of one column."""
    return _image(values, one) if isinstance(one, ImageInput) else np.stack(_columns(values, one), axis=1)


def _image(values: pd.Series, one: ImageInput) -> Floats:
    """Without a copy in float64, which would be the largest thing in memory."""
    numbers = pixels(values, one.layout, one.center)
    numbers -= np.float32(one.center)
    numbers /= np.float32(one.scale)
    return np.clip(numbers, np.float32(one.low), np.float32(one.high), out=numbers)


def _columns(values: pd.Series, one: NumberInput | CategoryInput) -> list[NDArray[np.float64]]:
    if isinstance(one, CategoryInput):
        return _category(values, one)
    numbers = _numbers(values)
    missing = np.isnan(numbers)
    stand_in = one.center if one.missing is None else one.missing
    scaled = np.clip((np.where(missing, stand_in, numbers) - one.center) / one.scale, one.low, one.high)
    return [scaled, missing.astype(np.float64)] if one.indicator else [scaled]


def _category(values: pd.Series, one: CategoryInput) -> list[NDArray[np.float64]]:
    codes = (
        pd.Index(one.categories, dtype=object).get_indexer(pd.Index(values, dtype=object)).astype(np.int64)
    )  # -1: none
    if one.encoding == "index":
        return [np.where(codes < 0, len(one.categories), codes).astype(np.float64)]
    return [(codes == number).astype(np.float64) for number in range(len(one.categories))]


def _target(values: pd.Series, target: Target) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The targets, and where there is one."""
    numbers = _numbers(values)
    known = ~np.isnan(numbers)
    filled = np.where(known, numbers, 0.0)
    if target.kind == "binary":
        return (filled > 0.5).astype(np.float64), known
    return np.clip((filled - target.center) / target.scale, target.low, target.high), known


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    """As float64, NaN for what is missing or no finite number."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.isfinite(numbers), numbers, np.nan)
