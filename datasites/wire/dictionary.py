"""A table's data dictionary: what a hospital tells the world about a table, and all it tells.

The dictionary is written by hand (TOML), travels as canonical JSON, and its digest is the table's public identity.
Nothing in it is measured from patients' data.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StrictBool, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from datasites.wire.canonical import canonical_json, sha256
from datasites.wire.dictionary_rules import MAX_CATEGORIES, MAX_COLUMNS, column_problems, table_problems, text_problem
from datasites.wire.images import layout
from policies.errors import InvalidInput

Kind = Literal["number", "integer", "boolean", "category", "image"]


def _text(value: str) -> str:
    if problem := text_problem(value):
        raise PydanticCustomError("text", "{problem}", {"problem": problem})
    return value


Text = Annotated[str, Strict(), Field(max_length=2_000), AfterValidator(_text)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Rate = Annotated[float, Strict(), Field(ge=0, le=1)]
Pixels = Annotated[int, Strict(), Field(ge=1, le=4_096)]


class Column(BaseModel):
    """One column: what its values mean and which values are allowed.

    `range` (inclusive) belongs to numbers, integers and the pixels of an image, `categories` to categories. An image
    has a `height`, a `width` and `channels` (1, if left out); how it lies in its cell says `images.Layout`. `typical`
    ([centre, spread]) and `prior` are public knowledge for the mock twin only; no table is checked against them.
    `sensitivity` is the hospital's own word on how much harm a value could do, for those who decide on studies: "high"
    for what few patients share or what patients would least want known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    type: Kind
    description: Text
    unit: Text | None = None
    range: tuple[Number, Number] | None = None
    typical: tuple[Number, Number] | None = None
    categories: Annotated[tuple[Text, ...], Field(max_length=MAX_CATEGORIES)] | None = None
    prior: Rate | None = None
    height: Pixels | None = None
    width: Pixels | None = None
    channels: Annotated[int, Strict(), Field(ge=1, le=16)] | None = None
    sensitivity: Literal["low", "high"] | None = None
    missing: StrictBool = False

    @model_validator(mode="after")
    def _rules(self) -> Self:
        _raise_rules(column_problems(self.model_dump(exclude_none=True)))
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and highest allowed value of a number, an integer, a pixel or a boolean (0 and 1)."""
        return self.range or (0.0, 1.0)

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        words = {"category": ", ".join(self.categories or ()), "boolean": "0 or 1"}
        text = words.get(self.type) or "{:.17g} to {:.17g}".format(*self.bounds)
        if self.type == "image":
            one = layout(self)
            channels = "" if one.channels == 1 else f", {one.channels} channels"
            text = f"{one.height} x {one.width} pixels{channels}, each from {text}: {one.nbytes:,} bytes"
        return f"{text}; may be missing" if self.missing else text


class Table(BaseModel):
    """The table as a whole. `patient_key` names the column that holds the patient; `target` is one of the columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    title: Text
    description: Text
    patient_key: Text
    target: Text


