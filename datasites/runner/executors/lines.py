"""What the agent and the far end of a job say to each other: lines of text.

The bytes of both pipes travel in base64, a line for each piece, since Slurm hands on nothing but whole lines of what a
job prints (`_task_build_message` of its slurmstepd), and its unbuffered mode puts a terminal in the way, which changes
bytes. An empty line says no more than that the other side is there.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from enum import Enum

PIECE = 48 * 1024  # bytes of a line before base64, a multiple of 3
_LONGEST = 2 * PIECE
ALIVE = b"\n"
BEAT_SECONDS = 10.0  # how often each side says that it is there
SILENCE_SECONDS = 120.0  # whoever has heard nothing for so long takes the other for gone


class Kind(bytes, Enum):
    """The first letter of a line."""

    HELLO = b"h"  # far end: the worker was started; in which sandbox
    PRINTED = b"p"  # far end: of what the study printed, before the reply that it was printed for
    BYTES = b"b"  # of the pipe: tasks on their way there, replies on their way back
    TROUBLE = b"t"  # far end: why it cannot be, one sentence for the owner
    ENDED = b"e"  # far end: the worker's exit status


class Garbled(Exception):
    """What came is not of this protocol."""


def line(kind: Kind, data: bytes) -> bytes:
    """One line for at most PIECE bytes."""
    return kind.value + binascii.b2a_base64(data)


class Lines:
    """Cuts what comes in pieces into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """The lines that are whole now, but for the empty ones. Raises Garbled."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            raise Garbled
        for one in whole:
            if text := one.rstrip(b"\r"):
                yield _read(text)


def _read(text: bytes) -> tuple[Kind, bytes]:
    try:
        return Kind(text[:1]), binascii.a2b_base64(text[1:], strict_mode=True)
    except ValueError:
        raise Garbled from None
