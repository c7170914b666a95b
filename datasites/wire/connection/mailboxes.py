"""Inbox and outbox between a researcher and a datasite. Everything read here goes through the gate first."""

from __future__ import annotations

import contextlib
from typing import Any

from syft.sync.events.file_change_event import FileChangeEventsMessageFileName
from syft.sync.messages.proposed_filechange import FileNameParseError, MessageFileName
from syft_permissions.spec.ruleset import PERMISSION_FILE_NAME

from datasites.wire import keys, limits, quarantine
from datasites.wire.connection.base import Wiring
from datasites.wire.gate import MessageRefused, check_events, check_submission, received_before
from policies.errors import InvalidInput, Refused


def event_keys(names: list[str], since: float | None) -> list[tuple[float, str]]:
    """(timestamp, name) of Syft's event files newer than `since`, oldest first; other names are left out."""
    found = []
    for key in names:
        try:
            timestamp = FileChangeEventsMessageFileName.from_string(keys.last(key)).timestamp
        except ValueError:
            continue
        if since is None or timestamp > since:
            found.append((timestamp, key))
    return sorted(found)


class _Overtaken(Exception):
    """Keys were replaced between sending and reading. sealed_before: the message is of the time before, and who sent it
    sends it again; else it is of the time after, and can be read from the next sync on."""

    def __init__(self, sealed_before: bool) -> None:
        super().__init__()
        self.sealed_before = sealed_before


def _opened(wiring: Wiring, peer: str, raw: bytes) -> bytes:
    """The message, if Syft can open it too: Syft knows present keys only. Raises _Overtaken, Refused."""
    public = wiring.peers.require(peer)
    with contextlib.suppress(Refused):
        return wiring.identity.open(public, raw, retired=False)
    if wiring.follow(peer):
        raise _Overtaken(sealed_before=False)
    try:
        wiring.identity.open(public, raw, earlier=True)
    except Refused:
        raise
    raise _Overtaken(sealed_before=True)


class Mailboxes:
    _checked: dict[str, bytes]  # outbox messages that passed the gate in this sync, until Syft fetches them

    # the researcher writes, the datasite reads

    def watcher_send_raw_bytes_to_inbox(self: Wiring, recipient: str, filename: str, data: bytes) -> None:
        self.store.put(f"{keys.box(recipient, 'inbox', self.email)}/{keys.encode(filename)}", data)

    def owner_download_next_raw_proposed_message_from_inbox(
        self: Wiring, sender_email: str
    ) -> tuple[bytes, str] | None:
        """The oldest good message of a peer. Bad ones are put aside here, so they stop nobody's sync."""
        # an acceptance that was cut off has not opened this box yet: Syft would drop what comes, and delete it
        if not (self.datasite_folder / "app_data/job/inbox" / sender_email / PERMISSION_FILE_NAME).exists():
            return None
        waiting = []
        for key in self.store.names(keys.box(self.email, "inbox", sender_email)):
            try:
                waiting.append((MessageFileName.from_string(keys.last(key)).submitted_timestamp, key))
            except FileNameParseError:
                continue
        for _, key in sorted(waiting)[: limits.PENDING_MESSAGES]:
            raw = b""
            try:
                raw = self.store.get(key, limits.SUBMISSION_BYTES) or b""
                plain = _opened(self, sender_email, raw)
                check_submission(plain, sender_email, self.email, lambda path: (self.datasite_folder / path).exists())
                return raw, key
            except _Overtaken as why:
                if why.sealed_before:
                    self.store.delete(key)
                    continue
                return None  # Syft gets to know the peer's new keys at its next sync
            except (MessageRefused, Refused, InvalidInput) as why:
                quarantine.put_aside(self.quarantine, sender_email, key, raw, why.message)
                self.store.delete(key)
        return None

    def drop_received(self: Wiring) -> None:
        """After a sync that was cut off: removes messages that it had applied already. At any other time one that comes
        again is put aside, as somebody may be replaying it."""
        for sender in self.peers.accepted():
            for key in self.store.names(keys.box(self.email, "inbox", sender)):
                with contextlib.suppress(Refused, InvalidInput):  # the sync puts it aside
                    raw = self.store.get(key, limits.SUBMISSION_BYTES) or b""
                    if received_before(
                        self.identity.open(self.peers.require(sender), raw), sender, self.datasite_folder
                    ):
                        self.store.delete(key)

    def owner_remove_proposed_filechange_message_from_inbox(self: Wiring, proposed_filechange_message: Any) -> None:
        key = str(proposed_filechange_message.platform_id)
        if key.startswith(f"p2p/{keys.encode(self.email)}/inbox/"):
            self.store.delete(key)

    # the datasite writes, the researcher reads

    def _get_own_datasite_outbox_id(self: Wiring, peer_email: str) -> str | None:
        box = keys.box(self.email, "outbox", peer_email)
        return box if self.store.exists(f"{box}/.peer") else None

    def owner_write_raw_bytes_to_outbox(self: Wiring, recipient: str, filename: str, data: bytes) -> None:
        self.store.put(f"{keys.box(self.email, 'outbox', recipient)}/{keys.encode(filename)}", data)

    def get_file_metadatas_from_folder(
        self: Wiring, folder_id: str, since_timestamp: float | None = None, page_size: int = 100
    ) -> list[dict[str, str]]:
        return [{"id": key, "name": keys.last(key)} for key in reversed(self.store.names(folder_id))]

    def watcher_get_outbox_file_metadatas(
        self: Wiring, peer_email: str, since_timestamp: float | None
    ) -> list[dict[str, Any]]:
        """Only messages that passed the gate are listed; `download_file` then hands out those very bytes."""
        listed = []
        self.received.settle(peer_email, since_timestamp)
        for timestamp, key in event_keys(self.store.names(keys.box(peer_email, "outbox", self.email)), None):
            if not self.received.is_news(name := keys.last(key)):
                continue
            raw = b""
            try:
                raw = self.store.get(key, limits.EVENTS_BYTES) or b""
                message = check_events(_opened(self, peer_email, raw), peer_email)
                if message.message_filepath.as_string() != name:
                    raise MessageRefused("goes by another name than its own")  # old news, shown again as new
            except _Overtaken as why:
                if why.sealed_before:
                    continue
                break
            except (MessageRefused, Refused, InvalidInput) as why:
                quarantine.put_aside(self.quarantine, peer_email, key, raw, why.message)
                continue
            self._checked[key] = raw  # type: ignore[attr-defined]
            self.received.hand_out(peer_email, name, message.timestamp)
            listed.append({"file_id": key, "file_name": name, "timestamp": timestamp})
        return listed

    def download_file(self: Wiring, file_id: str) -> bytes:
        checked: dict[str, bytes] = self._checked  # type: ignore[attr-defined]
        return checked.pop(file_id, b"") or self.store.get(file_id) or b""

    def watcher_download_raw_events_from_outbox(self, peer_email: str, since_timestamp: float | None) -> list[bytes]:
        listed = self.watcher_get_outbox_file_metadatas(peer_email, since_timestamp)  # type: ignore[misc]
        return [self.download_file(entry["file_id"]) for entry in listed]  # type: ignore[misc]
