"""Data owners and a researcher, in containers or as processes on this machine: the same commands, the same notebook."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import nbformat

from compose import containers
from compose.containers import ContainersFailed
from compose.images import engine
from compose.provision import RESEARCHER_EMAIL
from notebooks.demo.hospitals import Hospital

NOTEBOOK = "researcher.ipynb"
_ROUNDS = "SELECT coalesce(sum(fit), 0) FROM rounds WHERE outcome = 'released'"
# what the notebook keeps of its first study, read by the researcher's own library
_READ = """
import json, os, sys
from pathlib import Path
import researcher as wr
demo = Path(os.environ["WARDROUND_DEMO"])
federation = wr.connect(demo / "federation.toml", sys.argv[1], home=demo / "researcher")
result = wr.Rounds(federation.submission(sys.argv[2]), wr.FedAvg()).result()
rows = result.hospitals
everybody = rows.groupby("round")["hospital"].nunique().eq(len(federation.emails)).all()
complete = bool(everybody and rows["problem"].fillna("").eq("").all())
print(json.dumps({"auc": result.federated_auc, "rounds": result.round, "complete": complete}))
"""


class Owner(Protocol):
    """A data owner at the command line of their own hospital."""

    @property
    def label(self) -> str: ...

    def command(self, *arguments: str) -> str:
        """Runs `wardround datasite ...`; returns what it prints."""
        ...

    def rounds(self) -> int:
        """How many rounds of training the hospital has answered."""
        ...


@dataclass(frozen=True)
class ContainedOwner:
    """In a hospital's container."""

    label: str

    def command(self, *arguments: str) -> str:
        return containers.inside(self.label, "wardround", "datasite", *arguments)

    def rounds(self) -> int:
        ask = (
            f"import sqlite3; print(sqlite3.connect('/var/lib/wardround/state.db').execute({_ROUNDS!r}).fetchone()[0])"
        )
        return int(containers.inside(self.label, "python3", "-I", "-c", ask))


@dataclass(frozen=True)
class LocalOwner:
    """Beside an agent that is a process of this machine."""

    hospital: Hospital

    @property
    def label(self) -> str:
        return self.hospital.label

    def command(self, *arguments: str) -> str:
        return self.hospital.command(*arguments)

    def rounds(self) -> int:
        return int(sqlite3.connect(self.hospital.home / "state.db").execute(_ROUNDS).fetchone()[0])


class Researcher(Protocol):
    """Who executes the notebook from top to bottom."""

    def execute(self) -> subprocess.Popen[str]:
        """Starts it; the process ends with the notebook."""
        ...

    def run(self, code: str, *arguments: str) -> str:
        """What a Python program prints beside the notebook."""
        ...

    def file(self, name: str) -> bytes:
        """A file of the folder in which the notebook keeps things."""
        ...


@dataclass(frozen=True)
class ContainedResearcher:
    """In the researcher's container."""

    desk: str = "/home/wardround/desk"

    def execute(self) -> subprocess.Popen[str]:
        command = _execution(f"{self.desk}/federation/{NOTEBOOK}", "python3")
        return _started(
            [engine(), "exec", "--workdir", f"{self.desk}/notebooks", containers.container("researcher"), *command]
        )

    def run(self, code: str, *arguments: str) -> str:
        return containers.inside("researcher", "python3", "-c", code, *arguments)

    def file(self, name: str) -> bytes:
        command = [engine(), "exec", containers.container("researcher"), "cat", f"{self.desk}/federation/{name}"]
        return subprocess.run(command, capture_output=True, check=True).stdout


@dataclass(frozen=True)
class LocalResearcher:
    """A process of this machine. `folder` holds federation.toml."""

    folder: Path
    notebooks: Path

    def execute(self) -> subprocess.Popen[str]:
        return _started(_execution(str(self.folder / NOTEBOOK), sys.executable), self.notebooks, self._environment)

    def run(self, code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment)
        if done.returncode:
            raise ContainersFailed(f"The local researcher's program failed: {done.stderr[-2000:]}")
        return done.stdout

    def file(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "WARDROUND_DEMO": str(self.folder)}


def outcome(researcher: Researcher) -> dict[str, object]:
    """Of the executed notebook's first study: `study` (12 characters), `auc`, `rounds`, `complete` (all were in all).

    Raises ContainersFailed where the notebook tells no result.
    """
    notebook = nbformat.reads(researcher.file(NOTEBOOK).decode(), as_version=4)
    printed = "\n".join(
        str(output.get("data", {}).get("text/plain", output.get("text", "")))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    said = re.search(r"federated AUC [\d.]+ after \d+ rounds; study ([0-9a-f]{12})", printed)
    if said is None:
        raise ContainersFailed("The executed notebook tells no result.")
    study = said[1]
    told: dict[str, object] = json.loads(researcher.run(_READ, RESEARCHER_EMAIL, study).splitlines()[-1])
    return {"study": study, **told}


def _execution(output: str, python: str) -> Sequence[str]:
    return [python, "-m", "jupyter", "execute", NOTEBOOK, f"--output={output}", "--timeout=900"]


def _started(
    command: Sequence[str], folder: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
