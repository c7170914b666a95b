"""What researchers say of this hospital, held to what they said before; and what the hospital contests.

What was seen last is in the audit log, and kept as it was signed: a researcher who changes or takes back a line is
found, and their own signatures under both prove it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.state import now
from datasites.wire import reputation
from datasites.wire.canonical import sha256
from datasites.wire.files import write_atomically
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.peers import PinnedPeers
from datasites.wire.reputation import Contest, Remark, Signed
from datasites.wire.shown import Shown, heading, table
from datasites.wire.store import Store
from policies.errors import InvalidInput, Refused

_LAST = "SELECT entry FROM audit_entries WHERE kind = ? AND json_extract(entry, '$.peer') = ? ORDER BY number DESC"


@dataclass(frozen=True)
class Standing:
    """What one researcher says. `problem`: why it cannot be believed; empty where it continues what was seen before."""

    researcher: str
    remarks: tuple[Remark, ...] = ()
    contests: tuple[Contest, ...] = ()
    problem: str = ""

    def __repr__(self) -> str:
        return f"<Standing: {len(self.remarks)} lines of {self.researcher}{'; ' * bool(self.problem)}{self.problem}>"

    def _repr_html_(self) -> str:
        rows = []
        for remark in self.remarks:
            answer = self.contest_of(remark)
            rows.append((str(remark.number), remark.name, remark.kind, remark.reason, answer.note if answer else ""))
        listed = table(["line", "study", "what", "why", "contested"], rows)
        return heading(f"What {self.researcher} says of this hospital", self.problem) + listed

    def contest_of(self, remark: Remark) -> Contest | None:
        """The hospital's last word on a line."""
        return next((one for one in reversed(self.contests) if one.remark == remark.digest), None)


class Reputation(Shown):
    """Of this hospital, with the researchers whom it has accepted. `folder` holds what it has seen and contested."""

    def __init__(self, identity: Identity, peers: PinnedPeers, store: Store, audit: AuditLog, folder: Path) -> None:
        self._identity, self._peers, self._store = identity, peers, store
        self._audit, self._folder = audit, folder

    def _facts(self) -> dict[str, object]:
        return {"of": self._identity.email, "told by": ", ".join(self._peers.accepted()) or "nobody yet"}

    def look(self) -> list[Standing]:
        """Every accepted researcher's lines, as they lie in the store now. What is new is remembered; contests that
        did not reach the store are sent again. Raises Unavailable."""
        return [self._standing(self._peers.require(email)) for email in self._peers.accepted()]

    def contest(self, researcher: str, number: int, note: str) -> Contest:
        """Answers line `number`, signed; the researcher reads it. Raises InvalidInput where there is no such line."""
        public = self._peers.public(researcher)
        standing = self._standing(public) if public else Standing(researcher)
        remark = next((one for one in standing.remarks if one.number == number), None)
        if public is None or remark is None:
            raise InvalidInput(f"{researcher} has no line {number} about this hospital.", "See: datasite reputation.")
        if not note.strip() or len(note) > 500 or not note.isprintable():
            raise InvalidInput("A note is one line of at most 500 characters.", "Say what is wrong, or how it came.")
        contest = Contest(
            hospital=self._identity.email,
            researcher=researcher,
            number=number,
            remark=remark.digest,
            note=note,
            at=now(),
        )
        lines = (*self._contested(public), reputation.sign_contest(contest, self._identity))
        document = reputation.dump(lines)
        self._audit.record(
            Kind.REPUTATION_CONTESTED, peer=researcher, line=number, remark=remark.digest, document=sha256(document)
        )
        write_atomically(self._path(researcher), document)
        self._send(public, document)
        return contest

    def _standing(self, researcher: PublicIdentity) -> Standing:
        lines = self._contested(researcher)
        if lines:
            self._send(researcher, reputation.dump(lines))
        contests = tuple(line.said for line in lines)
        place = reputation.remarks_key(researcher.email, self._identity.email)
        try:
            raw = reputation.fetch(self._store, place, self._identity, researcher)
            signed = reputation.load_remarks(raw, researcher, self._identity.email) if raw is not None else ()
        except Refused as problem:
            return Standing(researcher.email, (), contests, problem.message)
        remarks = tuple(line.said for line in signed)
        return Standing(researcher.email, remarks, contests, self._remember(researcher.email, signed))

    def _remember(self, researcher: str, signed: tuple[Signed[Remark], ...]) -> str:
        """Why the lines do not continue those seen before; nothing, where they do."""
        seen = self._audit.rows(_LAST + " LIMIT 1", Kind.REPUTATION_SEEN.value, researcher)
        last: dict[str, Any] = json.loads(seen[0][0]) if seen else {"line": 0, "remark": reputation.FIRST}
        number, digest = int(last["line"]), last["remark"]
        if len(signed) < number:
            return f"There were {number} lines, and {len(signed)} are left: some were taken back, or held back."
        if number and signed[number - 1].said.digest != digest:
            return f"Line {number} or one before it is not the one that was signed before: it was changed."
        if len(signed) > number:
            newest = signed[-1].said
            write_atomically(self._folder / f"{researcher}.seen.json", reputation.dump(signed))
            self._audit.record(Kind.REPUTATION_SEEN, peer=researcher, line=newest.number, remark=newest.digest)
        return ""

    def _contested(self, researcher: PublicIdentity) -> tuple[Signed[Contest], ...]:
        path = self._path(researcher.email)
        if not path.exists():
            return ()
        try:
            return reputation.load_contests(path.read_bytes(), self._identity.public, researcher.email)
        except Refused:
            raise InvalidInput(f"{path} is damaged.", "Restore it from a backup.") from None

    def _send(self, researcher: PublicIdentity, document: bytes) -> None:
        place = reputation.contests_key(self._identity.email, researcher.email)
        self._store.put(place, self._identity.seal(researcher, document))

    def _path(self, researcher: str) -> Path:
        return self._folder / f"{researcher}.contested.json"
