"""The one place where it is decided how workers are confined, at a hospital and in a rehearsal alike."""

from __future__ import annotations

from datasites.runner.sandbox.base import Sandbox
from datasites.runner.sandbox.rlimits import ProcessLimits


def default_sandbox() -> Sandbox:
    """The strongest confinement that this machine offers."""
    return ProcessLimits()
