"""The time on Syft's messages of events never goes back.

Who reads them applies them in the order of these times. After a clock was set back, the old state of a file would count
as the newer one.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from syft.sync.events import file_change_event
from syft.sync.events.file_change_event import FileChangeEventsMessageFileName

_STEP = 1e-5  # seconds; a double holds no finer steps of the present time than 2.4e-7
_lock = threading.Lock()
_last = 0.0


def _later_than_the_last() -> float:
    global _last
    with _lock:
        _last = max(time.time(), _last + _STEP)
        return _last


def never_back(noted: Path) -> None:
    """From now on in this process: times after all that `noted` has, the folder of the messages sent before."""
    global _last
    for path in noted.glob("*"):
        try:
            sent = FileChangeEventsMessageFileName.from_string(path.name).timestamp
        except ValueError:
            continue
        with _lock:
            _last = max(_last, sent)
    file_change_event.create_event_timestamp = _later_than_the_last
