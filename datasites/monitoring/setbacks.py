"""How often something kept the agent from its work since its process began; counted where it happens, as nothing else
writes it down."""

from __future__ import annotations

from prometheus_client import Counter

from datasites.wire.store import StoreAway

KINDS = ("store", "disk", "sync", "other")
SETBACKS = Counter(
    "wardround_agent_setbacks", "What kept the agent from its work, in this process.", ["what"], registry=None
)
for _kind in KINDS:
    SETBACKS.labels(_kind)


def count(problem: Exception) -> None:
    """One more of its kind."""
    kind = "store" if isinstance(problem, StoreAway) else "disk" if isinstance(problem, OSError) else "other"
    SETBACKS.labels(kind).inc()
