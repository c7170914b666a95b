"""What a study leaves in the store at its end, and when this hospital removes its own part of it.

| what | when it goes |
|---|---|
| answers of a study that is over, and what it told its neighbours | `keep_days` after its end |
| parts of a large answer of which no whole was made, or that was replaced | `unfinished_days` after they were written |

Only what this hospital has written, in its own boxes. The audit log keeps the digest of every answer, and the state
database that it was given, so both prove as much as before; that the answers were removed is itself an entry.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from datasites.agent.trouble import PASSING
from datasites.audit.entry import Kind
from datasites.state import State, now
from datasites.wire import keys
from datasites.wire.parts import folder
from datasites.wire.store import Store

log = logging.getLogger(__name__)
_FIRST_SECONDS, _AGAIN_SECONDS = 60.0, 3600.0


@dataclass(frozen=True)
class Terms:
    """How long what stays."""

    keep: timedelta
    unfinished: timedelta

    @classmethod
    def of_days(cls, keep: float, unfinished: float) -> Terms:
        return cls(timedelta(days=keep), timedelta(days=unfinished))


@dataclass(frozen=True)
class Swept:
    """Names of what goes, or has gone. over: because the study is."""

    over: bool
    names: tuple[str, ...]


class Sweep:
    """Of one hospital. It may be cut off anywhere: what is left goes the next time."""

    def __init__(self, store: Store, state: State, hospital: str, terms: Terms) -> None:
        self._store, self._state, self._hospital, self._terms = store, state, hospital, terms

    def ended_at(self, study: str) -> datetime | None:
        """Since when no further round of the study can be answered here; None while one can."""
        signed = self._state.decision(study)
        if signed is None:
            return None
        decision = signed.decision
        if decision.verdict != "approved":
            return decision.decided_at
        if decision.expires_at and decision.expires_at <= now():
            return decision.expires_at
        trained, _ = self._state.used(study)
        answers = self._state.answers(study)
        return datetime.fromisoformat(answers[-1].answered_at) if answers and trained >= decision.rounds else None

    def over(self, study: str) -> bool:
        """Whether the study has been over for as long as its answers stay."""
        ended = self.ended_at(study)
        return ended is not None and now() - ended >= self._terms.keep

    def due(self, study: str) -> Swept:
        """What is to go now. Raises Unavailable."""
        over = self.over(study)
        if over and self._done(study):
            return Swept(over, ())
        waiting = {answer.number for answer in self._state.unposted(study)}
        posted = [answer.number for answer in self._state.answers(study) if answer.number not in waiting]
        answers = [keys.round_up(study, number, self._hospital) for number in posted]
        if over:
            told = keys.all_gossip(study, self._hospital)
            gone = [name for key in answers for name in (key, *self._store.names(folder(key)))]
            return Swept(over, (*gone, *self._store.names(told), *self._store.names(folder(told))))
        latest = self._store.clock(f"{keys.own(self._hospital)}/clock") - self._terms.unfinished
        return Swept(over, tuple(name for key in answers for name in self._unfinished(key, latest)))

    def sweep(self, study: str, stop: Callable[[], bool] = lambda: False) -> Swept:
        """Removes what is due, and records the end of a study's answers. Raises Unavailable."""
        due = self.due(study)
        for name in due.names:
            if stop():
                return Swept(due.over, ())
            self._store.delete(name)
        if due.over and due.names:
            number = self.decision(study)
            self._state.audit.record_once(
                Kind.STUDY_SWEPT, "decision", study=study, decision=number, objects=len(due.names)
            )
        return due

    def decision(self, study: str) -> int:
        """The number of the decision in force: a study that was over goes on with a later one."""
        signed = self._state.decision(study)
        return signed.decision.number if signed else 0

    def _done(self, study: str) -> bool:
        query = "SELECT 1 FROM audit_entries WHERE kind = ? AND study = ? AND json_extract(entry, '$.decision') = ?"
        return bool(self._state.audit.rows(query, Kind.STUDY_SWEPT, study, self.decision(study)))

    def _unfinished(self, key: str, latest: datetime) -> list[str]:
        """Parts under this name that belong to no whole, and were written by then."""
        parts = self._store.ages(folder(key))
        if not parts:
            return []
        whole = self._store.parts(key)
        return [name for name, written in parts if name not in whole and written <= latest]


class Sweeper(threading.Thread):
    """The agent's own sweeping, now and then, beside its work. over: studies whose answers are gone or going, each with
    the number of its last decision."""

    def __init__(self, sweep: Sweep, studies: Callable[[], list[str]], stopping: threading.Event) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._sweep, self._studies, self._stopping = sweep, studies, stopping
        self.over: dict[str, int] = {}

    def run(self) -> None:
        wait = _FIRST_SECONDS
        while not self._stopping.wait(wait):
            wait = _AGAIN_SECONDS
            try:
                self.look()
            except PASSING as problem:
                log.warning("what is over could not be swept from the store: %s", problem)

    def look(self) -> None:
        """Sweeps all that is due now."""
        over = {}
        for study in self._studies():
            if self._stopping.is_set():
                return
            if self._sweep.over(study):
                over[study] = self._sweep.decision(study)
            swept = self._sweep.sweep(study, self._stopping.is_set)
            if swept.names:
                log.info("study %s: %d objects swept from the store", study[:12], len(swept.names))
        self.over = over
