"""What a datasite must never forget: decisions, answered rounds, the privacy ledger and the audit log, in SQLite, every
commit synced.

A row is written completely or not at all, and with it the audit log's entry about it; rows are added, never changed
(but for the `posted` mark, and the bytes of old replies, which are dropped once newer ones are there).
"""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from datasites.audit.entry import Kind, Value
from datasites.audit.log import SCHEMA as AUDIT_SCHEMA
from datasites.audit.log import AuditLog, plain_errors
from datasites.layout import bring_up, copied
from datasites.ledger.rows import SCHEMA as LEDGER_SCHEMA
from datasites.ledger.store import Ledger
from datasites.wire.canonical import sha256
from datasites.wire.decision import SignedDecision
from datasites.wire.excerpt import SignedExcerpt
from datasites.wire.pieces import Pieces
from datasites.wire.reasons import Reason
from datasites.wire.spool import SMALL, Buffer

_KEEP_REPLIES = 2
_STEP = 1024 * 1024
_RAN = {  # outcomes of a run that took place, as opposed to what was not allowed
    Reason.CODE_ERROR,
    Reason.TIMEOUT,
    Reason.OUT_OF_MEMORY,
    Reason.OUTPUT_TOO_LARGE,
    Reason.BAD_OUTPUT,
    Reason.DIED,
    Reason.STOPPED,
    Reason.TABLE,
    Reason.HOSPITAL,
}
_NEVER_RAN = {  # a round with any other outcome is charged to the privacy budget
    Reason.NOT_APPROVED,
    Reason.REVOKED,
    Reason.EXPIRED,
    Reason.ROUNDS_USED,
    Reason.POLICY,
    Reason.OUT_OF_ORDER,
    Reason.BAD_MESSAGE,
    Reason.BUDGET,
    Reason.KEPT,
    Reason.SECURE,
    Reason.NOT_STARTED,
}
# outcomes that the study's code has no say in
NOT_THE_CODES = {"released", Reason.STOPPED, Reason.TABLE, Reason.HOSPITAL} | _NEVER_RAN
_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    study TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (study, number)) STRICT;
CREATE TABLE IF NOT EXISTS rounds (
    study TEXT NOT NULL, number INTEGER NOT NULL, request TEXT NOT NULL, outcome TEXT NOT NULL,
    fit INTEGER NOT NULL, evaluate INTEGER NOT NULL, reply BLOB, posted INTEGER NOT NULL DEFAULT 0,
    answered_at TEXT NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (study, number)) STRICT;
CREATE TABLE IF NOT EXISTS excerpts (
    study TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (study, number)) STRICT;
CREATE TABLE IF NOT EXISTS kept (
    entry INTEGER PRIMARY KEY, study TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT) STRICT;
