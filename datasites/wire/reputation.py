"""What a researcher says of a hospital's part in studies, for the hospital to see, hold them to, and contest.

Each line is signed and names the digest of the line before it: with the last line a hospital has seen, one that is
changed or taken back later is found, and the researcher's own signature proves it. A hospital gets its own lines alone.

| name in the store | writer | what, sealed for its one reader |
|---|---|---|
| participants/RESEARCHER/reputation/HOSPITAL.json | RESEARCHER | all lines about HOSPITAL |
| participants/HOSPITAL/contested/RESEARCHER.json | HOSPITAL | all that HOSPITAL contests of them |
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from datasites.wire import keys
from datasites.wire.canonical import canonical_json, digest_of
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.store import Store
from datasites.wire.values import Digest, Email, Frozen, Line, Name
from policies.errors import InvalidInput, Refused

FIRST = "0" * 64  # in the place of the line before the first
MAX_BYTES = 4 * 1024 * 1024
_REMARK, _CONTEST = "reputation-remark", "reputation-contest"
Number = Annotated[int, Field(ge=1, le=1_000_000)]
Kind = Literal["clear", "zero", "copied", "stale", "scaled", "noise"]


class Remark(Frozen):
    """Line `number` about a hospital: what was found in so many `rounds` of a study; "clear" where nothing was."""

    version: Literal[1] = 1
    researcher: Email
    hospital: Email
    number: Number
    study: Digest
    name: Name
    kind: Kind
    rounds: tuple[Number, ...] = Field(strict=False, max_length=100_000)
    reason: Line
    at: datetime = Field(strict=False)
    before: Digest

    @property
    def digest(self) -> str:
        return digest_of(self.model_dump(mode="json"))


class Contest(Frozen):
    """A hospital's answer to one line, named by its digest too. A later one about the same line replaces it."""

    version: Literal[1] = 1
    hospital: Email
    researcher: Email
    number: Number
    remark: Digest
    note: Line
    at: datetime = Field(strict=False)


Said = TypeVar("Said", Remark, Contest)


class Signed(Frozen, Generic[Said]):
    said: Said
    signature: str


_Lines = TypeVar("_Lines")
_REMARKS = TypeAdapter(tuple[Signed[Remark], ...])
_CONTESTS = TypeAdapter(tuple[Signed[Contest], ...])


def sign_remark(remark: Remark, identity: Identity) -> Signed[Remark]:
    return Signed[Remark](said=remark, signature=identity.sign(_REMARK, _payload(remark)))


def sign_contest(contest: Contest, identity: Identity) -> Signed[Contest]:
    return Signed[Contest](said=contest, signature=identity.sign(_CONTEST, _payload(contest)))


def dump(lines: Sequence[Signed[Remark]] | Sequence[Signed[Contest]]) -> bytes:
    """Canonical JSON."""
    return canonical_json([line.model_dump(mode="json") for line in lines])


def load_remarks(data: bytes, researcher: PublicIdentity, hospital: str) -> tuple[Signed[Remark], ...]:
    """All lines about a hospital. Raises Refused for what is not the researcher's own, or no unbroken chain."""
    lines = _parsed(_REMARKS, data)
    before = FIRST
    for number, line in enumerate(lines, 1):
        said = line.said
        mine = (said.researcher, said.hospital, said.number, said.before) == (
            researcher.email,
            hospital,
            number,
            before,
        )
        if not mine or not researcher.signed(_REMARK, _payload(said), line.signature):
            raise Refused(f"What {researcher.email} says of {hospital} is no unbroken record of theirs.")
        before = said.digest
    return lines


def load_contests(data: bytes, hospital: PublicIdentity, researcher: str) -> tuple[Signed[Contest], ...]:
    """All that a hospital contests. Raises Refused for what is not the hospital's own."""
    lines = _parsed(_CONTESTS, data)
    for line in lines:
        mine = (line.said.hospital, line.said.researcher) == (hospital.email, researcher)
        if not mine or not hospital.signed(_CONTEST, _payload(line.said), line.signature):
            raise Refused(f"What {hospital.email} contests is not signed by them.")
    return lines


def fetch(store: Store, place: str, identity: Identity, sender: PublicIdentity) -> bytes | None:
    """What lies at a place; None for nothing. Raises Refused for what its sender has not sealed for this reader."""
    try:
        raw = store.get(place, MAX_BYTES)
    except InvalidInput:
        raise Refused(f"What lies in the store for {sender.email} is too large to be theirs.") from None
    # it lies there until its sender writes it again, which may be long after keys were replaced; its lines are signed
    return None if raw is None else identity.open(sender, raw, earlier=True)


def remarks_key(researcher: str, hospital: str) -> str:
    return f"{keys.participant(researcher)}/reputation/{keys.encode(hospital)}.json"


def contests_key(hospital: str, researcher: str) -> str:
    return f"{keys.participant(hospital)}/contested/{keys.encode(researcher)}.json"


def _payload(said: Remark | Contest) -> bytes:
    return canonical_json(said.model_dump(mode="json"))


def _parsed(adapter: TypeAdapter[_Lines], data: bytes) -> _Lines:
    try:
        return adapter.validate_json(data)
    except ValidationError:
        raise Refused("A record of reputation is not understood.") from None
