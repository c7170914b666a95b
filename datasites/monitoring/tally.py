"""What the audit log and the answered rounds add up to. Both only grow, so each entry and each round is read once."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.wire.reasons import Reason

OTHER = "other"
OUTCOMES = ("released", *(reason.value for reason in Reason), OTHER)
SECONDS = (
    0.1,
    0.3,
    1.0,
    3.0,
    10.0,
    30.0,
    100.0,
    300.0,
    1000.0,
    3600.0,
)  # upper bounds; longer rounds are above the last
_AT_ONCE = 1000
_ANSWERED = {Kind.RELEASED, Kind.RUN_FAILED, Kind.REFUSED}


class Tally:
    """`waiting`: when each study without a decision came. `unanswered`: by study, the newest round that came and was
    not answered by the agent that runs now, and when."""

    def __init__(self) -> None:
        self.entries = 0
        self.kinds: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.bytes_out: Counter[str] = Counter()
        self.waiting: dict[str, datetime] = {}
        self.unanswered: dict[str, tuple[int, datetime]] = {}
        self.seconds = 0.0
        self.durations = [0] * (len(SECONDS) + 1)
        self._rounds = 0

    def catch_up(self, audit: AuditLog) -> None:
        """Takes in what is new."""
        for number, entry in _new(audit, "SELECT number, entry FROM audit_entries WHERE number > ?", self.entries):
            self._add(json.loads(entry))
            self.entries = number
        for row, seconds in _new(audit, "SELECT rowid, seconds FROM rounds WHERE rowid > ?", self._rounds):
            self.durations[bisect_left(SECONDS, seconds)] += 1
            self.seconds += seconds
            self._rounds = row

    def _add(self, entry: dict[str, Any]) -> None:
        kind, study = entry["kind"], str(entry.get("study", ""))
        self.kinds[kind] += 1
        if kind == Kind.STUDY_RECEIVED:
            self.waiting[study] = _at(entry)
        elif kind == Kind.DECIDED:
            self.waiting.pop(study, None)
        elif kind == Kind.ROUND_RECEIVED:
            self.unanswered[study] = entry["round"], _at(entry)
        elif kind == Kind.AGENT_STARTED:
            self.unanswered.clear()  # what is still asked for comes again
        elif kind in _ANSWERED:
            self._answered(study, entry)
        elif kind == Kind.SHARED:
            self.bytes_out["neighbours"] += entry["bytes"]
        elif kind == Kind.EXCERPT_RELEASED:
            self.bytes_out["excerpts"] += entry["bytes"]

    def _answered(self, study: str, entry: dict[str, Any]) -> None:
        outcome = "released" if entry["kind"] == Kind.RELEASED else entry["reason"]
        self.outcomes[outcome if outcome in OUTCOMES else OTHER] += 1
        self.bytes_out["answers"] += entry["bytes"]
        if study in self.unanswered and self.unanswered[study][0] <= entry["round"]:
            del self.unanswered[study]


def _new(audit: AuditLog, query: str, last: int) -> Iterator[tuple[int, Any]]:
    """In parts, so that nobody who writes waits for long."""
    while rows := audit.rows(f"{query} ORDER BY 1 LIMIT {_AT_ONCE}", last):
        yield from ((number, value) for number, value in rows)
        last = rows[-1][0]


def _at(entry: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])
