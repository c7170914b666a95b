"""Secure random numbers that are the same at every run, so that a test's verdict is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from unittest import mock

from datasites.training.private import study
from datasites.training.private.randomness import SecureRandom


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, each call of the hospital's training has a new stream, under keys that follow from `seed`."""
    numbers = count()

    def stream() -> SecureRandom:
        return SecureRandom(hashlib.sha256(f"{seed} {next(numbers)}".encode()).digest())

    with mock.patch.object(study.SecureRandom, "fresh", stream):
        yield
