"""All numbers of one datasite, for Prometheus: in the agent's own process, or in a command's beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from datasites.home import DatasiteHome
from datasites.monitoring import families
from datasites.monitoring.setbacks import counts
from datasites.monitoring.tally import Tally
from datasites.settings import DatasiteSettings
from datasites.state import State
from datasites.wire.calls import PROCESS
from policies.errors import Unavailable

_FRESH_SECONDS = 5.0  # whoever asks more often is told the same again, at no cost to the agent


class DatasiteCollector(Collector):
    """Reads by a connection of its own, so that the agent never waits for it. Opened at the first look."""

    def __init__(self, home: DatasiteHome, settings: DatasiteSettings, fresh_seconds: float = _FRESH_SECONDS) -> None:
        self._home, self._settings, self._fresh = home, settings, fresh_seconds
        self._lock = threading.Lock()
        self._state: State | None = None
        self._tally = Tally()
        self._told: list[Metric] = []
        self._until = 0.0

    def describe(self) -> list[Metric]:
        """Nothing is looked at before somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._told = list(self._look())
                self._until = time.monotonic() + self._fresh
            yield from self._told

    def close(self) -> None:
        with self._lock:
            if self._state:
                self._state.close()
                self._state = None

    def _look(self) -> Iterator[Metric]:
        home = self._home
        yield from families.agent(home)
        yield from families.kept_back(home)
        yield from families.machine(home, self._settings)
        yield from families.drift(home)
        try:
            written = list(self._written())
        except Unavailable:  # the disk is full or fails: what could be read is told all the same
            written = []
        yield from families.gauge("state_readable", "1 while the datasite's state can be read.", bool(written))
        yield from written

    def _written(self) -> Iterator[Metric]:
        """What the state database says, all of one moment."""
        state = self._state = self._state or State(self._home.state)
        with state.audit.snapshot():
            self._tally.catch_up(state.audit)
            yield from families.messages(self._tally)
            yield from families.rounds(self._tally)
            yield from families.studies(state, self._tally)
            yield from families.privacy(self._home, state)
            yield from families.audit(self._home, state.audit)


class OwnCounts(Collector):
    """What this process counts for itself."""

    def collect(self) -> Iterator[Metric]:
        says = "What kept the agent from its work, in this process."
        yield from families.counter("agent_setbacks", says, "what", counts())
        calls = PROCESS.seen()
        traffic = {way: float(calls.pop(way)) for way in ("sent", "received")}
        yield from families.counter("store_calls", "Requests to the store, by this process.", "call", calls)
        yield from families.counter("store_bytes", "Bytes of objects, by this process.", "way", traffic)


def exposition(home: DatasiteHome, settings: DatasiteSettings) -> bytes:
    """The numbers as text, for a file of node-exporter's, but for those that an agent's process counts for itself."""
    collector, registry = DatasiteCollector(home, settings), CollectorRegistry()
    registry.register(collector)
    try:
        return generate_latest(registry)
    finally:
        collector.close()


def registry_of(collector: DatasiteCollector) -> CollectorRegistry:
    """What the agent's endpoint tells."""
    registry = CollectorRegistry()
    registry.register(collector)
    registry.register(OwnCounts())
    return registry
