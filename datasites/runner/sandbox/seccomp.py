"""The filter of system calls: a small classic BPF program that the kernel runs before each of them (seccomp(2)).

For a study it refuses what training a model never needs and what attacks on kernels and on other processes do: a list
of what is refused, since PyTorch on another machine may need calls that nobody foresaw here. For the release gate,
which only computes, it is a list of what is allowed.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import socket
import struct
from collections.abc import Iterable

from datasites.runner.sandbox import privileges, syscalls
from policies.errors import Unavailable

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2  # linux/prctl.h, linux/seccomp.h
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}  # linux/audit.h; column in `syscalls`
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06  # linux/bpf_common.h
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x40000000  # a second numbering of x86-64's calls, which would go around the filter
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* of clone(2); the one for time exists in unshare(2) only
_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: type into the terminal behind

_Step = tuple[int, int, int, int]  # code, jump if true, jump if false, operand
_DENIED: _Step = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
_ALLOWED: _Step = (_RETURN, 0, 0, _ALLOW)


def program(*, files: bool = False, signals: bool = False, loopback: bool = False) -> bytes:
    """The filter for this machine and process: an array of struct sock_filter.

    `files` also refuses changes of files' metadata by name, `signals` also signals to all but the calling process:
    both are for where nothing else keeps them from what is not the study's. `loopback` allows TCP, and no other
    protocol, over IPv4 and IPv6: only for where a network namespace holds nothing but the study's own loopback.
    Raises Unavailable on other processors.
    """
    steps, column = _beginning()
    refused = syscalls.REFUSED | (syscalls.METADATA if files else {}) | (syscalls.SIGNALS if signals else {})
    if loopback:
        steps += _case(refused["socket"][column], _tcp())
        refused = {name: numbers for name, numbers in refused.items() if name not in syscalls.TCP}
    for name, numbers in refused.items():
        # glibc tries clone3 first, and clone when the kernel says that it has none
        answer = (_RETURN, 0, 0, _ERRNO | errno.ENOSYS) if name == "clone3" else _DENIED
        steps += _case(numbers[column], [answer])
    for name, judgement in _judgements(signals):
        steps += _case(syscalls.BY_ARGUMENT[name][column], judgement)
    return _assembled([*steps, _ALLOWED])


def computing_only() -> bytes:
    """The filter for a process of ours that reads and writes what it has open and computes, and does nothing else:
    no file is opened, no process or thread started, no memory made to be run. Raises Unavailable as `program` does."""
    steps, column = _beginning()
    for numbers in syscalls.COMPUTE.values():
        steps += _case(numbers[column], [_ALLOWED])
    for numbers in syscalls.MEMORY.values():
        steps += _case(numbers[column], [_argument(2), (_ANY_BIT, 0, 1, mmap.PROT_EXEC), _DENIED, _ALLOWED])
    return _assembled([*steps, _DENIED])


def _beginning() -> tuple[list[_Step], int]:
    """The steps that every filter begins with, and this machine's column in `syscalls`."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES or struct.calcsize("P") != 8:
        raise Unavailable(f"There is no filter of system calls for {machine}.", "Use x86-64 or arm64, 64 bits.")
    audit, column = _ARCHITECTURES[machine]
    steps: list[_Step] = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL)]
    return [*steps, (_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), _DENIED], column


def _assembled(steps: list[_Step]) -> bytes:
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def apply(filter_: bytes) -> None:
    """Puts this process and all that it will start under the filter, for good. Raises OSError."""
    privileges.no_new_privileges()
    code = ctypes.create_string_buffer(filter_, len(filter_))
    privileges.prctl(_PR_SET_SECCOMP, _MODE_FILTER, struct.pack("@HP", len(filter_) // 8, ctypes.addressof(code)))


def _case(number: int | None, judgement: list[_Step]) -> Iterable[_Step]:
    """`judgement`, which ends by returning, for the one system call; the number stays loaded for the next case."""
    return [] if number is None else [(_EQUAL, 0, len(judgement), number), *judgement]


def _judgements(signals: bool) -> list[tuple[str, list[_Step]]]:
    """What depends on arguments. Each comes as two 32-bit halves; the lower is what the kernel looks at here."""
    own_process = [_argument(0), (_EQUAL, 1, 0, 0), _DENIED, _ALLOWED]
    stream_pair = [_argument(0), (_EQUAL, 0, 3, socket.AF_UNIX)]  # a datagram socket could still write to others
    stream_pair += [_argument(1), (_AND, 0, 0, 0xF), (_EQUAL, 1, 0, socket.SOCK_STREAM), _DENIED, _ALLOWED]
    terminal = [_argument(1), *((_EQUAL, 2 - i, 0, request) for i, request in enumerate(_TERMINAL))]
    judged = [
        ("clone", [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), _DENIED, _ALLOWED]),
        ("socketpair", stream_pair),
        ("ioctl", [*terminal, _ALLOWED, _DENIED]),
        ("prlimit64", own_process),
        ("sched_setaffinity", own_process),
    ]
    if signals:  # raise(3) and abort(3) still work
        judged.append(("tgkill", [_argument(0), (_EQUAL, 1, 0, os.getpid()), _DENIED, _ALLOWED]))
    return judged


def _tcp() -> list[_Step]:
    """Of socket(2)'s family, type and protocol. Other protocols of streams (SCTP, MPTCP, SMC) are seldom tested; by
    NETLINK_ROUTE the list of network interfaces is asked for, which gloo and NCCL do."""
    kind = [_argument(1), (_AND, 0, 0, 0xF)]
    route = [*kind, (_EQUAL, 0, 3, socket.SOCK_RAW), _argument(2), (_EQUAL, 0, 1, 0), _ALLOWED, _DENIED]
    stream = [*kind, (_EQUAL, 0, 4, socket.SOCK_STREAM), _argument(2)]
    stream += [(_EQUAL, 1, 0, 0), (_EQUAL, 0, 1, socket.IPPROTO_TCP), _ALLOWED, _DENIED]
    family = [_argument(0), (_EQUAL, 0, len(route), socket.AF_NETLINK), *route]
    return [*family, (_EQUAL, 2, 0, socket.AF_INET), (_EQUAL, 1, 0, socket.AF_INET6), _DENIED, *stream]


def _argument(index: int) -> _Step:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)
