"""One entry of the audit log: which kinds there are, and the bytes that are hashed.

An entry holds digests, sizes, counts and codes: never a patient's data, a metric's value or a researcher's text. Its
random `salt` keeps who sees only hashes (the store, a witness) from guessing what an entry says.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum

from datasites.wire.canonical import canonical_json

Value = str | int | bool | None


class Kind(StrEnum):
    """Never give an old kind a new meaning; add a new one."""

    CREATED = "created"  # hospital, fingerprint
    AGENT_STARTED = "agent_started"  # fingerprint
    AGENT_STOPPED = "agent_stopped"
    PUBLISHED = "published"  # dataset, dictionary; written before anything is shown
    KEYS_REPLACED = "keys_replaced"  # number, fingerprint, before (the old one), message (the statement's digest)
    PEER_ACCEPTED = "peer_accepted"  # peer, fingerprint
    PEER_KEYS_REPLACED = "peer_keys_replaced"  # peer, number, fingerprint, before, message: as its own statement says
    PEER_KEYS_FORKED = "peer_keys_forked"  # peer, message; two successors of the same keys: nothing is taken from it
    PEER_REMOVED = "peer_removed"  # peer, fingerprint; written before it is no peer any more
    STUDY_RECEIVED = "study_received"  # study, name, researcher, bytes, files
    STUDY_REFUSED = "study_refused"  # message (digest of the job's name), peer
    DECIDED = "decided"  # study, decision (its number), verdict, rounds, expires_at, policy (digest), document (digest)
    POLICY_SET = "policy_set"  # dataset, policy (digest); written before it applies
    ROUND_RECEIVED = "round_received"  # study, round, request (digest), bytes
    RUN_STARTED = "run_started"  # study, round
    RUN_INTERRUPTED = "run_interrupted"  # study, round; the agent was stopped
    RUN_FAILED = "run_failed"  # study, round, request, reason, reply (digest), bytes
    REFUSED = "refused"  # the same; what the owner's decision, the gate or the order of rounds forbids
    RELEASED = "released"  # study, round, request, fit, evaluate, reply (digest), bytes; written before it is posted
    SHARED = "shared"  # study, round, to (a neighbour), model (or that there is none), message (digest), bytes; before
    OUTPUT_HELD = "output_held"  # study, round, output (its name among the held outputs), reason, bytes
    EXCERPT_RELEASED = "excerpt_released"  # study, excerpt (its number), document (digest), bytes; before it is sent
    BUDGET_RESERVED = "budget_reserved"  # dataset, study, round, request, row (its number), written (its digest)
    BUDGET_COMMITTED = "budget_committed"  # the same, of the row that settles a reservation
    BUDGET_REFUNDED = "budget_refunded"  # the same; nothing had been released
    MESSAGE_QUARANTINED = "message_quarantined"  # message (its name in the quarantine), peer, note (digest)
    HEAD_SEEN = "head_seen"  # hospital, fingerprint, size, root, head_at, signature
    HEAD_ALARM = "head_alarm"  # the same, and verdict
    RESTORED = "restored"  # size, root (kept); if entries are lost: lost, lost_root, signature (their newest head)
    BUDGET_CLOSED = "budget_closed"  # dataset, or * for all tables; what was spent is not known any more
    BUDGET_REOPENED = "budget_reopened"  # dataset, by: its owner answers for what is left
    DRIFT_CHECKED = "drift_checked"  # dataset, report (digest; what it found stays at home)
    REPUTATION_SEEN = "reputation_seen"  # peer, line (its number), remark (the line's digest)
    REPUTATION_CONTESTED = "reputation_contested"  # the same, and document (digest); before it is sent
    STUDY_SWEPT = "study_swept"  # study, decision (its number), objects (how many); its answers left the store


def entry_bytes(number: int, kind: Kind, fields: dict[str, Value]) -> bytes:
    """Canonical JSON of entry `number` (counted from 1), happening now."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    given = {name: value for name, value in fields.items() if value is not None}
    return canonical_json({**given, "number": number, "at": at, "kind": kind.value, "salt": secrets.token_hex(16)})
