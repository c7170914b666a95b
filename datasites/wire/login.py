"""A Syft client over our connection, for a data owner or a researcher. Encryption is always on.

Built from Syft's public constructors only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from syft.sync.syftbox_manager import SyftboxManagerConfig, default_collections_folder
from syft.sync.sync.caches.datasite_owner_cache import DataSiteOwnerEventCacheConfig
from syft.sync.sync.caches.datasite_watcher_cache import DataSiteWatcherCacheConfig
from syft.sync.sync.datasite_owner_syncer import DatasiteOwnerSyncerConfig
from syft.sync.sync.datasite_watcher_syncer import DatasiteWatcherSyncerConfig
from syft.sync.version.peer_manager import PeerManagerConfig
from syft_datasets.config import SyftBoxConfig
from syft_job import SyftJobConfig
from syft_rds.client import SyftRDSClient
from syft_rds.config import DATASET_COLLECTION_SPECS, SyftRDSClientConfig

from datasites.wire.connection import ObjectStoreConnectionConfig
from datasites.wire.connection.clock import never_back
from datasites.wire.connection.received import Received
from datasites.wire.gate import writable
from datasites.wire.home import Home
from datasites.wire.identity import Identity
from datasites.wire.peers import PinnedPeers
from datasites.wire.quiet import quiet
from datasites.wire.store import Store

Role = Literal["owner", "researcher"]


def login(
    email: str,
    home: Home,
    store_url: str,
    role: Role,
    options: Mapping[str, Any] | None = None,
    expected: dict[str, str] | None = None,
) -> SyftRDSClient:
    """A connected client; publishes its public keys. The keys in `home` must exist.

    expected: fingerprints of peers that are known beforehand; others are trusted at first sight and pinned.
    """
    home.create()
    identity = Identity.load(email, home.keys)
    wiring = ObjectStoreConnectionConfig(
        identity=identity,
        store=Store(store_url, options),
        peers=PinnedPeers(home.peers, expected),
        quarantine=home.quarantine,
        datasite_folder=home.syftbox / email,
        received=Received(home.noted),
    )
    if role == "owner":
        never_back(home.noted)
    with quiet(), identity.file_in_memory() as key_file:  # which Syft reads at once, and never again
        client = SyftRDSClient.from_config(_config(email, home, wiring, role, key_file))
        client.peer_manager.write_own_version()
    client.job_runner = None  # Syft's runner would execute the submitter's run.sh
    if role == "researcher":
        cache = client.sync_engine.datasite_watcher_syncer.datasite_watcher_cache
        cache.pre_write_filter = lambda path, deletes: writable(home.syftbox, path)
    connection_of(client).write_encryption_bundle("", "")
    return client


def connection_of(client: SyftRDSClient) -> Any:
    """The client's `ObjectStoreConnection`."""
    return client.peer_manager.connection_router.connections[0]


def _config(
    email: str, home: Home, wiring: ObjectStoreConnectionConfig, role: Role, key_file: Path | None = None
) -> SyftRDSClientConfig:
    box, owner = home.syftbox, role == "owner"
    specs, connections = DATASET_COLLECTION_SPECS, [wiring]
    collections = default_collections_folder(box, email, specs)
    owner_cache = DataSiteOwnerEventCacheConfig(
        email=email, use_in_memory_cache=False, syftbox_folder=box, collections_folder=collections
    )
    watcher_cache = DataSiteWatcherCacheConfig(
        email=email,
        use_in_memory_cache=False,
        syftbox_folder=box,
        collection_specs=specs,
        connection_configs=connections,
    )
    sync = SyftboxManagerConfig(
        email=email,
        syftbox_folder=box,
        has_ds_role=not owner,
        has_do_role=owner,
        use_in_memory_cache=False,
        datasite_owner_syncer_config=DatasiteOwnerSyncerConfig(
            email=email,
            syftbox_folder=box,
            collections_folder=collections,
            collection_specs=specs,
            connection_configs=connections,
            cache_config=owner_cache,
        ),
        datasite_watcher_syncer_config=DatasiteWatcherSyncerConfig(
            syftbox_folder=box,
            email=email,
            connection_configs=connections,
            datasite_watcher_cache_config=watcher_cache,
        ),
        peer_manager_config=PeerManagerConfig(
            syftbox_folder=box,
            email=email,
            connection_configs=connections,
            has_do_role=owner,
            has_ds_role=not owner,
            use_encryption=True,
            crypto_keys_path=key_file or home.keys,
        ),
    )
    return SyftRDSClientConfig(
        sync=sync,
        job=SyftJobConfig(syftbox_folder=box, current_user_email=email, has_do_role=owner),
        dataset=SyftBoxConfig(syftbox_folder=box, email=email),
    )
