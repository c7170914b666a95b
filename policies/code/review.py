"""Reads a study's code as a careful reviewer would, and points at lines.

It is advice for the reader, and ground for a policy to refuse. It is never the wall: Python can always be written so
that no reader of its text, human or not, foresees what it does. The wall is the sandbox that the code runs in.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import PurePosixPath

from policies.code.assignments import assignment_findings
from policies.code.calls import call_findings, loose_findings
from policies.code.finding import Finding, printable
from policies.code.names import Bindings, imported_modules, is_taken, own_modules
from policies.code.references import Found, reference_findings
from policies.code.text import source_findings, text_findings

LONGEST_CODE = 300_000  # characters of Python in all files: about 7,500 lines
MOST_LINES = 20_000  # of all files; a packet shows no more, so what it does not show is never allowed
_NOT_TEXT = {".egg", ".pth", ".pyc", ".pyd", ".pyo", ".so", ".whl", ".zip"}


def review(files: Mapping[str, str]) -> list[Finding]:
    """Everything a reader should stop at, and each import of a package, in the order of files and lines.

    files: the text of each file by its path in the study's folder; bytes that are no text stand as U+FFFD in it.
    The study's own modules are no imports.
    """
    return list(_review(tuple(sorted(files.items()))))


@lru_cache(maxsize=8)  # the same code is looked at again and again: by packet, policy and agent
def _review(listed: tuple[tuple[str, str], ...]) -> tuple[Finding, ...]:
    files = dict(listed)
    size = sum(len(text) for path, text in files.items() if path.endswith(".py"))
    if size > LONGEST_CODE:
        return (Finding(min(files), 1, "unreadable", f"{size:,} characters of code, more than a person reads"),)
    lines = sum(text.count("\n") + 1 for text in files.values())
    if lines > MOST_LINES:
        return (Finding(min(files), 1, "unreadable", f"{lines:,} lines of text, more than a person reads"),)
    own = own_modules(files)
    return tuple(sorted({finding for path, text in files.items() for finding in _of_file(path, text, own)}))


def _of_file(path: str, text: str, own: frozenset[str]) -> Iterator[Finding]:
    yield from text_findings(path, text)
    pure = PurePosixPath(path)
    if pure.suffix.lower() in _NOT_TEXT:
        yield Finding(path, 1, "unreadable", f"a {pure.suffix} file, which is no source code")
    if pure.suffix != ".py":
        return
    module = pure.parts[0].removesuffix(".py")
    if module in own and is_taken(module):
        yield Finding(path, 1, "monkeypatch", f"the module {printable(module)}, whose name another one has already")
    yield from source_findings(path, text)
    yield from _of_source(path, text, own)


def _of_source(path: str, text: str, own: frozenset[str]) -> Iterator[Finding]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python would warn of is no matter of a review
            tree = ast.parse(text)
    except SyntaxError as error:
        yield Finding(path, error.lineno or 1, "unreadable", "text that is no Python")
        return
    except (ValueError, RecursionError, MemoryError):
        yield Finding(path, 1, "unreadable", "text that is no Python, or nested too deeply")
        return
    nodes = list(ast.walk(tree))
    names = Bindings(nodes, own)
    if names.confusing:
        yield Finding(path, 1, "unreadable", "more other names for imported things than a reader would follow")
    for line, (kind, what) in loose_findings(nodes):
        yield Finding(path, line, kind, what)
    for node in nodes:
        for kind, what in _of_node(node, names, own):
            yield Finding(path, getattr(node, "lineno", 1), kind, printable(what))


def _of_node(node: ast.AST, names: Bindings, own: frozenset[str]) -> Iterator[Found]:
    for module in imported_modules(node):
        if module.split(".")[0] not in own | {"__future__"}:
            yield "import", module
    yield from reference_findings(node, names)
    yield from assignment_findings(node, names)
    if isinstance(node, ast.Call):
        yield from call_findings(node, names)
