"""Replacing a hospital's keys: peers follow, and what was signed before stays signed.

The audit log's entry and the key file cannot be written at once, so the new keys wait in a draft: with its entry it is
what the hospital has said, and is put in place at the next chance; without, nothing was said, and it is dropped.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.home import DatasiteHome
from datasites.wire import successions
from datasites.wire.files import sync_folder
from datasites.wire.identity import Identity, is_sealed
from datasites.wire.passphrase import passphrase
from datasites.wire.store import Store
from policies.errors import Refused, Unavailable


@dataclass(frozen=True)
class Replaced:
    """Fingerprints of the keys before and after. shown: whether peers can see it already; else the agent shows it when
    it serves next."""

    before: str
    after: str
    shown: bool


def rotate(home: DatasiteHome, identity: Identity, audit: AuditLog, store: Store) -> Replaced:
    """New keys in the place of `identity`'s, introduced by a statement of these. For while no agent serves.

    Raises KeysForked, and changes nothing, where the store shows that somebody else has the present keys.
    """
    if finish(home, identity.email, audit):
        raise Refused("Keys that were being replaced when it was cut off are in place now.", "Look at them first.")
    try:
        successions.publish(store, identity)  # also: whether nobody else has used these keys for that
    except Unavailable:
        raise Unavailable("The store cannot be reached, so that peers could not follow.", "Try again later.") from None
    secret = passphrase(home.keys) if is_sealed(home.keys) else None
    with audit.transaction():
        new = successions.succeed(identity, audit.size)
        statement = successions.chain(new)[-1]
        new.save(_draft(home), secret)
        audit.add(
            Kind.KEYS_REPLACED,
            number=statement.succession.number,
            fingerprint=new.public.fingerprint,
            before=identity.public.fingerprint,
            message=statement.digest,
        )
    _put_in_place(home)
    return Replaced(identity.public.fingerprint, new.public.fingerprint, _show(store, new))


def finish(home: DatasiteHome, email: str, audit: AuditLog) -> bool:
    """Ends what `kill -9` cut off; whether new keys were put in place by that."""
    draft = _draft(home)
    if not draft.exists():
        return False
    said = successions.chain(Identity.load(email, draft))
    query = "SELECT 1 FROM audit_entries WHERE kind = ? AND message = ?"
    known = bool(said and audit.rows(query, Kind.KEYS_REPLACED, said[-1].digest))
    if known:
        _put_in_place(home)
    else:
        draft.unlink()
    return known


def _show(store: Store, new: Identity) -> bool:
    from datasites.wire.keys import participant

    try:
        successions.publish(store, new)
        body = json.dumps(new.public.document, sort_keys=True).encode()
        store.put(f"{participant(new.email)}/bundle.json", body)
    except Unavailable:
        return False
    return True


def _draft(home: DatasiteHome) -> Path:
    return home.keys.with_name("identity.next.json")


def _put_in_place(home: DatasiteHome) -> None:
    home.sent.unlink(missing_ok=True)  # all that was told is told again, under the new keys
    os.replace(_draft(home), home.keys)
    sync_folder(home.path)
