"""Every place where code spells a name that a reader should stop at. Spelled is enough: it need not be called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from policies.code.finding import Kind
from policies.code.names import Bindings, imported_modules
from policies.code.tables import (
    ANYWHERE,
    ATTRIBUTES,
    BUILTINS,
    EXEMPT,
    MODULES,
    PARTS,
    PATHS,
    PLAIN_DUNDERS,
    PREFIXES,
)

Found = tuple[Kind, str]
_DUNDER = re.compile(r"__[A-Za-z]\w*__")


def reference_findings(node: ast.AST, names: Bindings) -> Iterator[Found]:
    """What one node of the syntax tree spells."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from _of_import(node)
    elif isinstance(node, ast.Name):
        yield from _of_name(node, names)
    elif isinstance(node, ast.Attribute):
        for path in sorted(names.outside(node.value)) or [""]:
            yield from of_attribute(path, node.attr)
    elif isinstance(node, ast.MatchClass):  # `case object(__class__=x)` reads attributes without a dot
        for attribute in node.kwd_attrs:
            yield from of_attribute("", attribute)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _of_text(node.value)


def of_attribute(path: str, attribute: str) -> Iterator[Found]:
    """`attribute` of the outside name `path`, or of anything, if that is empty."""
    dotted = f"{path}.{attribute}"
    if dotted not in EXEMPT and (kind := _attribute_kind(path, attribute)):
        yield kind, dotted


def _attribute_kind(path: str, attribute: str) -> Kind | None:
    if kind := PATHS.get(f"{path}.{attribute}") or ATTRIBUTES.get(attribute):
        return kind
    if (module := attribute.lstrip("_")) in ANYWHERE:  # random._os
        return MODULES[module]
    if odd_dunder(attribute) or (path and _is_private(attribute)):
        return "reflection"
    prefixed = next((kind for prefix, kind in PREFIXES.items() if attribute.startswith(prefix)), None)
    return (MODULES.get(path.split(".")[0]) or PARTS.get(attribute) or prefixed) if path else None


def _of_import(node: ast.Import | ast.ImportFrom) -> Iterator[Found]:
    for module in imported_modules(node):
        top, *parts = module.split(".")
        if kind := MODULES.get(top) or ("reflection" if _is_private(top) else None):
            yield kind, f"import {module}"
        path = top
        for part in parts:
            yield from of_attribute(path, part)
            path = f"{path}.{part}"
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if alias.name == "*":
                yield "unreadable", f"from {node.module or '.'} import *, which does not say what it imports"
            elif not node.level:
                yield from of_attribute(node.module or "", alias.name)


def _of_name(node: ast.Name, names: Bindings) -> Iterator[Found]:
    if kind := BUILTINS.get(node.id):
        yield kind, node.id
    elif odd_dunder(node.id):
        yield ("reflection" if isinstance(node.ctx, ast.Load) else "monkeypatch"), node.id
    for path in sorted(names.outside(node)):  # `from os import system as s` makes every `s` a finding
        before, _, last = path.rpartition(".")
        if before:
            yield from of_attribute(before, last)


def _of_text(text: str) -> Iterator[Found]:
    """Names in a string, with which a review like this one is passed by: pandas calls `frame.apply("to_csv")`."""
    for name in sorted({name for name in _DUNDER.findall(text) if odd_dunder(name)}):
        yield "reflection", f"the text {name!r}"
    if "_" in text and (kind := ATTRIBUTES.get(text)):
        yield kind, f"the text {text!r}"


def odd_dunder(name: str) -> bool:
    return _DUNDER.fullmatch(name) is not None and name not in PLAIN_DUNDERS


def _is_private(name: str) -> bool:
    return name.startswith("_") and _DUNDER.fullmatch(name) is None
