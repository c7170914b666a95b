"""The hospital's own heads: signing and publishing them, and checking that its log still is what it has shown."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from datasites.audit.gaps import kept_gaps
from datasites.audit.log import AuditLog
from datasites.wire import heads, keys
from datasites.wire.gaps import covered
from datasites.wire.heads import Head, Publication, SignedHead
from datasites.wire.identity import Identity, check_email
from datasites.wire.merkle import consistency_proof
from datasites.wire.store import Store
from policies.errors import InvalidInput, Refused

_NEWEST = 16  # heads that stay in the store, beside the first one behind each power of two
_WITNESSES = 200
_AT_ONCE = 8  # witnesses that are asked before a head is shown, in turn; all of them when the agent starts


class LogMismatch(Refused):
    """The log is not a continuation of what was shown of it."""


class OwnHeads:
    """Of one hospital. What is in the store counts only if it is signed with the hospital's own key."""

    def __init__(self, identity: Identity, log: AuditLog) -> None:
        self._identity = identity
        self._log = log
        self._box = heads.box(identity.email)
        self._published = 0
        self._turns: list[str] = []

    def sign(self) -> SignedHead:
        """A head of the log as it is now, kept beside it. Raises InvalidInput for an empty log."""
        with self._log.transaction() as db:  # heads are signed one after the other, whichever process does
            if (size := self._log.size) == 0:
                raise InvalidInput("The audit log is empty.", "Nothing has happened at this datasite yet.")
            # clocks may be set back; and what is signed behind a gap must not look like what was lost in it
            earlier = [one.head.at for _, one in self.kept(newest=True)]
            earlier += [one.gap.at + timedelta(seconds=1) for one in kept_gaps(self._log)]
            at = max([datetime.now(UTC).replace(microsecond=0), *earlier])
            head = Head(hospital=self._identity.email, size=size, root=self._log.root(size).hex(), at=at)
            signed = SignedHead.sign(head, self._identity)
            _keep(db, self._identity.email, signed)
        return signed

    def kept(self, newest: bool = False) -> list[tuple[str, SignedHead]]:
        """Who holds which head of this hospital, as known here: itself, or a witness; all of them, or the newest."""
        query = "SELECT holder, document FROM audit_heads ORDER BY size DESC, holder LIMIT ?"
        rows = self._log.rows(query, 1 if newest else -1)[::-1]
        return [(holder, SignedHead.model_validate_json(document)) for holder, document in rows]

    def shown(self, store: Store) -> list[tuple[str, SignedHead]]:
        """Every head of this hospital that lies in the store, by who put it there: itself, or a witness."""
        own = [heads.read_publication(store, name, self._identity.public) for name in store.names(self._box)]
        found = [(self._identity.email, one.head) for one in own if one]
        for witness in participants(store)[:_WITNESSES]:
            if signed := heads.read_witnessed(store, witness, self._identity.public):
                found.append((witness, signed))
        return found

    def drop_lost(self, store: Store) -> None:
        """Takes the heads of what was lost out of this hospital's own box."""
        gaps = kept_gaps(self._log)
        for name in store.names(self._box):
            found = heads.read_publication(store, name, self._identity.public)
            if found and covered(gaps, found.head.head.size, found.head.head.at):
                store.delete(name)

    def check(self, store: Store) -> None:
        """Compares the log with every head it has shown, in the store and with witnesses. Raises Refused when the log
        is not a continuation of them all, Unavailable."""
        for name in store.names(self._box):
            if found := heads.read_publication(store, name, self._identity.public):
                self._compare(self._identity.email, found.head)
            else:
                store.delete(name)  # not this hospital's word, in its own box
        for witness in participants(store)[:_WITNESSES]:
            self._check_witness(store, witness)

    def publish(self, store: Store) -> bool:
        """Shows a head, if anything but heads of others was recorded since the last one. Raises as `check` does."""
        if self._log.size == 0 or self._log.only_heads_seen_since(self._published):
            return False
        if not self._turns:
            self._turns = participants(store)[:_WITNESSES][::-1]
        for _ in range(min(_AT_ONCE, len(self._turns))):
            self._check_witness(store, self._turns.pop())
        there = {size for name in store.names(self._box) if (size := heads.size_of(name))}
        signed = self.sign()
        size = signed.head.size
        witnessed = "SELECT DISTINCT size FROM audit_heads WHERE holder <> ?"
        earlier = there | {m for (m,) in self._log.rows(witnessed, self._identity.email)}
        proofs = {m: consistency_proof(m, size, self._log.node) for m in earlier if m < size}
        gaps = kept_gaps(self._log)
        proofs |= {one.gap.kept: consistency_proof(one.gap.kept, size, self._log.node) for one in gaps}
        publication = Publication.sign(signed, proofs, self._identity, gaps)
        store.put(heads.key(self._identity.email, size), publication.model_dump_json().encode())
        self._published = size
        old = there - _worth_keeping(there | {size})
        store.delete(*(heads.key(self._identity.email, m) for m in sorted(old)))
        return True

    def _check_witness(self, store: Store, witness: str) -> None:
        if signed := heads.read_witnessed(store, witness, self._identity.public):
            self._compare(witness, signed)

    def _compare(self, holder: str, signed: SignedHead) -> None:
        head, size = signed.head, self._log.size
        if covered(kept_gaps(self._log), head.size, head.at):
            return  # of what was lost with a backup that was put back, as this log says
        how = "published" if holder == self._identity.email else f"seen by {holder}"
        hint = "Restore the newest state.db, not an older copy; if it is lost: wardround datasite confirm-restore."
        if head.size > size:
            raise LogMismatch(f"The audit log was rolled back to {size:,} entries: {head.size:,} were {how}.", hint)
        if self._log.root(head.size).hex() != head.root:
            raise LogMismatch(
                f"The audit log was rewritten: its first {head.size:,} entries are not those {how}.", hint
            )
        with self._log.transaction() as db:
            _keep(db, holder, signed)
            if holder != self._identity.email:  # a witness's newest head stands for those before it
                db.execute("DELETE FROM audit_heads WHERE holder = ? AND size < ?", (holder, head.size))


def _keep(db: sqlite3.Connection, holder: str, signed: SignedHead) -> None:
    row = (holder, signed.head.size, signed.model_dump_json())
    db.execute("INSERT OR IGNORE INTO audit_heads VALUES (?, ?, ?)", row)


def participants(store: Store) -> list[str]:
    """Everybody who has a folder in the store; unchecked, as anybody may make one."""
    found = []
    for folder in store.folders("participants"):
        try:
            found.append(check_email(keys.decode(folder)))
        except (ValueError, InvalidInput):
            continue
    return found


def _worth_keeping(sizes: set[int]) -> set[int]:
    """The newest ones, and the first behind each power of two."""
    firsts: dict[int, int] = {}
    for size in sorted(sizes):
        firsts.setdefault(size.bit_length(), size)
    return {*sorted(sizes)[-_NEWEST:], *firsts.values()}