class Dictionary(BaseModel):
    """A table's dictionary. Make one with `from_toml`, `load` or `from_json`, which explain every problem at once."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True)

    table: Table
    listed: tuple[Column, ...] = Field(alias="columns", max_length=MAX_COLUMNS)

    @model_validator(mode="after")
    def _rules(self) -> Self:
        _raise_rules(table_problems(self._payload()))
        return self

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Raises InvalidInput naming every problem of the dictionary."""
        try:
            raw = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"The dictionary is not TOML: {error}.", "Correct the file at that place.") from None
        return cls._parse(_as_list(raw))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The dictionary in a TOML file; raises as `from_toml` does, and if the file cannot be read."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"Cannot read {path}: {error.strerror}.", "Give the dictionary's TOML file.") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{path} is not UTF-8 text.", "Save the dictionary as UTF-8.") from None
        return cls.from_toml(text)

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """The dictionary written by `to_json`. Raises InvalidInput naming every problem."""
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError):
            raise InvalidInput("The dictionary is not JSON.", "Ask its hospital to publish it again.") from None
        return cls._parse(raw)

    @classmethod
    def _parse(cls, raw: Any) -> Self:
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            problems = [*_plain(error, raw), *_rule_problems(raw)]
        listing = "".join(f"\n- {problem}" for problem in dict.fromkeys(problems))
        raise InvalidInput(f"The dictionary cannot be used:{listing}\n", "Correct these entries.")

    def _payload(self) -> dict[str, Any]:
        return self.model_dump(by_alias=True, exclude_defaults=True)

    def to_json(self) -> str:
        """Canonical JSON. The columns are a list in it: their order is part of the table."""
        return canonical_json(_whole_floats_as_integers(self._payload())).decode()

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of `to_json()`."""
        return sha256(self.to_json().encode())

    @cached_property
    def columns(self) -> Mapping[str, Column]:
        """The columns by name, in the table's order; without the patient key."""
        return {column.name: column for column in self.listed}

    def to_frame(self) -> pd.DataFrame:
        """One row per column of the table: column, type, unit, allowed, description."""
        rows = [(c.name, c.type, c.unit or "", c.allowed, c.description) for c in self.listed]
        return pd.DataFrame(rows, columns=["column", "type", "unit", "allowed", "description"])

    def _repr_html_(self) -> str:
        # to_html escapes the cells, so a dictionary from another hospital cannot bring script into a notebook
        summary = pd.Series(self.table.model_dump()).to_frame()
        with pd.option_context("display.max_colwidth", None):
            html = summary.to_html(header=False) + self.to_frame().to_html(index=False, max_rows=None)
        return str(html)


def _raise_rules(problems: list[str]) -> None:
    if problems:
        raise PydanticCustomError("rules", "{text}", {"text": " ".join(problems)})


def _as_list(raw: dict[str, Any]) -> dict[str, Any]:
    """The TOML layout (columns by name) as the JSON layout (a list of columns); other shapes are left to be refused."""
    columns = raw.get("columns")
    if not isinstance(columns, dict):
        return raw
    listed = [{**entry, "name": name} if isinstance(entry, dict) else entry for name, entry in columns.items()]
    return {**raw, "columns": listed}


def _plain(error: ValidationError, raw: Any) -> list[str]:
    """Pydantic's findings as sentences; the rules' findings are left out, `_rule_problems` gives them one by one."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_sentence(entry["loc"], entry["type"], entry["msg"], raw) for entry in found if entry["type"] != "rules"]


def _sentence(loc: tuple[int | str, ...], kind: str, message: str, raw: Any) -> str:
    where, path = _place(loc, raw)
    what = f"`{path[0]}`" if path else "the entry"
    if kind == "missing":
        return f"{where} needs {what}."
    if kind == "extra_forbidden":
        return f"{where} has {what}, which is not an entry of this format."
    return f"{where}: {what} {re.sub('^(Input|String|Tuple) should', 'must', message)}."


def _place(loc: tuple[int | str, ...], raw: Any) -> tuple[str, tuple[int | str, ...]]:
    """What pydantic's location is called by the dictionary's author, and the rest of the location within it."""
    if loc[:1] == ("table",) and len(loc) > 1:
        return "The table", loc[1:]
    if loc[:1] == ("columns",) and len(loc) > 1:
        entry = raw["columns"][loc[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        return (f"Column {name!r}" if isinstance(name, str) else f"Column number {int(loc[1]) + 1}"), loc[2:]
    return "The dictionary", loc


def _rule_problems(raw: Any) -> list[str]:
    if not isinstance(raw, dict):
        return []
    columns = raw.get("columns")
    entries = [entry for entry in columns if isinstance(entry, dict)] if isinstance(columns, list) else []
    found = [problem for entry in entries for problem in column_problems(entry)]
    return [*found, *table_problems({**raw, "columns": entries})]


def _whole_floats_as_integers(value: Any) -> Any:
    """RFC 8785 writes 65.0 as 65; Python's json does not, so [0, 120] and [0.0, 120.0] would have two digests."""
    if isinstance(value, dict):
        return {key: _whole_floats_as_integers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_floats_as_integers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
