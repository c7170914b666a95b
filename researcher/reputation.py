"""How hospitals did over studies: a signed record that each of them can see, hold its researcher to, and contest.

watch = wr.Watch()
result = wr.Rounds(submission, observer=watch).run()
record = wr.Reputation(federation)
record.note(submission, watch)          # a line for each hospital, sent to that hospital alone
record.table()                          # with what hospitals answered
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pandas as pd

from datasites.wire import reputation
from datasites.wire.files import write_atomically
from datasites.wire.home import Home
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest
from datasites.wire.peers import PinnedPeers
from datasites.wire.reputation import Contest, Kind, Remark, Signed
from datasites.wire.shown import Shown
from datasites.wire.store import Store
from policies.errors import InvalidInput, Refused
from researcher.free_riders import Watch

_CLEAR = "Nothing was found in its updates."
_COPIED = "It sent the same update as another hospital, or nearly so: one has the other's, or both have one source."
_COLUMNS = ["hospital", "line", "at", "study", "kind", "rounds", "reason", "contested"]


class Known(Protocol):
    """What is needed of a `Federation`."""

    home: Home
    identity: Identity
    peers: PinnedPeers
    store: Store

    @property
    def emails(self) -> list[str]: ...

    def label(self, email: str) -> str: ...


class Told(Protocol):
    """What is needed of a `Submission`."""

    manifest: Manifest


class Reputation(Shown):
    """One file a hospital in the researcher's home, `reputation/ADDRESS.json`: lines are only ever added to it."""

    def __init__(self, federation: Known) -> None:
        self._federation = federation

    def _facts(self) -> dict[str, object]:
        lines = self.table()["hospital"].value_counts()
        return {"lines": ", ".join(f"{count} about {hospital}" for hospital, count in lines.items()) or "none yet"}

    def note(self, submission: Told, watch: Watch) -> None:
        """Adds what `watch` has found to the record of each hospital that it saw train, and sends it.

        Noted again, only what differs from the last line about the study is added. Raises InvalidInput where no round
        had the three hospitals that it takes to say anything.
        """
        telling = [seen.deltas for seen in watch.rounds if len(seen.deltas) >= 3]
        if not telling:
            raise InvalidInput("No round had three hospitals, so nothing can be said of any.", "Note nothing.")
        found: dict[str, tuple[Kind, tuple[int, ...], str]] = {}
        for finding in watch.findings():
            reason = _COPIED if finding.kind == "copied" else finding.reason  # a line names no other hospital
            found |= dict.fromkeys(finding.hospitals, (finding.kind, finding.rounds, reason))
        for hospital in sorted({name for deltas in telling for name in deltas}):
            there = tuple(number for number, seen in enumerate(watch.rounds, 1) if hospital in seen.deltas)
            self._add(submission.manifest, hospital, *found.get(hospital, ("clear", there, _CLEAR)))
        self.send()

    def send(self) -> None:
        """Sends every hospital its lines; harmless to repeat. Raises Unavailable."""
        mine = self._federation.identity
        for hospital in self._federation.emails:
            if lines := self._lines(hospital):
                sealed = mine.seal(self._federation.peers.require(hospital), reputation.dump(lines))
                self._federation.store.put(reputation.remarks_key(mine.email, hospital), sealed)

    def table(self) -> pd.DataFrame:
        """One row a line; `contested` is what the hospital answers to it, as it lies in the store now."""
        rows = []
        for hospital in self._federation.emails:
            contests = self._contests(hospital)
            for remark in (line.said for line in self._lines(hospital)):
                answer = next((one.note for one in reversed(contests) if one.remark == remark.digest), "")
                label, rounds = self._federation.label(hospital), list(remark.rounds)
                rows.append((label, remark.number, remark.at, remark.name, remark.kind, rounds, remark.reason, answer))
        return pd.DataFrame(rows, columns=_COLUMNS)

    def standing(self) -> pd.DataFrame:
        """One row a hospital: studies that it was seen in, those with a finding, and those whose finding it contests.
        The last line of each study counts."""
        table = self.table().drop_duplicates(["hospital", "study"], keep="last")
        found = table["kind"] != "clear"
        groups = table.assign(found=found, disputed=found & (table["contested"] != "")).groupby("hospital")
        return groups.agg(studies=("study", "count"), findings=("found", "sum"), contested=("disputed", "sum"))

    def _add(self, manifest: Manifest, hospital: str, kind: Kind, rounds: tuple[int, ...], reason: str) -> None:
        lines, mine = self._lines(hospital), self._federation.identity
        of_study = [line.said for line in lines if line.said.study == manifest.digest]
        if of_study and (of_study[-1].kind, of_study[-1].rounds, of_study[-1].reason) == (kind, rounds, reason):
            return
        remark = Remark(
            researcher=mine.email,
            hospital=hospital,
            number=len(lines) + 1,
            study=manifest.digest,
            name=manifest.name,
            kind=kind,
            rounds=rounds,
            reason=reason,
            at=datetime.now(UTC),
            before=lines[-1].said.digest if lines else reputation.FIRST,
        )
        write_atomically(self._path(hospital), reputation.dump((*lines, reputation.sign_remark(remark, mine))))

    def _lines(self, hospital: str) -> tuple[Signed[Remark], ...]:
        path = self._path(hospital)
        if not path.exists():
            return ()
        try:
            return reputation.load_remarks(path.read_bytes(), self._federation.identity.public, hospital)
        except Refused:
            raise InvalidInput(f"The record {path} is damaged.", "Restore it from a backup.") from None

    def _contests(self, hospital: str) -> list[Contest]:
        """What is not the hospital's own counts as nothing: anybody may have put rubbish into the store."""
        public, mine = self._federation.peers.public(hospital), self._federation.identity
        if public is None:
            return []
        try:
            place = reputation.contests_key(hospital, mine.email)
            raw = reputation.fetch(self._federation.store, place, mine, public)
            return [line.said for line in reputation.load_contests(raw, public, mine.email)] if raw else []
        except Refused:
            return []

    def _path(self, hospital: str) -> Path:
        return self._federation.home.path / "reputation" / f"{hospital}.json"
