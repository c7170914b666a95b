"""What the Python of a worker needs to read: nothing else of the machine is shown to a study."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import datasites
import policies
from policies.errors import Unavailable

_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
_PACKAGES = ("site-packages", "dist-packages")
_MOST_LINKS = 40  # as the kernel allows on one path


@dataclass(frozen=True)
class Needs:
    """Files and folders by the names under which they are looked for, and the symbolic links that lead there."""

    reads: tuple[Path, ...]
    links: tuple[tuple[Path, str], ...]  # link, and what it points to


@cache
def needs() -> Needs:
    """What this very interpreter needs as a worker, `python -I`. Raises Unavailable when it cannot be asked."""
    chain, interpreter = _interpreter(Path(os.path.normpath(sys.executable)))
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)}
    wanted = {
        interpreter,
        *(prefix / name for prefix in prefixes for name in ("pyvenv.cfg", "lib", "lib64") if prefix != Path("/usr")),
        *(path for path in _search_path() if _is_python(path, prefixes)),
        # named one by one: an editable install would else show the whole folder around them
        *(Path(package.__path__[0]) for package in (datasites, policies)),
        *map(Path, _SYSTEM),
    }
    links = [(path, os.readlink(path)) for path in sorted(wanted) if path.is_symlink()]
    found = {path for path in wanted if path.exists() and not path.is_symlink()}
    found |= {path.resolve() for path in wanted if path.exists()}
    return Needs(_outermost(found), tuple(dict.fromkeys([*chain, *links])))


def _interpreter(path: Path) -> tuple[list[tuple[Path, str]], Path]:
    """The links of a virtual environment's interpreter, in order, and the file at their end."""
    links: list[tuple[Path, str]] = []
    while path.is_symlink() and len(links) < _MOST_LINKS:
        links.append((path, os.readlink(path)))
        path = Path(os.path.normpath(path.parent / links[-1][1]))
    return links, path


def _search_path() -> list[Path]:
    try:
        asked = subprocess.run(
            [sys.executable, "-I", "-c", "import sys; print('\\n'.join(sys.path))"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    except (OSError, subprocess.SubprocessError):
        raise Unavailable(f"The Python of this program, {sys.executable}, cannot be started.") from None
    return [Path(line) for line in asked.stdout.splitlines() if os.path.isabs(line)]


def _is_python(path: Path, prefixes: set[Path]) -> bool:
    """Not what an editable install or a .pth file adds: that may be a folder with anything in it."""
    return path.name in _PACKAGES or any(path.is_relative_to(prefix / "lib") for prefix in prefixes)


def _outermost(paths: set[Path]) -> tuple[Path, ...]:
    return tuple(path for path in sorted(paths) if not any(parent in paths for parent in path.parents))
