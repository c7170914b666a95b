"""Which protocol participants speak, so that old and new ones know before anything is lost between them.

Each shows the range that its release understands, signed, as `participants/WHO/protocol.json`; who shows none speaks
the first. The form of this statement never changes. Two speak with each other by the highest number that both know;
where there is none, whoever would begin refuses, and says who has to upgrade. No number guards anything: the store
could show an older statement.

| number | since then |
|---|---|
| 1 | what the first releases spoke |
| 2 | keys are replaced by succession (`successions`), heads of a restored log own up to a gap (`gaps`) |
| 3 | large messages of rounds are sealed in chunks (`chunked`) |
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from datasites.wire import keys, limits
from datasites.wire.canonical import canonical_json
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.store import Store
from datasites.wire.values import Email, Frozen
from policies.errors import InvalidInput, Refused

CONTEXT = "protocol"
LEAST, MOST = 1, 3  # what this release understands
SUCCESSIONS, CHUNKS = 2, 3
Number = Annotated[int, Field(ge=1, le=1_000_000)]


class Speaks(Frozen):
    """`least`, `most`: the range. `release`: of Wardround, for people; empty where it is not known."""

    version: Literal[1] = 1
    who: Email
    least: Number
    most: Number
    release: Annotated[str, Field(max_length=100, pattern=r"^[0-9A-Za-z.+-]*$")] = ""


class SignedSpeaks(Frozen):
    speaks: Speaks
    signature: str


def publish(store: Store, identity: Identity) -> None:
    """Shows what this release understands."""
    said = Speaks(who=identity.email, least=LEAST, most=MOST, release=version("wardround"))
    signed = SignedSpeaks(speaks=said, signature=identity.sign(CONTEXT, _payload(said)))
    store.put(_key(identity.email), signed.model_dump_json().encode())


def of(store: Store, who: PublicIdentity) -> Speaks:
    """What a participant says that it speaks; the first protocol, where it has said nothing that can be believed."""
    try:
        raw = store.get(_key(who.email), limits.PUBLIC_BYTES)
        found = SignedSpeaks.model_validate_json(raw or b"")
        if found.speaks.who == who.email and who.signed(CONTEXT, _payload(found.speaks), found.signature):
            return found.speaks
    except (ValidationError, InvalidInput, json.JSONDecodeError, RecursionError):
        pass
    return Speaks(who=who.email, least=1, most=1)


def agreed(theirs: Speaks) -> int:
    """The number that both speak. Raises Refused where there is none, and says who has to upgrade."""
    ranges = _range(theirs.least, theirs.most), _range(LEAST, MOST)
    if theirs.least > MOST:
        raise Refused(
            f"{theirs.who} speaks protocol {ranges[0]}, and this release {ranges[1]}.",
            f"Upgrade Wardround here{_to(theirs)}.",
        )
    if theirs.most < LEAST:
        raise Refused(
            f"{theirs.who} speaks protocol {ranges[0]}, and this release {ranges[1]}.",
            f"Ask them to upgrade Wardround to {version('wardround')} or newer.",
        )
    return min(theirs.most, MOST)


def _to(theirs: Speaks) -> str:
    return f" to {theirs.release} or newer" if theirs.release else ""


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _payload(said: Speaks) -> bytes:
    return canonical_json(said.model_dump(mode="json"))


def _key(email: str) -> str:
    return f"{keys.participant(email)}/protocol.json"
