"""Confinement by Linux namespaces, set up by bubblewrap (`bwrap`), the sandbox under Flatpak; works for any user."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from datasites.runner.limits import Limits
from datasites.runner.sandbox import gpus, seccomp
from datasites.runner.sandbox.base import Inside
from datasites.runner.sandbox.python import needs
from policies.errors import Unavailable

_PROGRAM = "bwrap"
_PROBE_SECONDS = 30
_INSTALL = "Install bubblewrap 0.7 or later (apt-get install bubblewrap), and allow user namespaces."


@dataclass(frozen=True)
class Bubblewrap:
    """The `Sandbox` of an empty file system, no network and no other process.

    names_host: whether the code is shown another host name than the machine's, which most containers do not allow.
    """

    names_host: bool = True

    @property
    def name(self) -> str:
        """See `Sandbox.name`."""
        return "bubblewrap"

    @property
    def confines(self) -> str:
        """See `Sandbox.confines`."""
        name = "" if self.names_host else " It can read this machine's host name."
        return (
            "The code sees an empty file system with Python, its own files and the approved columns of one table, all "
            "read-only; it can write only to a small memory-backed folder that is emptied after each call. There is "
            "no network, no other process, no shell or other program, no privilege, and no device but graphics cards "
            "where the setting limits.gpus allows them. About a hundred system calls are refused. Limited: memory, "
            "number of processes, processor time and time of each call. Not limited: what can be learned from timing "
            f"about the machine. A hole in the Linux kernel would be a hole in this sandbox.{name}"
        )

    @property
    def inside(self) -> Inside:
        """See `Sandbox.inside`."""
        return Inside.CALLS

    @property
    def own_network(self) -> bool:
        """See `Sandbox.own_network`: a network namespace, with a loopback alone."""
        return True

    def command(
        self, argv: Sequence[str], reads: Sequence[Path], scratch: Path, limits: Limits, *, several: bool = False
    ) -> list[str]:
        """See `Sandbox.command`. Folders keep their names; the scratch is another one, in memory, at the same place."""
        python, size = needs(), ("--size", str(limits.scratch_bytes), "--perms", "0700")
        return [
            program(),
            *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *(("--hostname", "study") if self.names_host else ()),
            *_flat("--ro-bind", ((path, path) for path in python.reads)),
            *_flat("--symlink", ((target, link) for link, target in python.links)),
            *("--proc", "/proc", "--dev", "/dev"),
            *_flat("--dev-bind", ((path, path) for path in (gpus.devices() if limits.gpus else ()))),
            *_flat("--ro-bind", ((path, path) for path in reads)),
            *(*size, "--tmpfs", str(scratch)),
            *(word for at in shared_memory(several, limits) for word in (*size, "--tmpfs", str(at))),
            # the rest has no limit of size; and root could write to the kernel's settings in /proc/sys
            *("--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", str(scratch), "--"),
            *argv,
        ]


def shared_memory(several: bool, limits: Limits) -> tuple[Path, ...]:
    """Where processes with graphics cards hand each other tensors (NCCL); there is no such place for others."""
    return (Path("/dev/shm"),) if several and limits.gpus else ()  # noqa: S108


def program() -> str:
    """The path of bwrap. Raises Unavailable."""
    found = shutil.which(_PROGRAM)
    if found is None:
        raise Unavailable("bubblewrap is not installed.", _INSTALL)
    return found


def problem() -> str:
    """Why bubblewrap cannot be used here, in a sentence; empty where it works."""
    return tried()[1]


@cache
def tried() -> tuple[Bubblewrap, str]:
    """The way of using bubblewrap that works here, and why none does, in a sentence; tried once a process."""
    best, less = Bubblewrap(), Bubblewrap(names_host=False)
    why = _problem_of(best)
    return (less, "") if why and not _problem_of(less) else (best, why)


def _problem_of(sandbox: Bubblewrap) -> str:
    try:
        seccomp.program()
        check = [sys.executable, "-I", "-c", "import datasites, policies"]
        command = sandbox.command(check, (), Path("/scratch"), Limits())
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, env={})
    except Unavailable as why:
        return str(why)
    except (OSError, subprocess.SubprocessError) as why:
        return f"bubblewrap could not be started: {type(why).__name__}."
    last = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
    return "" if done.returncode == 0 else f"bubblewrap does not work here: {last}. {_INSTALL}"


def _flat(option: str, pairs: Iterable[tuple[Path | str, Path]]) -> list[str]:
    return [word for first, second in pairs for word in (option, str(first), str(second))]
