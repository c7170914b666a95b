"""How a table's columns become a model's inputs, said in data: the private tier's stand-in for a study's own code.

Every constant is written in the manifest before anybody looks at a row. Nothing is measured from the table, so
preparing it discloses nothing, and what one patient's rows become depends on no other patient.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from datasites.wire.dictionary import Column, Dictionary
from datasites.wire.dictionary_rules import MAX_CATEGORIES
from datasites.wire.images import MOST_BYTES, Depth, Layout, layout
from datasites.wire.values import Frozen, Identifier, Positive, Real

Pixels = Annotated[int, Field(ge=1, le=4_096)]
CLIP = 5.0  # one odd entry must not dominate a lot


class NumberInput(Frozen):
    """clip((x - center) / scale, low, high), of a number, an integer or a boolean. One input; two with `indicator`.

    missing: what stands for a missing value, in the column's own unit; `center` if left out.
    indicator: a second input, 1 where the value is missing.
    """

    kind: Literal["number"] = "number"
    column: Identifier
    center: Real = 0.0
    scale: Positive = 1.0
    low: Real = -CLIP
    high: Real = CLIP
    missing: Real | None = None
    indicator: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low >= self.high:
            raise ValueError("`low` must be below `high`")
        return self

    @property
    def width(self) -> int:
        """How many of the model's inputs it makes."""
        return 1 + self.indicator


class CategoryInput(Frozen):
    """A category among `categories`, in this order, which are all of the dictionary's.

    one-hot: an input for each, 1 at the value and 0 elsewhere; all are 0 where it is missing. index: one input, the
    number of the category, for an embedding; a missing value has the number after the last.
    """

    kind: Literal["category"] = "category"
    column: Identifier
    categories: tuple[Annotated[str, Field(max_length=2_000)], ...] = Field(
        strict=False, min_length=1, max_length=MAX_CATEGORIES
    )
    encoding: Literal["one-hot", "index"] = "one-hot"

    @property
    def width(self) -> int:
        """How many of the model's inputs it makes."""
        return len(self.categories) if self.encoding == "one-hot" else 1


class ImageInput(Frozen):
    """clip((x - center) / scale, low, high) of every pixel, in the order in which they lie in the cell. The model gets
    them in one row, and arranges them first: `x.reshape(-1, *shape)`.

    shape: (channels, height, width), and depth: the bytes of a pixel; both as the dictionary has them.
    """

    kind: Literal["image"] = "image"
    column: Identifier
    shape: tuple[Pixels, Pixels, Pixels] = Field(strict=False)
    depth: Depth = 1
    center: Real = 0.0
    scale: Positive = 1.0
    low: Real = -CLIP
    high: Real = CLIP

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.low >= self.high:
            raise ValueError("`low` must be below `high`")
        if self.width * self.depth > MOST_BYTES:
            raise ValueError(f"an image has at most {MOST_BYTES:,} bytes")
        return self

    @property
    def width(self) -> int:
        """How many of the model's inputs it makes."""
        return math.prod(self.shape)

    @property
    def layout(self) -> Layout:
        """How it lies in its cell."""
        return Layout(*self.shape, self.depth)


class Target(Frozen):
    """What the model is to predict; rows without it are left out.

    binary: a boolean column, as it is. number: clip((x - center) / scale, low, high), bounded as inputs are.
    """

    column: Identifier
    kind: Literal["binary", "number"] = "binary"
    center: Real = 0.0
    scale: Positive = 1.0
    low: Real = -CLIP
    high: Real = CLIP


TabularInput = Annotated[NumberInput | CategoryInput, Field(discriminator="kind")]
Input = Annotated[NumberInput | CategoryInput | ImageInput, Field(discriminator="kind")]


class Preparation(Frozen):
    """The model's inputs from left to right, and its target."""

    inputs: tuple[Input, ...] = Field(strict=False, min_length=1, max_length=2_000)
    target: Target

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [one.column for one in self.inputs]
        if len(set(names)) < len(names):
            raise ValueError("a column is an input twice")
        if self.target.column in names:
            raise ValueError("the target is an input too")
        return self

    @property
    def width(self) -> int:
        """How many numbers the model gets for a row."""
        return sum(one.width for one in self.inputs)

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of the table, the target last."""
        return (*(one.column for one in self.inputs), self.target.column)

    def problems(self, dictionary: Dictionary) -> list[str]:
        """Every way in which it does not fit a table, as sentences; empty when it does."""
        unknown = [name for name in self.columns if name not in dictionary.columns]
        if unknown:
            return [f"The table has no column {', '.join(unknown)}."]
        found = [input_problem(one, dictionary.columns[one.column]) for one in self.inputs]
        return [problem for problem in [*found, _target_problem(self.target, dictionary)] if problem]


_ARTICLES = {"integer": "an", "image": "an"}
_KINDS = {"number": "a NumberInput", "category": "a CategoryInput", "image": "an ImageInput"}


def standard_input(column: Column) -> NumberInput | CategoryInput | ImageInput:
    """What is usual for a column, by nothing but its public dictionary entry.

    A number and a pixel are centred and scaled by `typical`, or by the middle and half the width of the range; a
    boolean is 0 or 1, less its `prior` if it has one (which shortens gradients, so that less is clipped); a category is
    one-hot. What is missing is 0, or 0.5 for a boolean without prior; what may be missing gets an indicator.
    """
    if column.type == "category":
        return CategoryInput(column=column.name, categories=column.categories or ())
    if column.type == "boolean":
        prior = column.prior
        missing = 0.5 if prior is None else prior
        return NumberInput(column=column.name, center=prior or 0.0, missing=missing, indicator=column.missing)
    low, high = column.bounds
    center, scale = column.typical or ((low + high) / 2, (high - low) / 2)
    if column.type == "image":
        image = layout(column)
        return ImageInput(column=column.name, shape=image.shape, depth=image.depth, center=center, scale=scale or 1.0)
    return NumberInput(column=column.name, center=center, scale=scale or 1.0, indicator=column.missing)


def standard_inputs(
    dictionary: Dictionary, columns: Iterable[str]
) -> tuple[NumberInput | CategoryInput | ImageInput, ...]:
    """`standard_input` of each of these columns. Raises KeyError for a column that the table does not have."""
    return tuple(standard_input(dictionary.columns[name]) for name in columns)


def input_problem(one: NumberInput | CategoryInput | ImageInput, column: Column) -> str | None:
    """Why it does not fit a column of the dictionary, as a sentence; None when it does."""
    needed = {"category": "category", "image": "image"}.get(column.type, "number")
    if one.kind != needed:
        return f"{column.name!r} is {_ARTICLES.get(column.type, 'a')} {column.type}: give it as {_KINDS[needed]}."
    if isinstance(one, ImageInput) and one.layout != layout(column):
        return f"{column.name!r} has images of another size than the dictionary says."
    if isinstance(one, CategoryInput) and one.categories != column.categories:
        return f"{column.name!r} has other categories than the dictionary says; list all of them in its order."
    return None


def _target_problem(target: Target, dictionary: Dictionary) -> str | None:
    kind = dictionary.columns[target.column].type
    if target.kind == "binary" and kind != "boolean":
        return f"The target {target.column!r} is no boolean, and only a boolean can be a binary target."
    if kind in ("category", "image"):
        return f"The type of the target {target.column!r} is {kind}, which cannot be a number."
    return None
