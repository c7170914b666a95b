"""A software bill of materials (CycloneDX 1.6) of an image's Python packages, by the CycloneDX project's own tool."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
Bom = dict[str, Any]


def installed() -> Bom:
    """Of all that this environment holds. The same environment gives the same bytes."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--sv", "1.6"]
    ran = subprocess.run(
        [*command, "--pyproject", str(PROJECT), sys.prefix], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(f"The bill of materials could not be written: {ran.stderr.strip().splitlines()[-1]}")
    return dict(json.loads(ran.stdout))


def only(bom: Bom, packages: Iterable[str]) -> Bom:
    """The part of it that an image holds. Raises SystemExit where a package of the image is not in it."""
    wanted = set(packages)
    kept = [one for one in bom["components"] if canonicalize_name(one["name"]) in wanted]
    missing = wanted - {canonicalize_name(one["name"]) for one in kept}
    if missing:
        raise SystemExit(f"Not installed here, so nothing can be said of them: {', '.join(sorted(missing))}.")
    refs = {one["bom-ref"] for one in kept} | {bom["metadata"]["component"]["bom-ref"]}
    edges = [
        {**edge, "dependsOn": [ref for ref in edge.get("dependsOn", []) if ref in refs]}
        for edge in bom["dependencies"]
        if edge["ref"] in refs
    ]
    return {**bom, "components": kept, "dependencies": edges}
