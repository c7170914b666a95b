"""A package's public names, each loaded when it is first used: what all of them need takes seconds to import.

As `lazy_loader` (SPEC 1) does with a stub file; it takes only names from a package's own modules, and some of ours are
of the wire and of `policies`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def lazily(package: str, source: str) -> Callable[[str], Any]:
    """A package's `__getattr__`. `source`: its `__init__.py`, which imports its names under `if TYPE_CHECKING:`."""
    homes = _homes(ast.parse(Path(source).read_text(encoding="utf-8")))

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        # as `from home import name` does: an attribute, else a submodule
        found = import_module(f"{home}.{name}") if home == package else getattr(import_module(home), name)
        setattr(import_module(package), name, found)  # the next time nobody asks here
        return found

    return load


def _homes(tree: ast.Module) -> dict[str, str]:
    """Name to module, of the imports that only type checkers execute."""
    blocks = [
        node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}
