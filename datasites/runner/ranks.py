"""A call done by several processes that train together, started as `torchrun --standalone --nproc-per-node=N` does.

PyTorch's own launcher starts a new Python for each, which would import everything again in every round, and speaks
through semaphores, which a study must not have. Here they are forked from the process of the call, in which nothing of
the study's has run. They find each other as under `torchrun`: by the same variables of the environment, on the loopback
of a network in which there is nothing else. As there, all are ended as soon as one of them fails; the reply is that of
rank 0, given once all the others have ended well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

from datasites.runner import log
from datasites.runner.errors import Code
from datasites.runner.frames import write_frame
from datasites.runner.replies import encode_error
from datasites.runner.sandbox import privileges

HOME = "127.0.0.1"
_KILLED = encode_error(Code.OUT_OF_MEMORY)  # by the kernel, where memory runs out
_FAILED = encode_error(Code.CODE_ERROR)
_FAILURES = {code[0]: code for code in (encode_error(one) for one in Code)}  # a rank's exit status tells which
_DONE, _GO = b"d", b"g"


def environment(rank: int, ranks: int, port: int) -> dict[str, str]:
    """What torch.distributed.run tells a process, where all are on one machine: what `init_process_group()` reads."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "ROLE_RANK": str(rank),
        "ROLE_NAME": "default",
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "GROUP_WORLD_SIZE": "1",
        "ROLE_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": HOME,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TORCHELASTIC_RUN_ID": "none",
    }


def answer(ranks: int, replies: int, work: Callable[[], bytes]) -> None:
    """Has `work()` done by so many processes, and writes the reply of rank 0, or how the first that failed did."""
    port = _free_port()
    done, they_are_done = os.pipe()
    may_write, go = os.pipe()
    pids: list[int] = []
    for rank in range(ranks):
        pids.append(os.fork())
        if pids[rank] == 0:
            os.close(done)
            os.close(go)
            os.environ |= environment(rank, ranks, port)
            _become(rank, replies, work, they_are_done, may_write)
    os.close(they_are_done)
    os.close(may_write)
    failure = _first_failure(pids[1:])
    if failure is None and os.read(done, 1) == _DONE:
        os.write(go, _GO)
        os.close(go)
    failure = failure or _first_failure(pids[:1])
    if failure is not None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        write_frame(replies, failure)


def _become(rank: int, replies: int, work: Callable[[], bytes], done: int, may_write: int) -> NoReturn:
    """A rank, which ends here. A reply of one byte says how `work` failed; it is the rank's exit status then."""
    status = 1
    try:
        privileges.when_parent_ends(signal.SIGKILL)
        reply = work()
        if len(reply) == 1:
            status = reply[0]
        elif rank:
            status = 0
        else:
            os.write(done, _DONE)
            if os.read(may_write, 1) == _GO:
                write_frame(replies, reply)
                status = 0
    except BaseException as error:
        log.write_traceback(error)
    finally:
        os._exit(status)


def _first_failure(pids: list[int]) -> bytes | None:
    """Waits until all of them have ended well, and no longer than until any process of the call has failed."""
    left = set(pids)
    while left:
        pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        if code:
            return _KILLED if code == -signal.SIGKILL else _FAILURES.get(code, _FAILED)
        left.discard(pid)
    return None


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOME, 0))
        return int(one.getsockname()[1])
