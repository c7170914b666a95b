"""The settings of a datasite, from their types."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from datasites.settings import FILE, DatasiteSettings

_ABOUT = f"""
A datasite reads `{FILE}` in its home folder. Each setting can be given as an environment variable instead, which wins
over the file: `sync_seconds` as `WARDROUND_SYNC_SECONDS`, `limits.memory_bytes` as `WARDROUND_LIMITS__MEMORY_BYTES`,
with two underscores for the dot. `WARDROUND_HOME` names the home folder, as `--home` does. Made from the code.

What a wrong setting is told with names it, and `wardround` ends with exit code 1.
"""
_HEAD = "| setting | what it is | default | type |\n|---|---|---|---|\n"


def page() -> str:
    rows = "".join(
        f"| `{name}` | {info.description or ''} | {_default(info)} | {kind(info)} |\n"
        for name, info in fields(DatasiteSettings)
    )
    return f"# Settings of a datasite\n{_ABOUT}\n{_HEAD}{rows}"


def undocumented() -> list[str]:
    return [name for name, info in fields(DatasiteSettings) if not info.description]


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field by its name in the file, those of sections too."""
    for name, info in model.model_fields.items():
        sections = [one for one in (info.annotation, *get_args(info.annotation)) if _is_section(one)]
        if sections:
            yield from fields(sections[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def kind(info: FieldInfo) -> str:
    """The field's type and bounds in words."""
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "max_length": "length at most"}
    bounds = [
        f"{text} {getattr(one, bound):,}"
        for one in info.metadata
        for bound, text in words.items()
        if getattr(one, bound, None) is not None
    ]
    return ", ".join([_type(info.annotation), *bounds])


def _type(annotation: Any) -> str:
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in plain:
        return plain[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in inner if one is not type(None))
    if origin is dict:
        return "table"
    if origin in (tuple, list):
        return "list"
    if origin is not None and all(isinstance(one, str) for one in inner):  # Literal
        return " or ".join(f'`"{one}"`' for one in inner)
    return _type(inner[0]) if inner else str(annotation)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    return "" if value in ("", None) or value == {} else f"`{str(value).lower() if isinstance(value, bool) else value}`"
