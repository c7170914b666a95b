"""The one place where it is decided how workers are confined, at a hospital and in a rehearsal alike."""

from __future__ import annotations

from functools import cache

from datasites.runner.sandbox import bubblewrap, landlock
from datasites.runner.sandbox.base import Sandbox
from datasites.runner.sandbox.landlock import Landlock
from datasites.runner.sandbox.rlimits import ProcessLimits
from policies.errors import Unavailable


@cache
def default_sandbox(*, private: bool) -> Sandbox:
    """The strongest confinement that this machine offers; tried once a process.

    `private`: the code will see patients' data. Then raises Unavailable where there is neither bubblewrap nor Landlock;
    on mock data the code is the researcher's own on the researcher's own machine, and process limits will do.
    """
    if not bubblewrap.problem():
        return bubblewrap.tried()[0]
    if not landlock.problem():
        return Landlock()
    if not private:
        return ProcessLimits()
    raise Unavailable(
        f"This machine cannot confine a study's code: {bubblewrap.problem()} {landlock.problem()}",
        "Until then no study runs on patients' data; see: wardround doctor.",
    )
