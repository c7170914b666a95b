"""Calls that do more than their name says, by their arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from policies.code.names import Bindings
from policies.code.references import Found, of_attribute

_WORKERS = {"num_workers": 0, "n_jobs": 1}  # torch's and sklearn's: any other value starts processes
_BY_NAME = ("getattr", "setattr", "delattr")


def call_findings(node: ast.Call, names: Bindings) -> Iterator[Found]:
    """What one call does by its arguments."""
    if isinstance(node.func, ast.Name):
        if node.func.id in _BY_NAME:
            yield from _attribute_by_name(node.func.id, node, names)
        if node.func.id == "type" and len(node.args) != 1:
            yield "reflection", "type(...) that makes a class"
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("eval", "query") and (node.args or node.keywords):
        yield "evaluation", f".{node.func.attr}(...)"  # pandas runs the text; a model's .eval() has no argument
    for keyword in node.keywords:
        if keyword.arg in _WORKERS and not _is(keyword.value, _WORKERS[keyword.arg]):
            yield "process", f"{keyword.arg}="


def loose_findings(nodes: Sequence[ast.AST]) -> Iterator[tuple[int, Found]]:
    """Line and finding for each use of `getattr` and its like other than calling it: as an alias, or in a `map`."""
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in _BY_NAME and id(node) not in called:
            yield node.lineno, ("evaluation", f"{node.id} under another name")


def _attribute_by_name(function: str, node: ast.Call, names: Bindings) -> Iterator[Found]:
    name = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else None
    if not isinstance(name, str):
        yield "evaluation", f"{function} with a computed name"
        return
    paths = names.outside(node.args[0]) | names.own(node.args[0])
    if function != "getattr" and paths:
        yield "monkeypatch", f"{function} on {min(paths)}"
    for path in sorted(names.outside(node.args[0])) or [""]:
        yield from of_attribute(path, name)


def _is(node: ast.expr, value: int) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or node.value == value)
