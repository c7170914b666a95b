"""What the agent does for the audit log now and then: it notes refused messages, shows its head, and watches others."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.audit.log import AuditLog
from datasites.audit.witness import KeysOf, Witness
from datasites.monitoring.setbacks import count
from datasites.wire.canonical import sha256
from datasites.wire.identity import Identity
from datasites.wire.pace import Pace
from datasites.wire.store import Store
from policies.errors import Unavailable, WardroundError

log = logging.getLogger(__name__)

_IDLE_SECONDS = 300.0  # between two looks into a store that may charge for them, after a long silence


class Auditor:
    """For the agent's own thread."""

    def __init__(
        self, identity: Identity, audit: AuditLog, store: Store, keys_of: KeysOf, quarantine: Path, seconds: float
    ) -> None:
        self._identity = identity
        self._audit = audit
        self._store = store
        self._own = OwnHeads(identity, audit)
        self._witness = Witness(identity.email, audit, store, keys_of)
        self._quarantine = quarantine
        self._noted: set[str] = set()
        self._pace = Pace(_IDLE_SECONDS if store.remote else seconds, quick=seconds)
        self._next = 0.0

    def start(self) -> None:
        """Raises Refused when the log is not what this hospital has shown of it before; nothing may run then."""
        self._own.check(self._store)
        self._audit.record(Kind.AGENT_STARTED, fingerprint=self._identity.public.fingerprint)

    def look(self) -> None:
        """At most once in so many seconds, less often while nothing happens here. Raises Refused as `start` does; a
        store that is away is tried again."""
        if time.monotonic() < self._next:
            return
        try:
            self._note_quarantine()
            if self._own.publish(self._store):
                self._pace.came()
            self._witness.look()
        except (Unavailable, OSError) as problem:
            count(problem)
            log.warning("the audit log's head could not be exchanged: %s", problem)
        finally:
            self._next = time.monotonic() + self._pace.wait()

    def stop(self) -> None:
        try:
            self._audit.record(Kind.AGENT_STOPPED)
            self._own.publish(self._store)
        except WardroundError as problem:
            log.warning("the audit log's last head was not shown: %s", problem)

    def _note_quarantine(self) -> None:
        """Messages are put aside by whoever read them; their notes' names stand for sender and content."""
        for path in sorted(self._quarantine.glob("*.json")):
            if path.stem not in self._noted:
                note = path.read_bytes()
                peer = json.loads(note)["from"]
                self._audit.record_once(Kind.MESSAGE_QUARANTINED, message=path.stem, peer=peer, note=sha256(note))
                self._noted.add(path.stem)
