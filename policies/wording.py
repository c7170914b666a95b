"""What pydantic finds wrong in a policy, in the words of the person who wrote it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError

_Place = tuple[int | str, ...]
_PLAIN = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list in brackets",
    "dict_type": "must be a section of its own",
    "model_type": "must be a section of its own",
}


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One sentence for each problem of a file that `model` describes."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return list(dict.fromkeys(_sentence(entry["loc"], entry["type"], entry["msg"], model) for entry in found))


def _sentence(loc: _Place, kind: str, message: str, model: type[BaseModel]) -> str:
    path = [part for part in loc if isinstance(part, str) and part != "[key]"]
    if kind == "rule":
        return f"{_section(path)}: {message}."
    where, name = _section(path[:-1]), f"`{path[-1]}`"
    if kind == "missing":
        return f"{where} needs {name if path[1:] or path == ['title'] else f'the section [{path[0]}]'}."
    if kind == "extra_forbidden":
        return f"{where} has {name}, which is no entry of a policy{_meant(path, model)}"
    if "[key]" in loc:
        return f"{where} has {name}, which {message}."
    entry = next((f", entry {part + 1}," for part in loc if isinstance(part, int)), "")
    return f"{where}: {name}{entry} {_PLAIN.get(kind) or re.sub(r'^Input should', 'must', message)}."


def _section(path: Sequence[str]) -> str:
    return f"[{'.'.join(path)}]" if path else "The policy"


def _meant(path: Sequence[str], model: type[BaseModel]) -> str:
    """The entry that a misspelt one resembles."""
    for section in path[:-1]:
        model = _nested(model, section)
    close = difflib.get_close_matches(path[-1], list(model.model_fields), 1)
    return f"; did you mean `{close[0]}`?" if close else "."


def _nested(model: type[BaseModel], section: str) -> type[BaseModel]:
    annotation = model.model_fields[section].annotation
    kinds = [annotation, *get_args(annotation)]
    return next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
