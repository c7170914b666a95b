"""How often a store is asked for something, and how many bytes go each way: what a cloud store charges for, and what
must stay the same for each hospital however many there are."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

KINDS = ("put", "get", "list", "head", "delete")
_PAGE = 1000  # names that a store lists at one request


@dataclass
class Calls:
    """Counts of one store, or of all of this process (`PROCESS`). Safe for threads."""

    made: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    sent: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, kind: str, sent: int = 0, received: int = 0, names: int = 0) -> None:
        """One request, made or tried; of a listing, as many as its `names` take."""
        with self._lock:
            self.made[kind] += max(1, -(-names // _PAGE))
            self.sent += sent
            self.received += received

    def seen(self) -> dict[str, int]:
        """All counts of this moment: by kind, and the bytes `sent` and `received`."""
        with self._lock:
            return {**self.made, "sent": self.sent, "received": self.received}


PROCESS = Calls()
