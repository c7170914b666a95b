"""What a process gives up, and whom it dies with: the small calls into the kernel that Python has no name for."""

from __future__ import annotations

import ctypes
import struct

_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SUBREAPER, _SET_NO_NEW_PRIVS = 1, 4, 36, 38  # linux/prctl.h
_CAPABILITY_VERSION = 0x20080522  # linux/capability.h: two words of bits


def no_new_privileges() -> None:
    """No program that this process starts gains rights by its file's owner; without it the kernel takes no filter."""
    prctl(_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """What root may do besides owning files, given up for good once there are no new privileges."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def unreadable() -> None:
    """Keeps other processes of the same user, and children until they say otherwise, from reading its memory."""
    prctl(_SET_DUMPABLE, 0)


def readable() -> None:
    """The usual state; a child of an unreadable process needs it to look into its own /proc/self."""
    prctl(_SET_DUMPABLE, 1)


def adopt_orphans() -> None:
    """Descendants whose parent ends become this process's children, so that it can wait for them."""
    prctl(_SET_SUBREAPER, 1)


def when_parent_ends(signal: int) -> None:
    """Has the kernel send this process `signal` when the thread that started it ends."""
    prctl(_SET_PDEATHSIG, signal)


def prctl(option: int, first: int, second: bytes | None = None) -> None:
    """prctl(2). Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(first), second, None, None) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
