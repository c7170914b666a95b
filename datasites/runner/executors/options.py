"""The settings of the two executors that run workers on a hospital's own cluster."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from datasites.runner.limits import Limits

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.,:@&|+/=*()\[\]-]{0,200}$")]  # one word of an argv
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]  # RFC 1123, of Kubernetes
Absolute = Annotated[Path, Field(strict=False)]


class Cluster(BaseModel):
    """What both have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shared: Absolute = Field(
        description="A folder that this machine writes and the cluster's jobs read: approved code, and the approved "
        "columns of the table, lie in it while a study's job is there."
    )
    cpus: int = Field(default=1, ge=1, le=256, description="Processors for each process of a study.")
    queue_seconds: float = Field(
        default=600, gt=0, description="A job that has not begun after this is withdrawn, and the round refused."
    )
    minutes: int = Field(
        default=720, ge=1, description="A job ends after this, and the next round gets a new one; or after one round."
    )

    def minutes_for(self, limits: Limits) -> int:
        """How long a job may be there: as the settings say, but one round must fit in."""
        return max(self.minutes, math.ceil((limits.start_seconds + limits.seconds_per_round) / 60) + 2)

    @model_validator(mode="after")
    def _is_absolute(self) -> Self:
        if not self.shared.is_absolute():
            raise ValueError("shared must be an absolute path")
        return self


class SlurmOptions(Cluster):
    """`[slurm]` in datasite.toml."""

    partition: Word = Field(default="", description="Of the jobs (`--partition`); the cluster's own where empty.")
    account: Word = Field(default="", description="Whom the cluster charges for the jobs (`--account`).")
    qos: Word = Field(default="", description="Quality of service of the jobs (`--qos`).")
    constraint: Word = Field(default="", description="What compute nodes must have (`--constraint`).")
    python: Word = Field(
        default="", description="The compute nodes' Python with this very Wardround; where empty, at the same path."
    )


class KubernetesOptions(Cluster):
    """`[kubernetes]` in datasite.toml."""

    namespace: Label = Field(description="Where the jobs are made; give it to nothing else.")
    image: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$")] = Field(
        description="The image with this very Wardround, by its digest: REGISTRY/NAME@sha256:..."
    )
    python: Word = Field(default="/opt/wardround/bin/python", description="The Python in the image that has Wardround.")
    claim: Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$", max_length=253)] = Field(
        default="", description="The persistent volume claim behind `shared`; or give host_path."
    )
    host_path: str = Field(default="", description="The folder of every node that is `shared`; or give a claim.")
    user: int | None = Field(
        default=None, ge=1, description="The user number of the jobs, which must be able to read `shared`: the agent's."
    )
    kubeconfig: str = Field(
        default="", description="File with the way to the cluster; where empty, that of a pod, or the user's own."
    )
    context: str = Field(default="", description="Of the kubeconfig; its current one where empty.")
    gpu_resource: Word = Field(default="nvidia.com/gpu", description="What a graphics card is called.")
    runtime_class: Word = Field(default="", description="Runtime class of the pods, for instance gVisor's.")
    pull_secret: Word = Field(default="", description="The secret with which the image is pulled.")
    node_selector: dict[str, str] = Field(default_factory=dict, description="Labels that nodes must have.")

    @model_validator(mode="after")
    def _one_volume(self) -> Self:
        if bool(self.claim) == bool(self.host_path):
            raise ValueError("give either claim or host_path")
        if self.host_path and not Path(self.host_path).is_absolute():
            raise ValueError("host_path must be an absolute path")
        return self
