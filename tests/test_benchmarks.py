"""Benchmarks take minutes to hours and do not run in tests; each can at least be started."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.__main__ import ALL


@pytest.mark.parametrize("name", ALL)
def test_a_benchmark_finds_all_it_uses(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").main)
