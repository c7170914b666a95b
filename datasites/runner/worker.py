"""The inside of a worker: loads the table and libraries, then has each task done by a process of its own.

Started by `process.Worker` as `python -I -m datasites.runner.worker ASSIGNMENT`; not for use by hand. Nothing of the
study's is ever run in this process: it is the one that every call is forked from.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings

from datasites.runner import hugepages, leftovers, log, ranks
from datasites.runner.cell import Cell, Ended
from datasites.runner.command import Assignment
from datasites.runner.frames import Closed, copy_frame, has_input, read_frame, write_frame
from datasites.runner.preload import keep_process_groups, preload, reseed, warm_up
from datasites.runner.sandbox import privileges, rlimits
from datasites.runner.sandbox.bubblewrap import shared_memory
from datasites.runner.sandbox.confine import Confinement
from datasites.runner.study import LOAD, Answering, Study

_IDLE_SECONDS = 0.02  # then the next process is forked; in a hurry it is forked while the study computes
_MAX_TASK = 1 << 62  # what the agent sends is the agent's affair


def main() -> None:
    """Runs the worker; returns when the agent closes its end."""
    assignment = Assignment.model_validate_json(sys.argv[1])
    for descriptor in (assignment.tasks, assignment.replies):
        os.set_inheritable(descriptor, False)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    rlimits.die_with_parent(assignment.tasks)
    rlimits.apply(assignment.limits)
    privileges.adopt_orphans()
    # libraries have threads of their own by now, none of which runs Python
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    try:
        _Worker(assignment).serve()
    except Closed:
        status = 0
    except leftovers.StillThere:
        status = 1
    except Ended as ended:
        status = ended.status
    os._exit(status)


class _Worker:
    def __init__(self, assignment: Assignment) -> None:
        self._tasks, self._replies = assignment.tasks, assignment.replies
        self._scratch, self._limits = assignment.scratch, assignment.limits
        self._keeper = log.Keeper(1, assignment.limits.file_bytes)
        reads, gpus = (assignment.code, assignment.table), assignment.limits.gpus
        self._ranks = assignment.processes
        self._confinement = Confinement(
            assignment.inside, reads, assignment.scratch, with_gpus=gpus, loopback=self._ranks > 1
        )
        self._study = _study(assignment)
        if not gpus:
            warm_up()
        privileges.unreadable()
        gc.freeze()  # collecting garbage in a forked process then copies less
        hugepages.collapse()
        self._spare: Cell | None = None

    def serve(self) -> None:
        """Answers tasks; raises Closed when the agent has no more."""
        first = self._fork()
        write_frame(first.tasks, LOAD)
        self._finish(first)
        while True:
            if self._spare is None and not has_input(self._tasks, _IDLE_SECONDS):
                self._spare = self._fork()
            cell, self._spare = self._spare or self._fork(), None
            copy_frame(self._tasks, cell.tasks)
            self._finish(cell)

    def _finish(self, cell: Cell) -> None:
        """Passes the reply on, and removes all that the call leaves."""
        self._ended_before = leftovers.processor_seconds_of_ended()
        cell.wait(self._keeper, self._look)
        cell.pass_on(self._replies)
        cell.close()
        leftovers.end_processes(self._spare.pid if self._spare else 0)
        for folder in (self._scratch, *shared_memory(self._ranks > 1, self._limits)):
            leftovers.empty(folder)

    def _look(self) -> None:
        """Now and then during a call. Raises Ended when it uses too much."""
        self._spare = self._spare or self._fork()
        running = leftovers.processes(self._spare.pid)
        if leftovers.memory_bytes(running) > self._limits.memory_bytes:
            raise Ended(128 + signal.SIGKILL)
        if len(running) > self._limits.processes:
            raise Ended(1)
        ended = leftovers.processor_seconds_of_ended() - self._ended_before
        if leftovers.processor_seconds(running) + ended > self._limits.processor_seconds:
            raise Ended(128 + signal.SIGXCPU)

    def _fork(self) -> Cell:
        return Cell(self._live, self._confinement.descriptors)

    def _live(self, tasks: int, replies: int) -> None:
        """All that the process of a call does."""
        privileges.when_parent_ends(signal.SIGKILL)
        privileges.readable()
        self._confinement.apply()
        if self._ranks == 1 and self._limits.gpus:
            warm_up()
        task = read_frame(tasks, _MAX_TASK)
        if self._ranks == 1 or task == LOAD:
            reseed()
            write_frame(replies, self._study.answer(task))
        else:
            ranks.answer(self._ranks, replies, lambda: self._as_rank(task))

    def _as_rank(self, task: bytes) -> bytes:
        if self._limits.gpus:
            warm_up()
        reseed()
        keep_process_groups()
        return self._study.answer(task)


def _study(assignment: Assignment) -> Answering:
    if assignment.trusted:
        from datasites.runner.trusted import Trusted  # brings PyTorch, which a study may do without

        return Trusted(assignment.code, assignment.table)
    preload(assignment.code)
    return Study(assignment.code, assignment.table)


if __name__ == "__main__":
    main()
