"""What a job on the cluster reads: copies on the shared folder, for as long as the job is there.

Each job's folder has the job's own name, so that what a killed agent left behind is found by looking there.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datasites.runner.errors import NotStarted
from datasites.runner.executors.base import Launch

_CODE, _TABLE = "code", "table.parquet"


@dataclass(frozen=True)
class Stage:
    """A job's folder: `code` and `table` in it."""

    folder: Path

    @property
    def name(self) -> str:
        """Of the job."""
        return self.folder.name

    @property
    def code(self) -> Path:
        """The study's files."""
        return self.folder / _CODE

    @property
    def table(self) -> Path:
        """Its view of the table."""
        return self.folder / _TABLE

    def remove(self) -> None:
        """Without fail: what cannot be removed now is found again by `leftovers`."""
        shutil.rmtree(self.folder, ignore_errors=True)


def put(shared: Path, datasite: str, launch: Launch) -> Stage:
    """Copies code and table into a new folder that only this user can read. Raises NotStarted."""
    stage = Stage(shared / f"{_prefix(datasite)}{secrets.token_hex(5)}")
    try:
        stage.folder.mkdir(mode=0o700)
        shutil.copytree(launch.code, stage.code, symlinks=True)
        stage.table.touch(mode=0o600)
        shutil.copyfile(launch.table, stage.table)
    except OSError as why:
        stage.remove()
        reason = why.strerror or type(why).__name__
        raise NotStarted(
            f"The folder shared with the cluster, {shared}, cannot be written ({reason}).",
            "See that it is there, belongs to the agent's user and has room.",
        ) from None
    return stage


def leftovers(shared: Path, datasite: str) -> Iterator[Stage]:
    """Of earlier agents of this datasite."""
    yield from map(Stage, shared.glob(f"{_prefix(datasite)}*"))


def _prefix(datasite: str) -> str:
    return f"wardround-{hashlib.sha256(datasite.encode()).hexdigest()[:10]}-"
