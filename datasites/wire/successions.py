"""How a participant replaces its keys and stays who it is: numbered statements, signed by the old and the new keys.

The chain of all statements lies in the store, as `participants/WHO/successions.json`. A peer that knows any of the keys
follows it to the newest ones. Nobody else can lengthen it; whoever holds the store can only keep it back or show an
older one, which changes nothing at a peer that has followed further. Two statements signed by the same keys are a fork:
somebody else has those keys, and no peer follows either of them without people having talked.

Replacing keys keeps a thief of *future* copies out. Who has the present keys can sign a succession too, so keys that
were stolen are not replaced but given up: see docs/lifecycle.md.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import syft_crypto_python as syc
from pydantic import Field, ValidationError

from datasites.wire import keys
from datasites.wire.canonical import canonical_json, digest_of
from datasites.wire.identity import Identity, PublicIdentity, Retired, same_fingerprint
from datasites.wire.store import Store
from datasites.wire.values import Email, Frozen
from policies.errors import InvalidInput, Refused

OLD, NEW = "key-succession", "key-succession-accepted"
MOST, MAX_BYTES = 200, 2 * 1024 * 1024
Chain = tuple["SignedSuccession", ...]


class KeysForked(Refused):
    """Two successors of the same keys were signed by them."""


class Succession(Frozen):
    """`number`: counted from 1. `old`, `new`: public keys, as DID documents. `log_size`: entries that the hospital's
    audit log had then, 0 for who keeps none: the old keys sign for no longer log."""

    version: Literal[1] = 1
    who: Email
    number: Annotated[int, Field(ge=1, le=MOST)]
    old: dict[str, Any]
    new: dict[str, Any]
    log_size: Annotated[int, Field(ge=0)]
    at: datetime = Field(strict=False)


class SignedSuccession(Frozen):
    succession: Succession
    by_old: str
    by_new: str

    @property
    def digest(self) -> str:
        """Of what is said: two spellings of a signature do not make two statements."""
        return digest_of(self.succession.model_dump(mode="json"))

    @property
    def old(self) -> PublicIdentity:
        return PublicIdentity(self.succession.who, self.succession.old)

    @property
    def new(self) -> PublicIdentity:
        return PublicIdentity(self.succession.who, self.succession.new)

    def verified(self) -> bool:
        """Whether both keys signed it, and both documents are those of whom it names."""
        said = self.succession
        payload = canonical_json(said.model_dump(mode="json"))
        try:
            old, new = PublicIdentity.parse(said.who, said.old), PublicIdentity.parse(said.who, said.new)
        except Refused:
            return False
        if same_fingerprint(old.fingerprint, new.fingerprint):
            return False
        return old.verify(OLD, payload, self.by_old) and new.verify(NEW, payload, self.by_new)


def succeed(identity: Identity, log_size: int = 0) -> Identity:
    """The same participant with new keys, and the statement that says so as its newest. Nothing is written.

    Raises Refused after 200 of them.
    """
    number = len(identity.successions) + 1
    if number > MOST:
        raise Refused(f"These keys were replaced {MOST} times already.", "Take another address.")
    made = syc.SyftRecoveryKey.generate().derive_keys()
    new = Identity(identity.email, made)
    said = Succession(
        who=identity.email,
        number=number,
        old=identity.public.document,
        new=new.public.document,
        log_size=log_size,
        at=datetime.now(UTC).replace(microsecond=0),
    )
    payload = canonical_json(said.model_dump(mode="json"))
    signed = SignedSuccession(succession=said, by_old=identity.sign(OLD, payload), by_new=new.sign(NEW, payload))
    return identity.succeeded_by(made, signed.model_dump(mode="json"))


def chain(identity: Identity) -> Chain:
    """The statements of one's own."""
    return parsed(identity.email, list(identity.successions))


def parsed(email: str, content: object) -> Chain:
    """The chain as far as it is whole: numbered, each statement signed, each by the keys that the one before named."""
    found: list[SignedSuccession] = []
    for one in content if isinstance(content, list) else []:
        try:
            statement = SignedSuccession.model_validate_json(json.dumps(one))
        except (ValidationError, ValueError, TypeError, RecursionError):
            break
        said, number = statement.succession, len(found) + 1
        follows = not found or _same(found[-1].new, statement.old)
        if said.who != email or said.number != number or not follows or not statement.verified():
            break
        found.append(statement)
    return tuple(found)