"""


@dataclass(frozen=True)
class AnsweredRound:
    """`outcome` is "released" or a reason code; `reply` is the sealed message, or None once dropped."""

    number: int
    request: str
    outcome: str
    fit: bool
    evaluate: bool
    reply: Buffer | None
    answered_at: str
    seconds: float


@dataclass(frozen=True)
class KeptRow:
    """`digest`: of what round `number` left for the next one; None once it was removed for good."""

    number: int
    digest: str | None


class State:
    """Safe for the agent's threads and for several processes at once. All raise Unavailable when the disk fails."""

    def __init__(self, path: Path) -> None:
        """Brings what an earlier release has written up to date; raises InvalidInput for what a newer one has."""
        with plain_errors("opened"):
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=30, isolation_level="IMMEDIATE")
            path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            bring_up(self._db, path)
            self._db.executescript(_SCHEMA + AUDIT_SCHEMA + LEDGER_SCHEMA)
        lock = threading.RLock()  # entered again by what reads inside a transaction
        self.audit = AuditLog(self._db, lock)
        self.ledger = Ledger(self._db, lock, self.audit)

    def close(self) -> None:
        self._db.close()

    def copy(self, target: Path) -> None:
        """A consistent copy of all of it, while others may write. Raises Unavailable."""
        with plain_errors("copied"):
            copied(self._db, target)

    # decisions

    def record_decision(self, signed: SignedDecision, policy: str | None = None) -> None:
        """Raises sqlite3.IntegrityError when another decision took this number at the same moment.

        policy: the digest of the one in force, if there is a usable one.
        """
        decision, document = signed.decision, signed.model_dump_json()
        with self.audit.transaction() as db:
            db.execute("INSERT INTO decisions VALUES (?, ?, ?)", (decision.study, decision.number, document))
            self.audit.add(
                Kind.DECIDED,
                study=decision.study,
                decision=decision.number,
                verdict=decision.verdict,
                rounds=decision.rounds,
                expires_at=decision.expires_at.isoformat() if decision.expires_at else None,
                policy=policy,
                document=sha256(document.encode()),
            )

    def decisions(self, study: str | None = None) -> list[SignedDecision]:
        """All decisions, oldest first."""
        query = "SELECT document FROM decisions WHERE ?1 IS NULL OR study = ?1 ORDER BY study, number"
        rows = self.audit.rows(query, study)
        return [SignedDecision.model_validate_json(row[0]) for row in rows]

    def decision(self, study: str) -> SignedDecision | None:
        """The one in force."""
        found = self.decisions(study)
        return found[-1] if found else None

    def current_decisions(self) -> list[SignedDecision]:
        """The one in force for each study."""
        return list({signed.decision.study: signed for signed in self.decisions()}.values())

    def told(self) -> tuple[int, int]:
        """How many decisions and excerpts there are: more, when a researcher must be told something."""
        ((decisions, excerpts),) = self.audit.rows(
            "SELECT (SELECT count(*) FROM decisions), (SELECT count(*) FROM excerpts)"
        )
        return decisions, excerpts

    # excerpts of studies' logs

    def record_excerpt(self, signed: SignedExcerpt) -> None:
        """Raises sqlite3.IntegrityError when another excerpt took this number at the same moment."""
        excerpt, document = signed.excerpt, signed.model_dump_json()
        with self.audit.transaction() as db:
            db.execute("INSERT INTO excerpts VALUES (?, ?, ?)", (excerpt.study, excerpt.number, document))
            self.audit.add(
                Kind.EXCERPT_RELEASED,
                study=excerpt.study,
                excerpt=excerpt.number,
                document=sha256(document.encode()),
                bytes=len(excerpt.text.encode()),
            )

    def excerpts(self, study: str) -> list[SignedExcerpt]:
        """Those released to the study's researcher, oldest first."""
        query = "SELECT document FROM excerpts WHERE study = ? ORDER BY number"
        rows = self.audit.rows(query, study)
        return [SignedExcerpt.model_validate_json(row[0]) for row in rows]

    # rounds

    def record_answer(self, study: str, answer: AnsweredRound, kept: str | None = None) -> None:
        """Raises sqlite3.IntegrityError when the round has an answer already.

        kept: the digest of what its training left for the study's next round, None where it left nothing. It is not in
        the audit log, which others read: a digest can tell what a few numbers were.
        """
        with self.audit.transaction() as db:
            reply = answer.reply
            # SQLite takes a value whole, and copies it: a large one is written into its row afterwards
            large = memoryview(reply) if reply is not None and len(reply) >= SMALL else None
            row = db.execute(
                f"INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, {'zeroblob(?)' if large else '?'}, 0, ?, ?)",  # noqa: S608
                (
                    study,
                    answer.number,
                    answer.request,
                    answer.outcome,
                    int(answer.fit),
                    int(answer.evaluate),
                    len(large) if large else reply,
                    answer.answered_at,
                    answer.seconds,
                ),
            ).lastrowid
            if large and row:
                with db.blobopen("rounds", "reply", row) as blob:
                    for start in range(0, len(large), _STEP):
                        blob.write(large[start : start + _STEP])
            db.execute(
                "UPDATE rounds SET reply = NULL WHERE study = ? AND number <= ? AND posted = 1 AND reply IS NOT NULL",
                (study, answer.number - _KEEP_REPLIES),
            )
            if kept is not None:
                db.execute("INSERT INTO kept (study, number, digest) VALUES (?, ?, ?)", (study, answer.number, kept))
            self._note_answer(study, answer)
            self.ledger.settle_answered(study, answer.number, ran=answer.outcome not in _NEVER_RAN)

    def _note_answer(self, study: str, answer: AnsweredRound) -> None:
        reply = answer.reply or b""
        fields: dict[str, Value] = {"study": study, "round": answer.number, "request": answer.request}
        fields |= {"reply": Pieces((reply,)).digest, "bytes": len(reply)}
        if answer.outcome == "released":
            self.audit.add(Kind.RELEASED, fit=answer.fit, evaluate=answer.evaluate, **fields)
        else:
            kind = Kind.RUN_FAILED if answer.outcome in _RAN else Kind.REFUSED
            self.audit.add(kind, reason=answer.outcome, **fields)

    def kept(self, study: str) -> KeptRow | None:
        """What stands for what the study keeps here; None where it never kept anything."""
        query = "SELECT number, digest FROM kept WHERE study = ? ORDER BY entry DESC LIMIT 1"
        rows = self.audit.rows(query, study)
        return KeptRow(*rows[0]) if rows else None

    def end_kept(self, study: str) -> None:
        """Notes that what the study kept is to be removed: no later round is given anything, nor runs."""
        with self.audit.transaction() as db:
            db.execute("INSERT INTO kept (study, number, digest) VALUES (?, ?, NULL)", (study, self.last_round(study)))

    def mark_posted(self, study: str, number: int) -> None:
        with self.audit.transaction() as db:
            db.execute("UPDATE rounds SET posted = 1 WHERE study = ? AND number = ?", (study, number))

    def answers(self, study: str) -> list[AnsweredRound]:
        """All answered rounds of a study, oldest first, without the bytes of the replies."""
        columns = "study, number, request, outcome, fit, evaluate, NULL, posted, answered_at, seconds"
        return self._answers(f"SELECT {columns} FROM rounds WHERE study = ? ORDER BY number", study)  # noqa: S608

    def answer(self, study: str, number: int) -> AnsweredRound | None:
        found = self._answers("SELECT * FROM rounds WHERE study = ? AND number = ?", study, number)
        return found[0] if found else None

    def unposted(self, study: str) -> list[AnsweredRound]:
        """Answers that a crash may have kept from reaching the store."""
        return self._answers("SELECT * FROM rounds WHERE study = ? AND posted = 0 ORDER BY number", study)

    def last_round(self, study: str) -> int:
        """The highest answered round, 0 for none."""
        return self.audit.rows("SELECT max(number) FROM rounds WHERE study = ?", study)[0][0] or 0

    def used(self, study: str) -> tuple[int, int]:
        """(rounds trained, states evaluated) so far."""
        query = "SELECT coalesce(sum(fit), 0), coalesce(sum(evaluate), 0) FROM rounds WHERE study = ?"
        fits, evaluations = self.audit.rows(query + " AND outcome = 'released'", study)[0]
        return fits, evaluations

    def failed(self, study: str, since: datetime) -> int:
        """How many runs have ended without a result since then, for a reason that the study's code can bring about."""
        query = "SELECT outcome FROM rounds WHERE study = ? AND answered_at >= ?"
        rows = self.audit.rows(query, study, since.isoformat())
        return sum(outcome not in NOT_THE_CODES for (outcome,) in rows)

    def _answers(self, query: str, *values: object) -> list[AnsweredRound]:
        rows = self.audit.rows(query, *values)
        return [
            AnsweredRound(
                number=row[1],
                request=row[2],
                outcome=row[3],
                fit=bool(row[4]),
                evaluate=bool(row[5]),
                reply=row[6],
                answered_at=row[8],
                seconds=row[9],
            )
            for row in rows
        ]


def now() -> datetime:
    """The time in UTC, to the second: what is signed and shown."""
    return datetime.now(UTC).replace(microsecond=0)
