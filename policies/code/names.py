"""Which outside name an expression stands for: `import numpy as np` makes `np.lib.format` numpy's."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import PurePosixPath

_LOOKS, _MEANINGS, _LONGEST = 6, 8, 20  # aliases of aliases, meanings of a name, parts of a path
_OURS = {"datasites", "policies", "researcher", "notebooks"}


class Bindings:
    """The names of one module that its imports, and plain assignments of imported things, give a meaning.

    A name has its meanings in the whole file, whatever function it stands in. `confusing`: there were more aliases of
    aliases than a reader would follow, and neither did this.
    """

    def __init__(self, nodes: Sequence[ast.AST], own: frozenset[str]) -> None:
        self._own = own | {""}  # a relative import begins with an empty name
        self._meanings: dict[str, set[str]] = {}
        for name, path in (binding for node in nodes for binding in _imported(node)):
            self._meanings.setdefault(name, set()).add(path)
        aliases = [(name, value) for node in nodes for name, value in _assigned(node)]
        self.confusing = not any(self._settled(aliases) for _ in range(_LOOKS))

    def _settled(self, aliases: list[tuple[str, ast.expr]]) -> bool:
        """Follows each alias one step further; whether there was none to follow."""
        settled = True
        for name, value in aliases:
            known, paths = self._meanings.get(name, set()), self._paths(value)
            if not paths <= known:
                settled = False
                if len(known) <= _MEANINGS:
                    self._meanings[name] = known | paths
        return settled

    def outside(self, node: ast.expr) -> set[str]:
        """The dotted names of other packages that a name or an attribute chain may stand for; none for the rest."""
        return {path for path in self._paths(node) if path.split(".")[0] not in self._own}

    def own(self, node: ast.expr) -> set[str]:
        """The same for the study's own modules."""
        return self._paths(node) - self.outside(node)

    def _paths(self, node: ast.expr) -> set[str]:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return set()
        meanings = self._meanings.get(node.id, ())
        return {".".join([*path.split("."), *reversed(parts)][:_LONGEST]) for path in meanings}


def imported_modules(node: ast.AST) -> list[str]:
    """The full names of the modules that a statement imports; none for a relative import, which is the study's own."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or ""]
    return []


def _imported(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
    elif isinstance(node, ast.ImportFrom):
        module = f".{node.module or ''}" if node.level else node.module
        for alias in node.names:
            yield alias.asname or alias.name, f"{module}.{alias.name}"


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        targets, value = [node.target], node.value
    else:
        return
    for target in targets:
        yield from _pairs(target, value)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List):
        for one, other in zip(target.elts, value.elts, strict=False):
            if isinstance(one, ast.Name):
                yield one.id, other


def own_modules(paths: Iterable[str]) -> frozenset[str]:
    """The top-level modules that a study's files make.

    A folder without `__init__.py` is none: Python would prefer an installed package of that name.
    """
    found = set()
    for path in map(PurePosixPath, paths):
        if path.suffix == ".py" and len(path.parts) == 1:
            found.add(path.stem)
        elif path.name == "__init__.py" and len(path.parts) == 2:
            found.add(path.parts[0])
    return frozenset(found)


def is_taken(module: str) -> bool:
    """Whether a module of that name exists beside the study, so that an import could mean either."""
    if module in sys.stdlib_module_names or module in _OURS:
        return True
    installed = [folder for folder in sys.path if folder.rstrip("/").endswith(("site-packages", "dist-packages"))]
    return PathFinder.find_spec(module, installed) is not None
