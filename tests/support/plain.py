"""The plain transport: our store, and everything else as stock Syft 0.10 does it.

Syft's only shipped transport is Google Drive. To show what its own syncer, job client and runner do with hostile
messages, they run here over a connection without gate, pins and checks: messages are handed on as they lie in the
store, peers and their keys are kept in the store, and private collections are uploaded when Syft asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from syft.sync.connections.base_connection import SyftboxPlatformConnection
from syft.sync.messages.proposed_filechange import FileNameParseError, MessageFileName
from syft.sync.version.version_info import VersionInfo
from syft_rds.client import SyftRDSClient

from datasites.wire import keys
from datasites.wire.connection import ObjectStoreConnection, ObjectStoreConnectionConfig
from datasites.wire.connection.collections import _folder
from datasites.wire.connection.mailboxes import event_keys
from datasites.wire.connection.received import Received
from datasites.wire.home import Home
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.login import _config
from datasites.wire.peers import PinnedPeers
from datasites.wire.quiet import quiet
from datasites.wire.store import Store
from datasites.wire.successions import Chain


class PeersInTheStore(PinnedPeers):
    """As stock Syft keeps them, and like it without looking at keys twice."""

    def __init__(self, path: Path, store: Store, email: str) -> None:
        super().__init__(path)
        self.store, self.key = store, f"{keys.own(email)}/peers.json"

    def all(self) -> dict[str, dict[str, Any]]:
        return json.loads(self.store.get(self.key) or b"{}")

    def check(self, email: str, document: object, there: Chain = ()) -> PublicIdentity:
        return PublicIdentity(email, document)  # type: ignore[arg-type]

    def update(self, email: str, state: str, document: dict[str, Any] | None = None, there: Chain = ()) -> None:
        peers = self.all()
        entry = {**peers.get(email, {}), "state": state}
        if document is not None:
            entry["public_encryption_bundle"] = document
        self.store.put(self.key, json.dumps({**peers, email: entry}, sort_keys=True).encode())


class PlainConfig(ObjectStoreConnectionConfig):
    connection_type: ClassVar[type[SyftboxPlatformConnection]]


class PlainConnection(ObjectStoreConnection):
    """What is read is what lies in the store."""

    def owner_download_next_raw_proposed_message_from_inbox(self, sender_email: str) -> tuple[bytes, str] | None:
        waiting = []
        for key in self.store.names(keys.box(self.email, "inbox", sender_email)):
            try:
                waiting.append((MessageFileName.from_string(keys.last(key)).submitted_timestamp, key))
            except FileNameParseError:
                continue
        return (self.store.get(min(waiting)[1]) or b"", min(waiting)[1]) if waiting else None

    def watcher_get_outbox_file_metadatas(self, peer_email: str, since_timestamp: float | None) -> list[dict[str, Any]]:
        names = self.store.names(keys.box(peer_email, "outbox", self.email))
        return [
            {"file_id": key, "file_name": keys.last(key), "timestamp": timestamp}
            for timestamp, key in event_keys(names, since_timestamp)
        ]

    def watcher_get_collection_file_metadatas(
        self, prefix: str, tag: str, content_hash: str, owner_email: str
    ) -> list[dict[str, str]]:
        names = self.store.names(f"{_folder(owner_email, prefix, tag, content_hash)}/data")
        return [{"file_id": name, "file_name": keys.last(name)} for name in names]

    def owner_upload_collection_files(self, prefix: str, tag: str, content_hash: str, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            self.store.put(f"{_folder(self.email, prefix, tag, content_hash)}/data/{keys.encode(name)}", data)

    def read_peer_version_file(self, peer_email: str) -> VersionInfo | None:
        raw = self.store.get(f"{keys.participant(peer_email)}/version.json")
        return VersionInfo.from_json(raw.decode()) if raw else None


PlainConfig.connection_type = PlainConnection


def stock_login(
    email: str, home: Home, store_url: str, role: Any, options: Mapping[str, Any] | None = None
) -> SyftRDSClient:
    """As `datasites.wire.login.login`, but for stock Syft with its encryption on."""
    store = Store(store_url, options)
    wiring = PlainConfig(
        identity=Identity.load(email, home.keys),
        store=store,
        peers=PeersInTheStore(home.peers, store, email),
        quarantine=home.quarantine,
        datasite_folder=home.syftbox / email,
        received=Received(home.noted),
    )
    with quiet():
        client = SyftRDSClient.from_config(_config(email, home, wiring, role))
        client.peer_manager.write_own_version()
    client.peer_manager.connection_router.connections[0].write_encryption_bundle("", "")
    return client
