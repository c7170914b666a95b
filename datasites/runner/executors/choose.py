"""The one place where it is decided where a hospital's workers run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasites.runner.executors.base import Executor
from datasites.runner.executors.local import Local
from datasites.runner.sandbox.choose import default_sandbox

if TYPE_CHECKING:
    from datasites.settings import DatasiteSettings


def executor_of(settings: DatasiteSettings) -> Executor:
    """As the settings say. Raises Unavailable where it is this machine, and no study can be confined here."""
    if settings.executor == "slurm" and settings.slurm:
        from datasites.runner.executors.slurm import Slurm

        return Slurm(settings.slurm, settings.email)
    if settings.executor == "kubernetes" and settings.kubernetes:
        from datasites.runner.executors.kubernetes.executor import Kubernetes

        return Kubernetes(settings.kubernetes, settings.email)
    return Local(default_sandbox(private=True))
