"""Peers, versions and public keys."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError
from syft.sync.version.version_info import VersionInfo

from datasites.wire import keys, limits, protocol, successions
from datasites.wire.connection.base import Wiring
from datasites.wire.identity import check_email
from datasites.wire.peers import ACCEPTED, REJECTED
from policies.errors import InvalidInput, Refused

_VERSION = re.compile(r"\d{1,6}\.\d{1,6}\.\d{1,6}")
_MARK = ".peer"  # an empty object that opens a box; `keys.encode` never makes this name from a message's


def published_document(wiring: Wiring, email: str) -> object | None:
    """The key bundle that `email` has published, unchecked."""
    raw = wiring.store.get(f"{keys.participant(email)}/bundle.json", limits.PUBLIC_BYTES)
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        raise Refused(f"The public keys published for {email} are not valid.") from None


class Directory:
    """Syft's peer list lives on the participant's own disk (`PinnedPeers`), never in the store."""

    def get_authenticated_email(self: Wiring) -> str:
        return self.email

    def reset_caches(self) -> None:
        """Nothing is cached: the peers file is read at each use."""

    def add_peer(self: Wiring, peer_email: str) -> None:
        for direction in ("inbox", "outbox"):
            self.store.put(f"{keys.box(peer_email, direction, self.email)}/{_MARK}", b"{}")

    def _get_peers_json(self: Wiring, force_download: bool = False) -> dict[str, dict[str, Any]]:
        return self.peers.all()

    def _update_peer_state(
        self: Wiring, peer_email: str, state: str, public_encryption_bundle: dict[str, Any] | None = None
    ) -> None:
        there = successions.shown(self.store, peer_email) if public_encryption_bundle else ()
        self.peers.update(peer_email, state, public_encryption_bundle, there)

    def follow(self: Wiring, peer_email: str) -> bool:
        """Whether a peer has replaced its keys; they are pinned then. Raises KeysForked, Unavailable."""
        return bool(self.peers.follow(peer_email, successions.shown(self.store, peer_email)))

    def get_peer_requests(self: Wiring) -> list[str]:
        known = self.peers.all()
        found = []
        for folder in self.store.folders(f"p2p/{keys.encode(self.email)}/inbox"):
            try:
                email = check_email(keys.decode(folder))
            except (ValueError, InvalidInput):
                continue  # not a name that any participant of ours writes
            if known.get(email, {}).get("state") not in (ACCEPTED, REJECTED):
                found.append(email)
        return sorted(e for e in found if self.store.exists(f"{keys.box(self.email, 'inbox', e)}/{_MARK}"))

    def write_encryption_bundle(self: Wiring, peer_email: str, bundle_json: str) -> None:
        """Public keys are public: one bundle for everybody, with its owner's name inside. What introduces them comes
        first. Raises KeysForked."""
        successions.publish(self.store, self.identity)
        protocol.publish(self.store, self.identity)
        body = json.dumps(self.identity.public.document, sort_keys=True).encode()
        self.store.put(f"{keys.participant(self.email)}/bundle.json", body)

    def share_encryption_bundles_folder(self, peer_email: str) -> None:
        """Who may read what is the store's access policy."""

    def read_peer_encryption_bundle(self: Wiring, peer_email: str) -> str | None:
        """Raises Refused when the store shows other keys than those pinned or agreed on."""
        document = published_document(self, peer_email)
        if document is None:
            return None
        checked = self.peers.check(peer_email, document, successions.shown(self.store, peer_email))
        return json.dumps({"public_encryption_bundle": checked.document})

    def write_version_file(self: Wiring, version_info: VersionInfo) -> None:
        self.store.put(f"{keys.participant(self.email)}/version.json", version_info.to_json().encode())

    def read_own_version_file(self: Wiring) -> VersionInfo | None:
        return _read_version(self, self.email)

    def read_peer_version_file(self: Wiring, peer_email: str) -> VersionInfo | None:
        return _read_version(self, peer_email)

    def share_version_file_with_peer(self: Wiring, peer_email: str) -> None:
        if _read_version(self, self.email) is None:
            self.store.put(f"{keys.participant(self.email)}/version.json", VersionInfo.current().to_json().encode())


def _read_version(wiring: Wiring, email: str) -> VersionInfo | None:
    """Unsigned and only informative: one that Syft could not read or compare counts as unknown."""
    try:
        raw = wiring.store.get(f"{keys.participant(email)}/version.json", limits.PUBLIC_BYTES)
        version = VersionInfo.from_json(raw.decode()) if raw else None
    except (ValidationError, ValueError, InvalidInput):
        return None
    return version if version and _VERSION.fullmatch(version.syft_client_version) else None
