"""Slurm: the worker runs in a job of its own on a compute node, started and spoken with through `srun`.

`srun` hands on standard input and output, and is all that is used of Slurm, besides `scancel`. The compute node has the
same Wardround at the same path, sees the shared folder, and has bubblewrap or Landlock, which its far end finds out.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from datasites.runner.errors import NotStarted
from datasites.runner.executors import staging
from datasites.runner.executors.base import Launch, Stop
from datasites.runner.executors.far import Errand
from datasites.runner.executors.options import SlurmOptions
from datasites.runner.executors.printed import Printed
from datasites.runner.executors.relay import Gone, Relay
from datasites.runner.executors.staging import Stage
from datasites.runner.launch import start
from datasites.runner.limits import MIB

log = logging.getLogger(__name__)
OVERHEAD_BYTES = 512 * MIB  # of a job, besides what a study may use: the far end and the worker
_SCRATCH = Path("/tmp")  # noqa: S108 - of the compute node; a folder of its own is made in it
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "SLURM_CONF")  # others, such as SLURM_UNBUFFEREDIO, change srun
_SAID = re.compile(rb"^(srun|slurmstepd): (?:error: )?(.*)$", re.MULTILINE)
_SECONDS = 30.0
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class Slurm:
    """The `Executor` of a Slurm cluster. datasite: whose it is, by which its jobs are told from others'."""

    options: SlurmOptions
    datasite: str

    @property
    def name(self) -> str:
        """See `Executor.name`."""
        return "slurm"

    def start(self, launch: Launch, should_stop: Stop) -> Relay:
        """See `Executor.start`."""
        stage = staging.put(self.options.shared, self.datasite, launch)
        printed = Printed(launch.log, launch.limits.file_bytes)
        try:
            line = _Srun(self.command(launch, stage), stage, printed)
        except BaseException:
            printed.close()
            stage.remove()
            raise
        relay = Relay(line, printed, 60 * self.options.minutes_for(launch.limits))
        relay.wait(self.options.queue_seconds + launch.limits.start_seconds, should_stop, line.last_said)
        return relay

    def command(self, launch: Launch, stage: Stage) -> list[str]:
        """The argv of `srun`, all of whose options stand in its manual."""
        errand = Errand(
            code=stage.code,
            table=stage.table,
            scratch=_SCRATCH,
            limits=launch.limits,
            processes=launch.processes,
        )
        gpus = [f"--gpus-per-node={launch.processes}"] if launch.limits.gpus else []
        return [
            *self._asking(stage.name),
            f"--cpus-per-task={self.options.cpus * launch.processes}",
            f"--mem={math.ceil((launch.limits.memory_bytes + launch.limits.scratch_bytes + OVERHEAD_BYTES) / MIB)}M",
            f"--time={self.options.minutes_for(launch.limits)}",
            *gpus,
            *errand.argv(self.options.python or sys.executable),
        ]

    def problem(self) -> tuple[str, str]:
        """See `Executor.problem`. Asks Slurm when such a job would begin, which starts none."""
        for program in ("srun", "scancel"):
            if shutil.which(program) is None:
                return f"The program {program} is not on this machine.", "Install Slurm's client programs here."
        if not os.access(self.options.shared, os.W_OK | os.X_OK) or not self.options.shared.is_dir():
            return (
                f"The folder shared with the compute nodes, {self.options.shared}, cannot be written.",
                "Make it, on a file system that they have too, and give it to the agent's user.",
            )
        try:
            asked = [*self._asking("wardround-doctor"), "--test-only", "/bin/true"]
            done = subprocess.run(asked, capture_output=True, env=_environment(), timeout=_SECONDS)
        except (OSError, subprocess.SubprocessError) as why:
            return f"srun does not answer ({type(why).__name__}).", "See whether the cluster's controller runs: sinfo."
        if done.returncode:
            return f"Slurm takes no such job: {_last(done.stderr) or 'it gave no reason'}.", "Correct [slurm]."
        return "", ""

    def tidy(self) -> None:
        """See `Executor.tidy`."""
        for stage in staging.leftovers(self.options.shared, self.datasite):
            _cancel(stage.name)
            stage.remove()

    def _asking(self, job: str) -> list[str]:
        chosen = {name: getattr(self.options, name) for name in ("partition", "account", "qos", "constraint")}
        return [
            "srun",
            f"--job-name={job}",
            *(f"--{name}={value}" for name, value in chosen.items() if value),
            *("--nodes=1", "--ntasks=1", "--export=NONE", "--chdir=/", "--kill-on-bad-exit=1"),
        ]


class _Srun:
    """The `Line` through a running `srun`."""

    def __init__(self, argv: list[str], stage: Stage, printed: Printed) -> None:
        self._stage, self._printed, self._said = stage, printed, b""
        try:
            self._process = start(
                argv,
                env=_environment(),
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as why:
            raise NotStarted(f"srun cannot be started ({why.strerror}).", "Run: wardround doctor.") from None
        self._in, self._out, self._err = (
            stream.fileno()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr)
            if stream is not None
        )
        os.set_blocking(self._out, False)
        os.set_blocking(self._err, False)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """See `Line.descriptors`."""
        return self._out, self._err

    @property
    def pid(self) -> int:
        """See `Line.pid`."""
        return self._process.pid

    def send(self, data: bytes) -> None:
        """See `Line.send`."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._in, view) :]
        except BrokenPipeError:
            raise Gone(self._why()) from None

    def receive(self) -> bytes:
        """See `Line.receive`; what Slurm says, or a far end that breaks, goes to the log."""
        if text := _read(self._err):
            self._said = (self._said + text)[-4096:]
            self._printed.write(text)
        came = _read(self._out)
        if came == b"":
            raise Gone(self._why())
        return came or b""

    def last_said(self) -> str:
        """What Slurm said last."""
        return _last(self._said)

    def cancel(self) -> None:
        """See `Line.cancel`."""
        _cancel(self._stage.name)
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            _cancel(self._stage.name)  # it may have asked for the job only after that was cancelled
        self._stage.remove()

    def close(self) -> None:
        """See `Line.close`."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _why(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)  # its last words come before its end
        while text := _read(self._err):
            self._said = (self._said + text)[-4096:]
            self._printed.write(text)
        return f"Slurm ended the job: {self.last_said() or 'it gave no reason'}."


def _read(descriptor: int) -> bytes | None:
    """None where nothing has come; empty at the end."""
    try:
        return os.read(descriptor, 1 << 20)
    except BlockingIOError:
        return None


def _last(said: bytes) -> str:
    """Of the compute node, which knows why a job ended, or else of srun, which then only says that it did."""
    found = _SAID.findall(said)
    told = [text for who, text in found if who == b"slurmstepd"] or [text for _, text in found]
    return told[-1].decode(errors="replace").strip(" .*\r")[:300] if told else ""


def _cancel(job: str) -> None:
    try:
        done = subprocess.run(
            ["scancel", "--quiet", f"--name={job}"], capture_output=True, env=_environment(), timeout=_SECONDS
        )
        failed = done.returncode != 0
    except (OSError, subprocess.SubprocessError):
        failed = True
    if failed:
        log.error("The job %s could not be cancelled; see that it is gone: squeue --name=%s", job, job)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}