def shown(store: Store, email: str) -> Chain:
    """The chain that lies in the store; what is no chain counts as none, as anybody may have put it there."""
    try:
        raw = store.get(_key(email), MAX_BYTES)
        return parsed(email, json.loads(raw)) if raw else ()
    except (InvalidInput, ValueError, RecursionError):
        return ()


def publish(store: Store, identity: Identity) -> None:
    """Shows one's own chain. Raises KeysForked where the store holds a statement that one's own keys signed for keys
    that one does not hold: somebody else has them, or this is an older copy of one's own folder."""
    own = chain(identity)
    there = shown(store, identity.email)
    if forked(own, there) or (len(there) > len(own) and _same(_newest(own, there), identity.public)):
        raise KeysForked(
            "A statement that was signed with the keys here introduces keys that are not here.",
            "If you replaced the keys, use the newest copy of this folder. If you did not, they were stolen: stop, and "
            "telephone every peer (docs/lifecycle.md, Lost or stolen keys).",
        )
    if len(own) > len(there):
        store.put(_key(identity.email), json.dumps([one.model_dump(mode="json") for one in own]).encode())


def forked(known: Chain, there: Chain) -> SignedSuccession | None:
    """The statement of `there` that gives the same keys another successor than `known` does."""
    for mine, other in zip(known, there, strict=False):
        if mine.digest != other.digest:
            return other if _same(mine.old, other.old) else None
    return None


def leads(there: Chain, fingerprint: str) -> Chain | None:
    """The statements that lead from the keys with that fingerprint to the newest ones; None where none do."""
    for number, one in enumerate(there):
        if same_fingerprint(one.old.fingerprint, fingerprint):
            return there[number:]
    return None


def public_of(email: str, document: object, successions: Sequence[dict[str, Any]]) -> PublicIdentity:
    """Keys with the earlier ones that their chain, where it ends in them, names. Raises Refused for what is no key."""
    public = PublicIdentity.parse(email, document)
    whole = parsed(email, list(successions))
    if whole and _same(whole[-1].new, public):
        return PublicIdentity(email, public.document, tuple(Retired(one.model_dump(mode="json")) for one in whole))
    return public


def spelt(public: PublicIdentity) -> dict[str, Any]:
    """Keys as they are kept and exported: the document, or, where they replaced others, that with the statements."""
    if not public.earlier:
        return public.document
    return {"document": public.document, "successions": [one.statement for one in public.earlier]}


def read_spelt(email: str, content: Any) -> PublicIdentity:
    """What `spelt` wrote; nothing is believed. Raises Refused for what is no key, or no chain that leads to it."""
    if not isinstance(content, dict) or "successions" not in content:
        return PublicIdentity.parse(email, content)
    said = content["successions"]
    public = public_of(email, content.get("document"), said)
    if not isinstance(said, list) or len(public.earlier) != len(said):
        raise Refused(f"The statements by which the keys of {email} were replaced do not lead to them.")
    return public


def fits(fingerprint: str, public: PublicIdentity) -> str | None:
    """What is to be said of a fingerprint that somebody was given: nothing for that of the present keys, a sentence for
    that of earlier ones, and None for a wrong one."""
    if same_fingerprint(fingerprint, public.fingerprint):
        return ""
    there = parsed(public.email, [one.statement for one in public.earlier])
    followed = leads(there, fingerprint)
    if not followed:
        return None
    times = "once" if len(followed) == 1 else f"{len(followed)} times"
    return f"the keys with the fingerprint you gave were replaced {times}, as they have signed"


def _newest(own: Chain, there: Chain) -> PublicIdentity:
    """The keys that the first statement behind one's own replaces."""
    return there[len(own)].old


def _same(left: PublicIdentity, right: PublicIdentity) -> bool:
    return same_fingerprint(left.fingerprint, right.fingerprint)


def _key(email: str) -> str:
    return f"{keys.participant(email)}/successions.json"
