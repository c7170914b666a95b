"""Which of a hospital's messages a researcher's Syft has taken in.

Syft asks for messages "newer than the last one". One that was written earlier but arrived later (two processes of a
hospital, a slow upload), or that was sent after the hospital's clock was set back, would never be read. So what was
taken in is known by name, and everything else is news.
"""

from __future__ import annotations

from pathlib import Path


class Received:
    """noted: the folder where Syft notes the messages it applies, put right after a crash before anyone logs in."""

    def __init__(self, noted: Path) -> None:
        self._applied = {path.name for path in noted.glob("*")}
        self._handed: dict[str, dict[str, float]] = {}

    def settle(self, peer: str, newest: float | None) -> None:
        """What was handed out last counts as taken in if Syft has come to its end; else it is handed out again.

        newest: the time that Syft says the last message it applied has."""
        handed = self._handed.pop(peer, {})
        if handed and newest == max(handed.values()):
            self._applied.update(handed)

    def is_news(self, name: str) -> bool:
        return name not in self._applied

    def hand_out(self, peer: str, name: str, timestamp: float) -> None:
        """timestamp: as the message itself gives it, which is what Syft goes by."""
        self._handed.setdefault(peer, {})[name] = timestamp
