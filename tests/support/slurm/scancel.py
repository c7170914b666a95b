#!/usr/bin/env python3
"""Stands in for Slurm's `scancel --quiet --name=JOB`; see srun.py beside it."""

import os
import sys
from pathlib import Path

quiet, name = sys.argv[1:]
assert quiet == "--quiet"
state = Path(os.environ["SLURM_CONF"])
(state / "jobs" / name.removeprefix("--name=")).unlink(missing_ok=True)
(state / "late").unlink(missing_ok=True)
