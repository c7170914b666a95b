"""What makes a dictionary sound beyond the shape of its entries, as plain sentences.

The rules read the raw entries and pass over what is malformed, so that one reading of a broken dictionary names the
wrong shapes and the broken rules together.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from datasites.wire.images import DEEPEST, MOST_BYTES, depth_of

MAX_COLUMNS = 2_000
MAX_CATEGORIES = 5_000
PATIENT = "patient"  # the study's pseudonym column
LARGEST = 2.0**53  # beyond it, a float no longer tells two integers apart

_NEEDS = {
    "number": {"range"},
    "integer": {"range"},
    "boolean": set[str](),
    "category": {"categories"},
    "image": {"height", "width", "range"},
}
_BELONGS = {
    "unit": ("number", "integer", "image"),
    "range": ("number", "integer", "image"),
    "typical": ("number", "integer", "image"),
    "prior": ("boolean",),
    "categories": ("category",),
    "height": ("image",),
    "width": ("image",),
    "channels": ("image",),
}
_BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_name(value: str) -> bool:
    """Whether `value` may name a table or a column."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", value) is not None


def text_problem(text: str) -> str | None:
    """Why `text` may not stand in a dictionary, or None. It is shown on terminals and in notebooks of other parties."""
    if not text.strip():
        return "must not be empty"
    if any(_is_hidden(character) for character in text):
        return "must not hold control characters"
    return None


def _is_hidden(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in ("Cc", "Cs") or unicodedata.bidirectional(character) in _BIDI_CONTROLS


def column_problems(entry: Mapping[str, Any]) -> list[str]:
    """Every broken rule of one column entry."""
    entry = {name: value for name, value in entry.items() if value is not None}
    kind, where = entry.get("type"), f"Column {entry.get('name')!r}"
    if not isinstance(kind, str) or kind not in _NEEDS:
        return []
    found = [f"needs `{name}`, as every {kind} does." for name in sorted(_NEEDS[kind] - entry.keys())]
    for name, kinds in _BELONGS.items():
        if name in entry and kind not in kinds:
            found.append(f"has `{name}`, which only {_kinds(kinds)} may have.")
    found += [*_range_problems(kind, entry), *_category_problems(entry.get("categories"))]
    found += _image_problems(entry) if kind == "image" else []
    return [f"{where} {problem}" for problem in found]


def _kinds(kinds: tuple[str, ...]) -> str:
    return " or ".join(f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in kinds)


def _image_bytes(entry: Mapping[str, Any]) -> int:
    """Of one image of this column; 0 for a column of another kind, and where the entry does not say."""
    span, sizes = _pair(entry.get("range")), [entry.get("channels", 1), entry.get("height"), entry.get("width")]
    sound = entry.get("type") == "image" and span and all(type(size) is int for size in sizes)
    return math.prod(sizes) * depth_of(span[1]) if sound and span else 0


def _image_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry.get("missing") is True:
        yield "is an image, which cannot be missing: leave out rows without one."
    span = _pair(entry.get("range"))
    if span and not (span[0] >= 0 and span[1] <= DEEPEST and all(bound.is_integer() for bound in span)):
        yield f"has a `range` that pixels cannot have: whole numbers from 0 to {DEEPEST} can."


def _range_problems(kind: str, entry: Mapping[str, Any]) -> Iterator[str]:
    span, typical = _pair(entry.get("range")), _pair(entry.get("typical"))
    if span and span[0] > span[1]:
        yield "has a `range` whose first number is above its second."
    if span and max(abs(span[0]), abs(span[1])) > LARGEST:
        yield "has a `range` beyond 9007199254740992 (2 to the power 53); use a larger unit."
    if span and kind == "integer" and not all(float(bound).is_integer() for bound in span):
        yield "is an integer, so its `range` must be whole numbers."
    if typical and typical[1] <= 0:
        yield "has a `typical` whose spread (its second number) is not above 0."
    if span and typical and not span[0] <= typical[0] <= span[1]:
        yield "has a `typical` whose centre (its first number) lies outside its `range`."


def _category_problems(categories: Any) -> Iterator[str]:
    if not isinstance(categories, list | tuple):
        return
    words = [word for word in categories if isinstance(word, str)]
    if not categories:
        yield "has no `categories`."
    for word, count in Counter(words).items():
        if count > 1:
            yield f"lists the category {word!r} {count} times."
    if any("\n" in word or "\t" in word for word in words):
        yield "has a category with a line break or a tab."


def _pair(value: Any) -> tuple[float, float] | None:
    """`value` if it is a pair of finite numbers."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    numbers = [float(v) for v in value if type(v) in (int, float) and abs(v) <= 1e300]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def table_problems(entry: Mapping[str, Any]) -> list[str]:
    """Every broken rule among a dictionary's entries; `entry["columns"]` must be a list of column entries."""
    names = [column["name"] for column in entry["columns"] if isinstance(column.get("name"), str)]
    table = entry["table"] if isinstance(entry.get("table"), dict) else {}
    key, target = table.get("patient_key"), table.get("target")
    found = [] if names else ["The table lists no columns."]
    for what, value in [("table name", table.get("name")), ("patient key", key), *[("column name", n) for n in names]]:
        found += [f"The {what} {value!r} {problem}" for problem in _name_problems(value)]
    found += [f"The table lists column {n!r} {count} times." for n, count in Counter(names).items() if count > 1]
    if isinstance(key, str) and key in names:
        found.append(f"The patient key {key!r} is listed as a column; take it out of the columns.")
    if isinstance(target, str) and target not in names:
        found.append(f"The target {target!r} is not a listed column.")
    if any(column.get("type") == "image" for column in entry["columns"] if column.get("name") == target):
        found.append(f"The target {target!r} is an image, which no model here predicts.")
    if sum(_image_bytes(column) for column in entry["columns"]) > MOST_BYTES:
        found.append(f"The images of a row have more than {MOST_BYTES:,} bytes; make them smaller before publishing.")
    return found


def _name_problems(value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        return
    if not is_name(value):
        yield "must be 1 to 64 letters, digits and underscores, not beginning with a digit."
    elif value == PATIENT:
        yield "is reserved: study code finds the pseudonym under it."
