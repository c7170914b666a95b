from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from datasites.datasite import Datasite
from datasites.monitoring.collector import DatasiteCollector, registry_of

Numbers = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Datasite]:
    """A datasite at which nothing has happened."""
    one = Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store")
    yield one
    one.state.close()


@pytest.fixture
def registry(site: Datasite) -> Iterator[CollectorRegistry]:
    collector = DatasiteCollector(site.home, site.settings, fresh_seconds=0)
    yield registry_of(collector)
    collector.close()


@pytest.fixture
def text(registry: CollectorRegistry) -> Callable[[], str]:
    """What is told now."""
    return lambda: generate_latest(registry).decode()


@pytest.fixture
def numbers(text: Callable[[], str]) -> Callable[[], Numbers]:
    """The same, by name and labels."""
    return lambda: parsed(text())


def parsed(text: str) -> Numbers:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples), "a series is told twice"
    return found
