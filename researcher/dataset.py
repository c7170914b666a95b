"""A hospital's published dataset, as a researcher sees it: dictionary and mock twin, never a real row."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasites.wire.canonical import sha256
from datasites.wire.card import CARD_FILE, DICTIONARY_FILE, TWIN_FILE, verify_card
from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.identity import PublicIdentity
from datasites.wire.images import from_cell, image_columns, layout
from datasites.wire.shown import Drawing, bars, heading, paragraph, table
from policies.errors import Refused

_BARS = 16  # of a distribution
_IMAGES = 20  # whose pixels are looked at for it


@dataclass(frozen=True, repr=False)
class Dataset:
    """`twin` has the columns and types of the real table and none of its content."""

    hospital: str
    hospital_name: str
    name: str
    title: str
    dictionary: Dictionary
    _twin: bytes = field(repr=False)

    @classmethod
    def open(cls, folder: Path, hospital: PublicIdentity) -> Dataset:
        """Reads what Syft has synced. Raises Refused unless the hospital signed exactly these bytes."""
        try:
            card = verify_card((folder / CARD_FILE).read_bytes(), hospital)
            twin = (folder / TWIN_FILE).read_bytes()
            dictionary = Dictionary.from_json((folder / DICTIONARY_FILE).read_bytes())
        except OSError:
            raise Refused(f"The dataset {folder.name!r} of {hospital.email} is incomplete.", "Sync again.") from None
        if sha256(twin) != card.twin or dictionary.digest != card.dictionary or dictionary.table.name != card.dataset:
            raise Refused(f"The dataset {folder.name!r} of {hospital.email} was changed after they signed it.")
        return cls(card.hospital, card.hospital_name or card.hospital, card.dataset, card.title, dictionary, twin)

    @cached_property
    def twin(self) -> pd.DataFrame:
        """The mock twin in the dictionary's types, with the patient key as text."""
        types: dict[str, Any] = {self.dictionary.table.patient_key: str}
        types |= {n: str for n, column in self.dictionary.columns.items() if column.type in ("category", "image")}
        frame = pd.read_csv(BytesIO(self._twin), dtype=types, keep_default_na=False, na_values=[""])
        for name, column in self.dictionary.columns.items():
            if column.type == "category":
                frame[name] = pd.Categorical(frame[name], categories=list(column.categories or ()))
            elif column.type == "image":
                frame[name] = pd.Series([from_cell(cell) for cell in frame[name]], dtype=object)
            elif column.type == "boolean" and not column.missing:
                frame[name] = frame[name].astype("int8")
            elif column.type == "number" or column.missing:
                frame[name] = frame[name].astype("float64")
        return frame

    def _repr_html_(self) -> str:
        head = heading(self.title, f"{self.name}, at {self.hospital_name} ({self.hospital})")
        described = self.dictionary.table
        about = paragraph(described.description) + paragraph(f"To be predicted, mostly: {described.target}.")
        rows = [
            (name, column.type, column.unit, column.allowed, self._sketch(column), column.description)
            for name, column in self.dictionary.columns.items()
        ]
        columns = table(["column", "type", "unit", "allowed", "in the mock twin", "description"], rows)
        return head + about + columns + paragraph("Mock twin (invented rows):") + str(self._head().to_html())

    def __repr__(self) -> str:
        return f"<Dataset: {self.name}; at {self.hospital}; {len(self.dictionary.columns)} columns>"

    def _head(self) -> pd.DataFrame:
        head = self.twin.head()
        return head.assign(**dict.fromkeys(image_columns(self.dictionary), "pixels"))

    def _sketch(self, column: Column) -> Drawing:
        values = self.twin[column.name]
        if column.type == "image":  # its pixels
            shown = [layout(column).numbers(cell) for cell in values.head(_IMAGES)]
            values = pd.Series(np.concatenate(shown), name=column.name)
        return _sketch(values)


def _sketch(column: pd.Series[Any]) -> Drawing:
    """Its distribution in the twin, which is invented."""
    present = column.dropna()
    if isinstance(column.dtype, pd.CategoricalDtype) or present.nunique() <= _BARS:
        counts = present.value_counts(sort=False).sort_index().tolist()
    else:
        counts = np.histogram(present.to_numpy(float), _BARS)[0].tolist()
    return bars(counts, f"distribution of {column.name} in the mock twin")
