"""Confinement of files by Landlock, a part of Linux that needs no privilege, no namespace and no program (landlock(7)).

For machines on which bubblewrap cannot work, such as most containers. The filter of system calls does the rest.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasites.runner.limits import Limits
from datasites.runner.sandbox import gpus, privileges, seccomp
from datasites.runner.sandbox.base import Inside
from datasites.runner.sandbox.python import needs
from policies.errors import Unavailable

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same numbers on all architectures
_ASK_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FIRST, _REFER, _TRUNCATE, _IOCTL = (1 << 13) - 1, 1 << 13, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_FACTS = ("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system/cpu")  # numerical libraries look there
_SCOPES_SINCE = 6  # the version that keeps signals and abstract sockets within


@dataclass(frozen=True)
class Landlock:
    """The `Sandbox` that the worker builds around each call by itself."""

    @property
    def name(self) -> str:
        """See `Sandbox.name`."""
        return "Landlock"

    @property
    def confines(self) -> str:
        """See `Sandbox.confines`."""
        return (
            "The code can open only Python, its own files and the approved columns of one table, all read-only; it "
            "can write only to one folder that is emptied after each call. There is no network: no socket can be "
            "made. It cannot look into other processes or signal them. About a hundred system calls are refused. "
            "Limited: memory, size of each file, number of processes, processor time and time of each call. "
            "Not limited: how much disk its many files take; it can find out whether a file of a given name exists, "
            "how large it is and when it changed. bubblewrap confines more: prefer it."
        )

    @property
    def inside(self) -> Inside:
        """See `Sandbox.inside`."""
        return Inside.CALLS_AND_FILES

    @property
    def own_network(self) -> bool:
        """See `Sandbox.own_network`: it has no say over whom a socket reaches."""
        return False

    def command(
        self, argv: Sequence[str], reads: Sequence[Path], scratch: Path, limits: Limits, *, several: bool = False
    ) -> list[str]:
        """See `Sandbox.command`; the worker calls `ruleset` and, in each call's process, `apply`."""
        if why := problem():
            raise Unavailable(why)
        return list(argv)


def problem() -> str:
    """Why Landlock cannot be used here, in a sentence; empty where it can."""
    try:
        seccomp.program()
    except Unavailable as why:
        return str(why)
    return "" if version() else "This kernel has no Landlock, or it is turned off (Linux 5.13 or later has it)."


def version() -> int:
    """What this kernel's Landlock can do; 0 without any. 6 and above also knows signals."""
    try:
        return _call(_CREATE, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def ruleset(reads: Iterable[Path], writes: Iterable[Path], *, with_gpus: bool = False) -> int:
    """A file descriptor for `apply`: folders and files to read besides Python, and folders to write; with or without
    the graphics cards. Raises OSError."""
    known = _known(version())
    scopes = 3 if version() >= _SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", known, 0, scopes)[: 24 if scopes else 8]
    rules = _call(_CREATE, attributes, len(attributes), 0)
    facts = (*_FACTS, *gpus.FACTS) if with_gpus else _FACTS
    for path in [*needs().reads, *reads, *map(Path, facts)]:
        _allow(rules, path, _READ & known)
    for path in map(Path, _DEVICES):
        _allow(rules, path, (_READ_FILE | _WRITE_FILE) & known)
    for path in gpus.devices() if with_gpus else ():
        _allow(rules, path, (_READ_FILE | _WRITE_FILE | _READ_DIR | _IOCTL) & known)
    for path in writes:
        _allow(rules, path, known & ~_EXECUTE)
    return rules


def apply(rules: int) -> None:
    """Confines this process and all that it will start, for good. Raises OSError."""
    privileges.no_new_privileges()
    _call(_RESTRICT, rules, 0)


def call_filter() -> bytes:
    """The filter of system calls that belongs to it. Make it in the process that will be under it."""
    return seccomp.program(files=True, signals=version() < _SCOPES_SINCE)


def _known(abi: int) -> int:
    return _FIRST | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0) | (_IOCTL if abi >= 5 else 0)


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        on_it = rights if path.is_dir() else rights & _ON_FILES
        _call(_ADD, rules, _PATH_BENEATH, struct.pack("=Qi", on_it, descriptor), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), *map(_as_c, arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock refused")
    return result


def _as_c(argument: object) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument
