"""An agent that tells its numbers, if its owner wants that."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from datasites.home import DatasiteHome
from datasites.monitoring.collector import DatasiteCollector, registry_of
from datasites.monitoring.endpoint import served
from datasites.settings import DatasiteSettings

log = logging.getLogger(__name__)


@contextmanager
def monitored(home: DatasiteHome, settings: DatasiteSettings, address: str) -> Iterator[None]:
    """Serves the datasite's numbers at `address` within the block; with no address, nothing is opened."""
    if not address:
        yield
        return
    collector = DatasiteCollector(home, settings)
    try:
        with served(address, registry_of(collector)) as page:
            log.info("metrics are served at %s", page)
            yield
    finally:
        collector.close()
