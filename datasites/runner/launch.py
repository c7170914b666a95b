"""Starts the processes of workers and gates, and ends them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from datasites.runner.command import Assignment, environment
from datasites.runner.errors import NotStarted
from datasites.runner.executors.base import Launch
from datasites.runner.sandbox.base import Sandbox

_PIPE_BYTES = 1024 * 1024  # the most that an unprivileged user may ask for

# The kernel kills a worker when the thread that started it ends. This one ends with the agent, however the agent ends.
_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="runner-starter")


def spawn(launch: Launch, sandbox: Sandbox, output: int | None = None) -> tuple[subprocess.Popen[bytes], int, int]:
    """The started process, and our ends of its pipes, non-blocking: where to write tasks and where to read replies.

    output: takes what is printed, in place of the log file. Raises NotStarted for a study of several processes in a
    sandbox that has no network of its own.
    """
    if launch.processes > 1 and not sandbox.own_network:
        raise NotStarted(
            f"A study of several processes cannot be confined by {sandbox.name}: they speak to each other by sockets.",
            "Only bubblewrap gives them a network with nothing else on it; see: wardround doctor.",
        )
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        their_tasks, our_tasks = pipe(theirs, ours)
        our_replies, their_replies = pipe(ours, theirs)
        if output is None:
            output = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            theirs.callback(os.close, output)
        assignment = Assignment(
            code=launch.code,
            table=launch.table,
            tasks=their_tasks,
            replies=their_replies,
            scratch=launch.scratch,
            limits=launch.limits,
            inside=sandbox.inside,
            processes=launch.processes,
        )
        reads, several = (launch.code, launch.table), launch.processes > 1
        process = start(
            sandbox.command(assignment.argv(), reads, launch.scratch, launch.limits, several=several),
            cwd=launch.scratch,
            env=environment(launch.scratch, launch.limits.gpus),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            close_fds=True,
            pass_fds=(their_tasks, their_replies),
            start_new_session=True,
        )
        for descriptor in (our_tasks, our_replies):
            os.set_blocking(descriptor, False)
        ours.pop_all()
        return process, our_tasks, our_replies


def pipe(reads: contextlib.ExitStack, writes: contextlib.ExitStack) -> tuple[int, int]:
    """A large pipe, (reading end, writing end); each stack closes its end."""
    read, write = os.pipe()
    reads.callback(os.close, read)
    writes.callback(os.close, write)
    with contextlib.suppress(OSError):  # only a matter of speed
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read, write


def start(argv: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """`subprocess.Popen` in a thread that lives as long as this process."""
    future: Future[subprocess.Popen[bytes]] = _STARTER.submit(_popen, argv, options)
    try:
        return future.result()
    except BaseException:  # interrupted while waiting: the process may come to be, or be there already
        if not future.cancel():
            future.add_done_callback(lambda done: None if done.exception() else kill(done.result()))
        raise


def _popen(argv: list[str], options: dict[str, Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, **options)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills the process and its group, and reaps it. Must not have been reaped before."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
