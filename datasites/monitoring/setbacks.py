"""How often something kept the agent from its work since its process began; counted where it happens, as nothing else
writes it down."""

from __future__ import annotations

import threading

from datasites.wire.store import StoreAway

_counts = dict.fromkeys(("store", "disk", "sync", "other"), 0)
_lock = threading.Lock()


def count(problem: Exception, kind: str = "") -> None:
    """One more, of this kind or of the problem's."""
    own = "store" if isinstance(problem, StoreAway) else "disk" if isinstance(problem, OSError) else "other"
    with _lock:
        _counts[kind or own] += 1


def counts() -> dict[str, int]:
    with _lock:
        return dict(_counts)
