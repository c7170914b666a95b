#!/usr/bin/env python3
"""Stands in for Slurm's `srun` where there is no cluster: one compute node, which is this machine.

It knows the options that the manual of srun documents and Wardround uses, and refuses others. It holds to what the
manual, and slurmstepd's source, say of standard output: whole lines are handed on, at most 1024 bytes at a time, and of
an unfinished line nothing. `--export=NONE` and `--time` are enforced; memory is not, which cgroups would do.
Its state is the folder SLURM_CONF names: `jobs/NAME` for each job, `full` while all nodes are taken, `refuse` with what
to say of any job, `late` while jobs are asked for and not there yet.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

MAX_MSG_LEN = 1024


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="srun", allow_abbrev=False)
    for name in ("job-name", "partition", "account", "qos", "constraint", "mem", "export", "chdir"):
        parser.add_argument(f"--{name}", required=name in ("job-name", "export", "chdir"))
    for name in ("nodes", "ntasks", "cpus-per-task", "time", "kill-on-bad-exit", "gpus-per-node"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--test-only", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def main() -> int:
    asked = options()
    state = Path(os.environ["SLURM_CONF"])
    if (state / "refuse").exists():
        return fail(f"Unable to allocate resources: {(state / 'refuse').read_text()}")
    if asked.test_only:
        print("srun: Job 7 to start at 2026-01-01T00:00:00 using 1 processors", file=sys.stderr)
        return 0
    if not re.fullmatch(r"\d+M", asked.mem) or asked.nodes != 1 or asked.ntasks != 1 or asked.export != "NONE":
        return fail("not what Wardround's jobs are")
    if not os.path.isabs(asked.command[0]):
        return fail("with --export=NONE the command needs its whole path")
    while (state / "late").exists():
        time.sleep(0.05)
    job = state / "jobs" / asked.job_name
    job.write_text(str(os.getpid()))
    (state / "asked").write_text("\n".join(sys.argv[1:]))
    try:
        if (state / "full").exists():
            with contextlib.suppress(OSError):  # nobody listens any more, and yet it waits on
                print("srun: job 7 queued and waiting for resources", file=sys.stderr, flush=True)
        while (state / "full").exists():
            time.sleep(0.05)
            if not job.exists():
                return fail("Job allocation 7 has been revoked")
        return run(asked, job)
    finally:
        job.unlink(missing_ok=True)


def run(asked: argparse.Namespace, job: Path) -> int:
    environment = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": asked.job_name}
    task = subprocess.Popen(
        asked.command, env=environment, cwd=asked.chdir, stdout=subprocess.PIPE, stdin=0, start_new_session=True
    )
    until = time.monotonic() + 60 * asked.time
    threading.Thread(target=watch, args=(task, job, until), daemon=True).start()
    hand_on(task.stdout.fileno())
    code = task.wait()
    if code < 0:
        print(f"srun: error: node1: task 0: {signal.Signals(-code).name}", file=sys.stderr)
    return 128 - code if code < 0 else code


def hand_on(source: int) -> None:
    """As slurmstepd's _task_build_message: whole lines, or MAX_MSG_LEN of a longer one; the rest at the end."""
    waiting = b""
    while data := os.read(source, 1 << 16):
        waiting += data
        while waiting:
            end = waiting.find(b"\n", 0, MAX_MSG_LEN) + 1
            if not end and len(waiting) < MAX_MSG_LEN:
                break
            out, waiting = waiting[: end or MAX_MSG_LEN], waiting[end or MAX_MSG_LEN :]
            put(out)
    put(waiting)


def put(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def watch(task: subprocess.Popen, job: Path, until: float) -> None:
    """What the controller does: a job that was cancelled, or takes too long, is killed."""
    while task.poll() is None:
        why = "DUE TO TIME LIMIT" if time.monotonic() > until else "" if job.exists() else "BY CANCEL"
        if why:
            print(f"slurmstepd: error: *** STEP 7.0 ON node1 CANCELLED {why} ***", file=sys.stderr, flush=True)
            os.killpg(task.pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def fail(why: str) -> int:
    print(f"srun: error: {why}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
