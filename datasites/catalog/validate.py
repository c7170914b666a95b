"""Holding a table to its dictionary: `check` names every violation, `conform` returns the table in its exact types.

Violations count rows and name columns; they hold no cell. They are for the hospital's own eyes all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from datasites.catalog.columns import Reading, Rule, read_column, read_key
from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.dictionary_rules import is_name
from policies.errors import InvalidInput


@dataclass(frozen=True)
class Violation:
    """One rule that a table breaks: in which column, in how many rows (0: the table as a whole), and what to change."""

    column: str
    rule: Rule
    rows: int
    change: str

    def __str__(self) -> str:
        rows = f" ({self.rows} {'row' if self.rows == 1 else 'rows'})" if self.rows else ""
        return f"{self.column}: {self.rule}{rows}: {self.change}"


def check(df: pd.DataFrame, dictionary: Dictionary, *, drop_unlisted: bool = False) -> list[Violation]:
    """Every violation of the dictionary in `df`, as read from its source. Empty means that `conform` will accept it."""
    return _examine(df, dictionary, drop_unlisted)[1]


def conform(df: pd.DataFrame, dictionary: Dictionary, *, drop_unlisted: bool = False) -> pd.DataFrame:
    """`df` as a new frame: the patient key as text, then the listed columns in order, rows numbered from 0.

    Types: number float64; integer int64; boolean int8 (0/1), an integer or a boolean that may be missing float64;
    category Categorical over all categories of the dictionary; image bytes. Columns not in the dictionary are refused,
    or left out with `drop_unlisted`. Raises InvalidInput listing every violation.
    """
    values, violations = _examine(df, dictionary, drop_unlisted)
    if violations:
        listing = "".join(f"\n- {violation}" for violation in violations)
        raise InvalidInput(
            f"The table does not fit its dictionary {dictionary.table.name!r}:{listing}\n",
            "Correct the source, or the dictionary where it is wrong.",
        )
    return pd.DataFrame(values)


def _examine(
    df: pd.DataFrame, dictionary: Dictionary, drop_unlisted: bool
) -> tuple[dict[str, pd.Series[Any]], list[Violation]]:
    violations = list(_structure(df, dictionary, drop_unlisted))
    usable = {str(name) for name, count in df.columns.value_counts().items() if count == 1}
    values: dict[str, pd.Series[Any]] = {}
    for name, read, column in _readers(dictionary):
        if name in usable:
            reading = read(df[name])
            values[name] = reading.values
            violations += _faults(name, reading, column)
    return values, violations


def _readers(
    dictionary: Dictionary,
) -> Iterator[tuple[str, Callable[[pd.Series[Any]], Reading], Column | None]]:
    yield dictionary.table.patient_key, read_key, None
    for column in dictionary.listed:
        yield column.name, partial(read_column, column=column), column


def _structure(df: pd.DataFrame, dictionary: Dictionary, drop_unlisted: bool) -> Iterator[Violation]:
    wanted = [dictionary.table.patient_key, *dictionary.columns]
    present = list(df.columns)
    if not set(wanted) & set(present):
        # without a header, the first patient's values stand where names should: say nothing of them
        yield Violation("(table)", "absent", 0, "none of the dictionary's columns is here; give a table with a header")
        return
    if df.empty:
        yield Violation("(table)", "empty", 0, "give a table with rows")
    for name in wanted:
        if name not in present:
            yield Violation(name, "absent", 0, "add it to the table, or take it out of the dictionary")
        elif present.count(name) > 1:
            yield Violation(name, "repeated", 0, "keep one column of this name")
    if not drop_unlisted:
        yield from _unlisted([name for name in present if name not in set(wanted)])


def _unlisted(names: list[Any]) -> Iterator[Violation]:
    change = "take it out of the table, add it to the dictionary, or drop unlisted columns"
    named = [name for name in names if isinstance(name, str) and is_name(name)]
    for name in named:
        yield Violation(name, "unlisted", 0, change)
    if len(named) < len(names):
        yield Violation(f"({len(names) - len(named)} columns with unusual names)", "unlisted", 0, change)


def _faults(name: str, reading: Reading, column: Column | None) -> Iterator[Violation]:
    for rule, mask in reading.faults.items():
        if rows := int(mask.sum()):
            yield Violation(name, rule, rows, _change(rule, column))


def _change(rule: Rule, column: Column | None) -> str:
    if column is None:
        return _KEY_CHANGES[rule]
    return _CHANGES[rule].format(type=column.type, allowed=column.allowed)


_KEY_CHANGES: dict[Rule, str] = {
    "missing": "leave out rows without a patient, or give each a key of its own",
    "type": "the patient key must be text or a number",
    "precision": "the patient key was read as decimals and lost digits; deliver it as text",
}
_CHANGES: dict[Rule, str] = {
    "missing": "fill these rows, or write missing = true in the dictionary",
    "type": "make them a {type}: {allowed}",
    "whole": "make them whole numbers, or the column a number",
    "range": "bring them into {allowed}, or correct the range",
    "shape": "make every image of {allowed}; a cell holds its pixels alone, without a file's header",
    "category": "use one of the dictionary's categories, or add theirs",
}
