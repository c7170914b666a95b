"""What the parts of the connection share."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from datasites.wire.connection.received import Received
from datasites.wire.identity import Identity
from datasites.wire.peers import PinnedPeers
from datasites.wire.store import Store


class Wiring(Protocol):
    """A participant's store, keys and peers, as every part of the connection sees them."""

    email: str
    store: Store
    identity: Identity
    peers: PinnedPeers
    quarantine: Path
    datasite_folder: Path
    received: Received

    def follow(self, peer_email: str) -> bool: ...
