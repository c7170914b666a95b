"""What the agent's heartbeat tells whoever stands beside it: whether it runs, and what keeps it from its work."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

_ALIVE_SECONDS = 30
_LATE_SECONDS = 5
_FULL = "It cannot write to its home: the disk is full, or fails."


def alive(heartbeat: Path) -> bool:
    """Whether the agent has shown itself lately."""
    try:
        touched = heartbeat.stat().st_mtime  # on a full disk the agent can do no more than touch it
    except OSError:
        return False
    return time.time() - touched < _ALIVE_SECONDS


def waiting_peers(heartbeat: Path) -> int | None:
    """How many ask to be accepted, as the agent last saw; None where no agent tells."""
    try:
        told = json.loads(heartbeat.read_bytes()).get("peers_waiting")
    except (OSError, ValueError, AttributeError):
        return None
    return told if isinstance(told, int) else None


def trouble(heartbeat: Path) -> str:
    """What keeps the running agent from its work; empty for nothing, or no agent."""
    if not alive(heartbeat):
        return ""
    try:
        content, touched = json.loads(heartbeat.read_bytes()), heartbeat.stat().st_mtime
        written = datetime.fromisoformat(content["at"]).timestamp()
    except (OSError, ValueError, KeyError):
        return _FULL
    return _FULL if touched - written > _LATE_SECONDS else str(content.get("problem", ""))
