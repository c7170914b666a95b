"""The folder layout that a hospital's and a researcher's home have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datasites.wire.files import private_folder


@dataclass(frozen=True)
class Home:
    """A participant's private folder (0700). Syft's tree is one folder in it; keys and pins lie outside that tree."""

    path: Path

    @property
    def keys(self) -> Path:
        return self.path / "identity.json"

    @property
    def peers(self) -> Path:
        return self.path / "peers.json"

    @property
    def syftbox(self) -> Path:
        return self.path / "syftbox"

    @property
    def noted(self) -> Path:
        """Where Syft notes the messages of events that it has sent or applied; it names the folder itself."""
        return self.path / f"{self.syftbox.name}-event-messages"

    @property
    def quarantine(self) -> Path:
        return self.path / "quarantine"

    def create(self) -> None:
        private_folder(self.path)
