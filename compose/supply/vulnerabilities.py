"""Known vulnerabilities of the locked packages, by pip-audit, where its source can be reached."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Audit(NamedTuple):
    """What was found, and which packages could not be asked about: an audit that did not happen has found nothing."""

    found: list[tuple[str, str, str]]  # package, version, identifier
    unknown: list[str]


def audit(packages: Mapping[str, str]) -> Audit:
    """Asks the package index about `packages` (name to version)."""
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
        ran = subprocess.run(
            [*command, "--progress-spinner", "off", "--requirement", str(pinned)], capture_output=True, text=True
        )
    try:
        answers = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        return Audit([], sorted(packages))  # its source could not be reached at all
    found = [(one["name"], one["version"], bug["id"]) for one in answers for bug in one.get("vulns", [])]
    return Audit(found, sorted(packages.keys() - {one["name"] for one in answers if "vulns" in one}))
