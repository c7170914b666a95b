"""What study code sees of a table: the approved columns, and a pseudonym in place of the patient key."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.dictionary import Dictionary
from datasites.wire.dictionary_rules import PATIENT
from policies.errors import InvalidInput

_SECRET_BYTES = 16


def study_view(df: pd.DataFrame, dictionary: Dictionary, columns: Sequence[str], secret: bytes) -> pd.DataFrame:
    """A copy of `columns` of a conformed table, in that order and with its rows in theirs, plus `patient`.

    `patient` is an int64 pseudonym (63 bits): the same patient of the same table under the same `secret` (at least
    16 random bytes that never leave the hospital) has the same number. Raises InvalidInput for columns that are
    repeated or not the dictionary's, and for the patient key.
    """
    _check(dictionary, columns)
    if len(secret) < _SECRET_BYTES:
        raise InvalidInput(f"The pseudonym secret is shorter than {_SECRET_BYTES} bytes.", "Make it of random bytes.")
    missing = {dictionary.table.patient_key, *columns} - set(df.columns)
    if missing:
        raise InvalidInput(f"The table lacks {', '.join(sorted(missing))}.", "Conform it to its dictionary first.")
    view = df[list(columns)].copy()
    view[PATIENT] = _pseudonyms(df[dictionary.table.patient_key], dictionary.table.name, secret)
    return view


def count_view(path: Path) -> tuple[int, int]:
    """(rows, patients) of a view that was written as Parquet."""
    patients = pd.read_parquet(path, columns=[PATIENT])[PATIENT]
    return len(patients), int(patients.nunique())


def _check(dictionary: Dictionary, columns: Sequence[str]) -> None:
    if dictionary.table.patient_key in columns:
        raise InvalidInput(
            f"The patient key {dictionary.table.patient_key!r} is never given to a study.",
            f"Use the pseudonym {PATIENT!r}, which every study has.",
        )
    unknown = sorted({name for name in columns if name not in dictionary.columns})
    if unknown:
        raise InvalidInput(
            f"{dictionary.table.name!r} has no column {', '.join(map(repr, unknown))}.", "Choose from its dictionary."
        )
    if len(set(columns)) < len(columns):
        raise InvalidInput("A column is requested twice.", "Name each column once.")


def _pseudonyms(keys: pd.Series[str], table: str, secret: bytes) -> NDArray[np.int64]:
    codes, patients = pd.factorize(keys)
    if (codes < 0).any():
        raise InvalidInput("A row has no patient key.", "Conform the table to its dictionary first.")
    return np.array([_pseudonym(str(patient), table, secret) for patient in patients], dtype=np.int64)[codes]


def _pseudonym(patient: str, table: str, secret: bytes) -> int:
    digest = hmac.digest(secret, f"{table}\0{patient}".encode(), "sha256")
    return int.from_bytes(digest[:8], "big") >> 1
