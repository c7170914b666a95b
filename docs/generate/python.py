"""The researcher's library, from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import researcher

_ABOUT = """
Everything that `import researcher as wr` offers. Made from the code; a test pins the names, and `CHANGELOG.md` tells of
changes. What begins with an underscore, and modules that are not named here, may change without a word.
"""
_HEADINGS = {"function": "Functions", "error": "Errors", "class": "Classes", "module": "Modules"}
_OWN = ("__call__", "__getitem__", "__iter__")


def page() -> str:
    parts = ["# Python: `import researcher as wr`\n", _ABOUT]
    for kind, heading in _HEADINGS.items():
        parts.append(f"\n## {heading}\n")
        parts += [_entry(name, thing) for name, thing in public() if _kind(thing) == kind]
    return "".join(parts)


def undocumented() -> list[str]:
    """Public names, and public methods of classes, without a docstring."""
    found = []
    for name, thing in public():
        if not _docstring(thing):
            found.append(name)
        if _kind(thing) in ("class", "module"):
            found += [f"{name}.{each}" for each, member in members(thing) if not _docstring(member)]
    return found


def public() -> Iterator[tuple[str, Any]]:
    for name in researcher.__all__:
        yield name, getattr(researcher, name)


def members(thing: Any) -> Iterator[tuple[str, Any]]:
    """Public functions, methods and properties, in the order of the source; of a class, those of its bases in our code
    too."""
    if inspect.ismodule(thing):
        for name, member in vars(thing).items():
            if inspect.isfunction(member) and member.__module__ == thing.__name__ and not name.startswith("_"):
                yield name, member
        return
    seen: set[str] = set()
    for base in thing.__mro__:
        if base.__module__.split(".")[0] not in ("researcher", "datasites", "policies"):
            continue
        for name, member in vars(base).items():
            if name in seen or (name.startswith("_") and name not in _OWN):
                continue
            if _callable(member) or _property(member):
                seen.add(name)
                yield name, member


def _kind(thing: Any) -> str:
    if inspect.ismodule(thing):
        return "module"
    if inspect.isclass(thing):
        return "error" if issubclass(thing, Exception) else "class"
    return "function"


def _entry(name: str, thing: Any) -> str:
    signature = "" if inspect.ismodule(thing) else _signature(thing)
    text = f"\n### `wr.{name}`\n\n```python\nwr.{name}{signature}\n```\n\n{_text(thing)}\n"
    if _kind(thing) in ("class", "module"):
        text += "".join(_member(each, member) for each, member in members(thing))
    return text


def _member(name: str, member: Any) -> str:
    call = f"{name}{_signature(member)}" if _callable(member) else name
    shown = f"```python\n{call}\n```" if "\n" in call else f"**`{call}`**"
    return f"\n{shown}\n\n{_text(member)}\n"


def _callable(member: Any) -> bool:
    return inspect.isfunction(member) or isinstance(member, classmethod | staticmethod)


def _property(member: Any) -> bool:
    return isinstance(member, property) or type(member).__name__ == "cached_property"


def _signature(thing: Any) -> str:
    """As one would write it, a parameter a line where it is long; of pydantic's models, types without their bounds."""
    plain = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
    try:
        found = inspect.signature(plain)
    except ValueError:  # an error takes what Exception takes
        return "(...)"
    written = [_parameter(one) for name, one in found.parameters.items() if name not in ("self", "cls")]
    if keywords := [one.kind for one in found.parameters.values()].count(inspect.Parameter.KEYWORD_ONLY):
        written.insert(len(written) - keywords, "*")
    returned = found.return_annotation
    tail = "" if returned in (None, "None", inspect.Signature.empty) else f" -> {_type(returned)}"
    line = f"({', '.join(written)}){tail}"
    return line if len(line) < 90 else "(\n    " + ",\n    ".join(written) + f",\n){tail}"


def _parameters(thing: Any) -> set[str]:
    """What a docstring may explain: parameters, fields and properties."""
    plain = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
    try:
        names = set(inspect.signature(plain).parameters)
    except (TypeError, ValueError):
        names = set()
    return names | ({*vars(thing), *getattr(thing, "__annotations__", {})} if inspect.isclass(thing) else set())


def _parameter(one: inspect.Parameter) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}.get(one.kind, "")
    kind = "" if one.annotation is one.empty else f": {_type(one.annotation)}"
    return f"{stars}{one.name}{kind}{'' if one.default is one.empty else f' = {_value(one.default)}'}"


def _value(default: Any) -> str:
    text = repr(default)
    return "..." if "factory" in text else text


def _type(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin in (Union, UnionType):
        return " | ".join(_type(one) for one in inner)
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if one is ... else _type(one) for one in inner)}]"
    return "None" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def _docstring(thing: Any) -> str:
    plain = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
    text = inspect.getdoc(plain) or ""
    generated = inspect.isclass(thing) and re.match(rf"{thing.__name__}\(", text)  # by dataclass
    return "" if generated else text


def _text(thing: Any) -> str:
    """A docstring as Markdown: a line that begins with a parameter's name becomes an item of a list; what is aligned
    by hand, such as code, is kept as it is."""
    lines = _docstring(thing).splitlines()
    if any(re.search(r"\S {3,}\S", line) for line in lines):
        return "```text\n" + "\n".join(lines) + "\n```"
    parameters = _parameters(thing)

    def item(found: re.Match[str]) -> str:
        names = found[1].split(", ")
        return f"- `{'`, `'.join(names)}`: " if set(names) <= parameters else found[0]

    named = [re.sub(r"^((?:\w+, )*\w+): (?=\S)", item, line) for line in lines]
    out: list[str] = []
    for line in named:
        starts = line.startswith("- `")
        if starts and out and out[-1] and not out[-1].startswith(("- `", "  ")):
            out.append("")
        inside = bool(out) and out[-1].startswith(("- `", "  ")) and line and not starts
        out.append(f"  {line}" if inside else line)
    return "\n".join(out)
