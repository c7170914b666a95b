from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.privacy.seeded import seeded


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _same_noise_each_time() -> Iterator[None]:
    """In this process; workers and agents draw their own, and stay below their claims by a wide margin."""
    with seeded(0):
        yield
