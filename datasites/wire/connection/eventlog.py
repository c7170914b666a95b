"""Syft's own event log and checkpoints of a datasite; Syft encrypts all of it to the datasite itself."""

from __future__ import annotations

from syft.sync.checkpoints.checkpoint import INCREMENTAL_CHECKPOINT_PREFIX, Checkpoint, IncrementalCheckpoint

from datasites.wire import keys
from datasites.wire.connection.base import Wiring
from datasites.wire.connection.mailboxes import event_keys


def _checkpoints(wiring: Wiring, incremental: bool) -> list[tuple[float, str]]:
    parse = IncrementalCheckpoint.filename_to_sequence_number if incremental else Checkpoint.filename_to_timestamp
    found = []
    for key in wiring.store.names(f"{keys.own(wiring.email)}/checkpoints"):
        name = keys.last(key)
        if name.startswith(INCREMENTAL_CHECKPOINT_PREFIX) is incremental and (order := parse(name)) is not None:
            found.append((order, key))
    return sorted(found)


def _events(wiring: Wiring, since: float | None = None) -> list[str]:
    return [key for _, key in event_keys(wiring.store.names(f"{keys.own(wiring.email)}/events"), since)]


def _read(wiring: Wiring, key: str) -> bytes | None:
    """What this participant keeps for itself; what it sealed with earlier keys is sealed with its present ones first,
    as Syft knows no others."""
    raw = wiring.store.get(key)
    if not raw or not wiring.identity.older:
        return raw
    renewed = wiring.identity.renewed(raw)
    if renewed is not raw:
        wiring.store.put(key, renewed)
    return renewed


class EventLog:
    def owner_write_raw_bytes_to_syftbox(self: Wiring, filename: str, data: bytes) -> str:
        key = f"{keys.own(self.email)}/events/{keys.encode(filename)}"
        self.store.put(key, data)
        return key

    def owner_download_raw_bytes_by_id(self: Wiring, file_id: str) -> bytes:
        return _read(self, file_id) or b""

    def owner_get_all_accepted_event_file_ids(self: Wiring, since_timestamp: float | None = None) -> list[str]:
        return _events(self, since_timestamp)

    def owner_download_all_raw_events_from_syftbox(self: Wiring) -> list[bytes]:
        return [_read(self, key) or b"" for key in _events(self)]

    def download_raw_events_since_timestamp(self: Wiring, since_timestamp: float) -> list[bytes]:
        return [_read(self, key) or b"" for key in _events(self, since_timestamp)]

    def get_events_count_since_checkpoint(self: Wiring, checkpoint_timestamp: float | None) -> int:
        return len(_events(self, checkpoint_timestamp))

    def upload_raw_checkpoint(self: Wiring, filename: str, data: bytes) -> str:
        key = f"{keys.own(self.email)}/checkpoints/{keys.encode(filename)}"
        self.store.put(key, data)
        self.store.delete(*(old for _, old in _checkpoints(self, incremental=False) if old != key))
        return key

    def download_raw_latest_checkpoint(self: Wiring) -> bytes | None:
        found = _checkpoints(self, incremental=False)
        return _read(self, found[-1][1]) if found else None

    def upload_raw_incremental_checkpoint(self: Wiring, filename: str, data: bytes) -> str:
        key = f"{keys.own(self.email)}/checkpoints/{keys.encode(filename)}"
        self.store.put(key, data)
        return key

    def download_all_raw_incremental_checkpoints(self: Wiring) -> list[bytes]:
        return [_read(self, key) or b"" for _, key in _checkpoints(self, incremental=True)]

    def get_incremental_checkpoint_count(self: Wiring) -> int:
        return len(_checkpoints(self, incremental=True))

    def get_next_incremental_sequence_number(self: Wiring) -> int:
        found = _checkpoints(self, incremental=True)
        return int(found[-1][0]) + 1 if found else 1

    def delete_all_incremental_checkpoints(self: Wiring) -> None:
        self.store.delete(*(key for _, key in _checkpoints(self, incremental=True)))

    def upload_raw_rolling_state(self: Wiring, filename: str, data: bytes) -> str:
        key = f"{keys.own(self.email)}/rolling_state.bin"
        self.store.put(key, data)
        return key

    def download_raw_rolling_state(self: Wiring) -> bytes | None:
        return _read(self, f"{keys.own(self.email)}/rolling_state.bin")

    def delete_rolling_state(self: Wiring) -> None:
        self.store.delete(f"{keys.own(self.email)}/rolling_state.bin")
