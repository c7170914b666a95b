"""How much a worker may use. The hospital sets these; a submission cannot."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

GIB = 1024**3
MIB = 1024**2


class Limits(BaseModel):
    """Limits of one worker. All are enforced by the kernel or by the parent, none by the worker's good will."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_bytes: int = Field(8 * GIB, ge=256 * MIB, description="Address space of each process; memory of all.")
    seconds_per_round: float = Field(3600, gt=0, description="Longest time for one call.")
    start_seconds: float = Field(120, gt=0, description="Longest time to import the study's code and read the table.")
    output_bytes: int = Field(256 * MIB, ge=1024, description="Greatest reply to one call, names and metrics included.")
    file_bytes: int = Field(64 * MIB, ge=4096, description="Greatest size of any one file it writes; the log too.")
    scratch_bytes: int = Field(
        512 * MIB, ge=MIB, description="Size of all its files together, where they are in memory."
    )
    processor_seconds: float = Field(3600, gt=0, description="Processor time of all processes of one call together.")
    gpus: bool = Field(False, description="Whether studies may use this machine's NVIDIA graphics cards.")
    processes: int = Field(64, ge=1, description="Processes and threads it may add to those its user already has.")
