"""The connection itself: its configuration, and housekeeping that belongs to no part."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, PrivateAttr
from syft.sync.connections.base_connection import ConnectionConfig, SyftboxPlatformConnection

from datasites.wire import keys
from datasites.wire.connection.collections import Collections
from datasites.wire.connection.directory import Directory
from datasites.wire.connection.eventlog import EventLog
from datasites.wire.connection.mailboxes import Mailboxes
from datasites.wire.connection.received import Received
from datasites.wire.identity import Identity
from datasites.wire.peers import PinnedPeers
from datasites.wire.store import Store


class ObjectStoreConnectionConfig(ConnectionConfig):  # type: ignore[misc]
    """`datasite_folder` is where Syft keeps the participant's own tree; refused messages go to `quarantine`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    connection_type: ClassVar[type[SyftboxPlatformConnection]]
    identity: Identity
    store: Store
    peers: PinnedPeers
    quarantine: Path
    datasite_folder: Path
    received: Received


class ObjectStoreConnection(Directory, Mailboxes, EventLog, Collections, SyftboxPlatformConnection):  # type: ignore[misc]
    model_config = ConfigDict(arbitrary_types_allowed=True)
    config: ObjectStoreConnectionConfig
    _checked: dict[str, bytes] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_config(cls, config: ObjectStoreConnectionConfig) -> ObjectStoreConnection:
        return cls(config=config)

    @property
    def email(self) -> str:
        return self.config.identity.email

    @property
    def store(self) -> Store:
        return self.config.store

    @property
    def identity(self) -> Identity:
        return self.config.identity

    @property
    def peers(self) -> PinnedPeers:
        return self.config.peers

    @property
    def quarantine(self) -> Path:
        return self.config.quarantine

    @property
    def received(self) -> Received:
        return self.config.received

    @property
    def datasite_folder(self) -> Path:
        return self.config.datasite_folder

    def delete_file_by_id(self, file_id: str, verbose: bool = False, raise_on_error: bool = False) -> None:
        self.store.delete(*(self.store.names(file_id) or [file_id]))

    def delete_multiple_files_by_ids(
        self, file_ids: Iterable[str], ignore_permissions_errors: bool = True, ignore_file_not_found: bool = True
    ) -> None:
        self.store.delete(*file_ids)

    def gather_all_file_and_folder_ids(self) -> list[str]:
        """All that this participant has in the store, for Syft's `delete_syftbox`."""
        me = keys.encode(self.email)
        prefixes = [keys.own(self.email), keys.participant(self.email), keys.collections(self.email)]
        for direction in ("inbox", "outbox"):
            prefixes.append(f"p2p/{me}/{direction}")
            prefixes += [keys.box(peer, direction, self.email) for peer in self.peers.all() if peer != self.email]
        return [key for prefix in prefixes for key in self.store.names(prefix)]

    def find_orphaned_message_files(self) -> list[Any]:
        return []


ObjectStoreConnectionConfig.connection_type = ObjectStoreConnection
