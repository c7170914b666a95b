"""Syft tells its users things by printing and warning; what it says goes to the log instead."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

log = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Around any call of Syft's."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings(record=True, action="always") as warned:
            yield
    finally:
        for line in (*said.getvalue().splitlines(), *(str(one.message) for one in warned or ())):
            log.debug("syft: %s", line)
