"""This hospital as a witness of the others that meet in the same store: it logs their heads, and tells of two
histories.

Keys are pinned at first sight. At most 64 hospitals are watched, so that whoever holds the store cannot flood the log.
Where there are more, each hospital watches others than the next one does, so that each is watched by some. A look is at
a few of them, in turn: it costs the same however many hospitals there are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from datasites.audit.entry import Kind
from datasites.audit.heads import participants
from datasites.audit.log import AuditLog
from datasites.wire import heads, successions
from datasites.wire.canonical import sha256
from datasites.wire.heads import SignedHead
from datasites.wire.identity import PublicIdentity
from datasites.wire.store import Store
from datasites.wire.successions import Chain, SignedSuccession
from datasites.wire.witness import Sight, Verdict, Watch, worse
from policies.errors import InvalidInput, Refused

log = logging.getLogger(__name__)
_HOSPITALS, _AT_ONCE = 64, 8
KeysOf = Callable[[str], PublicIdentity | None]


@dataclass(frozen=True)
class Witnessed:
    """What is known here of another hospital. `head`: the newest that continues all seen before."""

    hospital: PublicIdentity
    head: SignedHead | None
    verdict: Verdict


class Witness:
    """`keys_of` gives the keys that somebody publishes."""

    def __init__(self, email: str, audit: AuditLog, store: Store, keys_of: KeysOf) -> None:
        self._email = email
        self._audit = audit
        self._store = store
        self._keys_of = keys_of
        self._watch = Watch(store)
        self._told: dict[str, SignedHead] = {}
        self._turns: list[str] = []

    def look(self) -> None:
        """Looks at the heads of the next few of the other hospitals. Raises Unavailable."""
        known = {one.hospital.email: one for one in witnessed(self._audit)}
        if not self._turns:
            self._turns = self._watched(known)
        for _ in range(min(_AT_ONCE, len(self._turns))):
            email = self._turns.pop()
            before = known.get(email) or (self._meet(email) if len(known) < _HOSPITALS else None)
            if before:
                known[email] = self._followed(before)
                self._look_at(known[email])

    def _watched(self, known: Collection[str]) -> list[str]:
        """Participants to look at, the next one last: who is known, then others in an order of this hospital's own,
        with room for those that turn out to be no hospitals."""
        others = {email for email in participants(self._store) if email != self._email}
        own_order = sorted(others - set(known), key=lambda email: sha256(f"{self._email} {email}".encode()))
        return [*own_order[: 2 * _HOSPITALS], *sorted(others & set(known))][::-1]

    def _followed(self, before: Witnessed) -> Witnessed:
        """With the newest keys that the hospital's own statements lead to, which are recorded."""
        hospital = before.hospital
        there = successions.shown(self._store, hospital.email)
        known = successions.parsed(hospital.email, [one.statement for one in hospital.earlier])
        if successions.forked(known, there):
            log.error("the keys of %s have signed two successors: telephone its data owner", hospital.email)
            return before  # what the second one signs is nobody's word here
        new = successions.leads(there, hospital.fingerprint)
        if not new:
            return before
        said = [one.model_dump(mode="json") for one in there]
        after = successions.public_of(hospital.email, new[-1].new.document, said)
        note_followed(self._audit, hospital.email, new)
        with self._audit.transaction() as db:
            row = (_spelt(after), hospital.email)
            db.execute("UPDATE audit_witnessed SET keys = ? WHERE hospital = ?", row)
        log.warning("%s has replaced its keys by %s, as they have signed", hospital.email, after.fingerprint)
        return Witnessed(after, before.head, before.verdict)

    def _meet(self, email: str) -> Witnessed | None:
        """None for a participant that shows no head: a researcher, or a hospital that has not begun."""
        if not self._store.names(heads.box(email)):
            return None
        try:
            public = self._keys_of(email)
        except (Refused, InvalidInput):  # what lies there are no keys
            return None
        return Witnessed(public, None, Verdict.NOTHING) if public else None

    def _look_at(self, before: Witnessed) -> None:
        hospital = before.hospital
        sight = self._watch.look(hospital, before.head)
        sight = Sight(worse(before.verdict, sight.verdict), sight.head, sight.against)
        if (sight.head, sight.verdict) != (before.head, before.verdict):
            self._remember(before, sight)
        if sight.head and self._told.get(hospital.email) != sight.head:
            heads.write_witnessed(self._store, self._email, sight.head)
            self._told[hospital.email] = sight.head

    def _remember(self, before: Witnessed, sight: Sight) -> None:
        hospital, changed = before.hospital, sight.verdict is not before.verdict
        with self._audit.transaction() as db:
            if sight.head and sight.head != before.head:
                self._audit.add(Kind.HEAD_SEEN, **_evidence(hospital, sight.head))
            if sight.against and changed:
                self._audit.add(Kind.HEAD_ALARM, verdict=sight.verdict, **_evidence(hospital, sight.against))
            head = sight.head.model_dump_json() if sight.head else None
            row = (hospital.email, _spelt(hospital), head, sight.verdict)
            db.execute("INSERT OR REPLACE INTO audit_witnessed VALUES (?, ?, ?, ?)", row)
        if changed:
            _tell(hospital.email, sight.verdict)


def witnessed(audit: AuditLog) -> list[Witnessed]:
    """Every other hospital that this one has seen a head of."""
    return [
        Witnessed(
            _pinned(hospital, json.loads(document)),
            SignedHead.model_validate_json(head) if head else None,
            Verdict(verdict),
        )
        for hospital, document, head, verdict in audit.rows("SELECT * FROM audit_witnessed ORDER BY hospital")
    ]


def forget(audit: AuditLog, hospital: str) -> None:
    """Meets the hospital as a stranger from now on; what was seen of it stays in the log."""
    with audit.transaction() as db:
        db.execute("DELETE FROM audit_witnessed WHERE hospital = ?", (hospital,))


def note_followed(audit: AuditLog, email: str, chain: Chain) -> list[SignedSuccession]:
    """Records statements by which somebody's keys were replaced; returns those that are new here."""
    return [
        one
        for one in chain
        if audit.record_once(
            Kind.PEER_KEYS_REPLACED,
            message=one.digest,
            peer=email,
            number=one.succession.number,
            fingerprint=one.new.fingerprint,
            before=one.old.fingerprint,
        )
    ]


def _pinned(hospital: str, content: dict[str, Any]) -> PublicIdentity:
    """What was checked before it was written here."""
    if "successions" in content:
        return successions.read_spelt(hospital, content)
    return PublicIdentity(hospital, content)


def _spelt(hospital: PublicIdentity) -> str:
    return json.dumps(successions.spelt(hospital), sort_keys=True)


def _evidence(hospital: PublicIdentity, signed: SignedHead) -> dict[str, str | int]:
    shown = signed.head.model_dump(mode="json")
    return {
        "hospital": hospital.email,
        "fingerprint": hospital.fingerprint,
        "size": shown["size"],
        "root": shown["root"],
        "head_at": shown["at"],
        "signature": signed.signature,
    }


def _tell(hospital: str, verdict: Verdict) -> None:
    if verdict is Verdict.REWRITTEN:
        log.error("%s has rewritten its audit log: it signed two histories. Ask its data owner.", hospital)
    elif verdict is Verdict.RESTORED:
        log.error(
            "%s says that it has lost entries of its audit log that were seen here: it put a backup back", hospital
        )
    elif verdict is Verdict.UNPROVEN:
        log.warning("%s does not prove that its audit log continues what was seen before", hospital)
