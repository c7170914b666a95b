"""A Slurm cluster of one node, this machine: programs in place of `srun` and `scancel`, found on the PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


class StandIn:
    """Its state is a folder; see srun.py."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state, self.shared, programs = folder / "slurm", folder / "shared", folder / "programs"
        for path in (self.state / "jobs", self.shared, programs):
            path.mkdir(parents=True)
        for name in ("srun", "scancel"):
            source = Path(__file__).with_name(f"{name}.py").read_text()
            (programs / name).write_text(source.replace("#!/usr/bin/env python3", f"#!{sys.executable} -I", 1))
            (programs / name).chmod(0o700)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_CONF", str(self.state))

    @property
    def jobs(self) -> list[str]:
        return sorted(path.name for path in (self.state / "jobs").iterdir())

    @property
    def asked(self) -> list[str]:
        """The options of the last job."""
        return (self.state / "asked").read_text().splitlines()

    def refuse(self, why: str) -> None:
        (self.state / "refuse").write_text(why)

    def fill(self) -> None:
        (self.state / "full").touch()

    def delay(self) -> None:
        """Until the first `scancel`, which then finds no job to end."""
        (self.state / "late").touch()
