"""How often something kept the agent from its work since its process began; counted where it happens, as nothing else
writes it down."""

from __future__ import annotations

import threading

from datasites.audit.log import StateUnusable
from policies.errors import StoreAway

_counts = dict.fromkeys(("store", "disk", "sync", "other"), 0)
_lock = threading.Lock()


def count(problem: Exception, kind: str = "") -> None:
    """One more, of this kind or of the problem's."""
    with _lock:
        _counts[kind or _kind(problem)] += 1


def _kind(problem: Exception) -> str:
    if isinstance(problem, StoreAway):
        return "store"
    return "disk" if isinstance(problem, OSError | StateUnusable) else "other"


def counts() -> dict[str, int]:
    with _lock:
        return dict(_counts)
