"""Places where code changes what is not its own: parts of imported packages, or how Python treats its classes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from policies.code.names import Bindings
from policies.code.references import Found, odd_dunder
from policies.code.tables import SETTINGS


def assignment_findings(node: ast.AST, names: Bindings) -> Iterator[Found]:
    """What one node assigns to, deletes or defines."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield from _changed(node, names)
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        if isinstance(node.value, ast.Attribute):
            yield from _changed(node.value, names)
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        if odd_dunder(node.name):
            yield "monkeypatch", f"a definition of {node.name}"
        for keyword in node.keywords if isinstance(node, ast.ClassDef) else ():
            yield "monkeypatch", f"class {node.name}({keyword.arg or '**'}=...)"


def _changed(target: ast.Attribute, names: Bindings) -> Iterator[Found]:
    for path in sorted(names.outside(target)):
        if not path.startswith(SETTINGS):
            yield "monkeypatch", f"assignment to {path}"
    for path in sorted(names.own(target)):
        if path.count(".") > 1:  # features.SEED = 1 is the study's own affair, features.np.load = ... is not
            yield "monkeypatch", f"assignment to {path}"
