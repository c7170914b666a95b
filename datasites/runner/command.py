"""The command and the environment of a worker. Nothing of either comes from the submitter."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from datasites.runner.limits import Limits
from datasites.runner.sandbox.base import Inside

STUDY_MODULE = "study"
TRAINING_FILE = "training.json"  # in place of a study's code: what the hospital's own code is to train


class Assignment(BaseModel):
    """What a worker is told on its command line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: Path  # folder with study.py, or with training.json alone
    table: Path  # Parquet: the approved columns and `patient`
    tasks: int  # file descriptor to read tasks from
    replies: int  # file descriptor to write replies to
    scratch: Path  # emptied after each call
    limits: Limits
    inside: Inside
    processes: int = 1  # of the study, that do each call together: see ranks.py

    @property
    def trusted(self) -> bool:
        """Whether the hospital's own training is to run, and no code of a study's."""
        return not has_code(self.code)

    def argv(self) -> list[str]:
        """Isolated from environment variables, user packages and the working folder; writes no bytecode."""
        return [sys.executable, "-I", "-B", "-m", "datasites.runner.worker", self.model_dump_json()]


def has_code(folder: Path) -> bool:
    return (folder / f"{STUDY_MODULE}.py").is_file()


# A call works in memory that is new to its process, and each page of it that the kernel hands out costs as much as a
# thousand additions: so in large pages, from a heap that grows in large steps and does not shrink before the call ends.
_MALLOC = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in {"hugetlb": 1, "mmap_threshold": 2**25, "trim_threshold": 2**30, "top_pad": 2**24}.items()
)


def environment(scratch: Path, gpus: bool) -> dict[str, str]:
    """The whole environment of a worker. One thread: a hospital's machine runs more than one study."""
    return {
        **({} if gpus else {"CUDA_VISIBLE_DEVICES": ""}),
        "GLIBC_TUNABLES": _MALLOC,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(scratch),
        "USER": "study",  # libraries that ask for a name (MONAI) would look in a file of users that is not there
        "TMPDIR": str(scratch),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
