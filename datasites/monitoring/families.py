"""Every number that is told, by what it is about. Names and labels are described in docs/monitoring.md.

Each function gives one group's families, and reads what the agent has written down; none writes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path
from typing import Any, get_args

from cryptography import x509
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from datasites.approval.policy import PolicyBook
from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.audit.witness import witnessed
from datasites.catalog.registry import Registry
from datasites.heartbeat import alive, trouble, waiting_peers
from datasites.home import DatasiteHome
from datasites.ledger.errors import LedgerDamaged
from datasites.monitoring.drift import State as Drift
from datasites.monitoring.report import last
from datasites.monitoring.tally import OUTCOMES, SECONDS, Tally
from datasites.settings import DatasiteSettings
from datasites.state import State, now
from datasites.wire.decision import Decision
from datasites.wire.dictionary_rules import is_name
from datasites.wire.heads import SignedHead
from datasites.wire.store_options import CERTIFICATE
from datasites.wire.witness import Verdict
from policies.errors import WardroundError
from policies.privacy.renyi import admission_epsilon

Families = Iterator[Metric]
STUDY_STATES = ("waiting", "approved", "running", "done", "expired", "revoked", "denied")
MOST_TABLES, MOST_COLUMNS = 200, 50  # of which numbers are told
_ENDS = "When the first certificate in ca_file or certificate_file ends."
_WITNESSES = "SELECT holder, max(size), document FROM audit_heads GROUP BY holder"


def gauge(name: str, says: str, value: float | None) -> Families:
    """Nothing where there is nothing to tell."""
    if value is not None:
        yield GaugeMetricFamily(f"wardround_{name}", says, value=value)


def labelled(name: str, says: str, label: str, values: Mapping[str, float]) -> Families:
    family = GaugeMetricFamily(f"wardround_{name}", says, labels=[label])
    for one, value in values.items():
        family.add_metric([one], value)
    yield family


def counter(name: str, says: str, label: str, values: Mapping[str, float]) -> Families:
    family = CounterMetricFamily(f"wardround_{name}", says, labels=[label])
    for one, value in values.items():
        family.add_metric([one], value)
    yield family


def agent(home: DatasiteHome) -> Families:
    """Whether it runs, and what keeps it from its work."""
    yield from labelled("build_info", "Always 1; the version.", "version", {version("wardround"): 1})
    try:
        age = max(0.0, time.time() - home.heartbeat.stat().st_mtime)
    except OSError:
        age = None
    yield from gauge(
        "agent_heartbeat_age_seconds", "Since the agent last showed itself; absent while it is not served.", age
    )
    yield from gauge("agent_serving", "1 while the agent serves.", alive(home.heartbeat))
    yield from gauge(
        "agent_in_trouble", "1 while the store, or the disk, keeps it from its work.", bool(trouble(home.heartbeat))
    )
    yield from gauge("peers_waiting", "Researchers who ask to be accepted.", waiting_peers(home.heartbeat))


def messages(tally: Tally) -> Families:
    kinds = tally.kinds
    received = {"round": kinds[Kind.ROUND_RECEIVED], "study": kinds[Kind.STUDY_RECEIVED]}
    refused = {"quarantined": kinds[Kind.MESSAGE_QUARANTINED], "not_a_study": kinds[Kind.STUDY_REFUSED]}
    yield from counter("messages_received", "Messages that were read, by what they are.", "kind", received)
    yield from counter("messages_refused", "Messages that were put aside or sent back, by why.", "reason", refused)


def rounds(tally: Tally) -> Families:
    outcomes = {outcome: float(tally.outcomes[outcome]) for outcome in OUTCOMES}
    yield from counter("rounds_answered", "Rounds by what came of them: released, or a reason.", "outcome", outcomes)
    yield CounterMetricFamily(
        "wardround_rounds_interrupted",
        "Rounds in which the agent was stopped; they are run again.",
        value=tally.kinds[Kind.RUN_INTERRUPTED],
    )
    bounds = [*(str(bound) for bound in SECONDS), "+Inf"]
    yield HistogramMetricFamily(
        "wardround_round_seconds",
        "How long answered rounds took.",
        buckets=list(zip(bounds, map(float, accumulate(tally.durations)), strict=True)),
        sum_value=tally.seconds,
    )
    sent = {what: float(tally.bytes_out[what]) for what in ("answers", "excerpts", "neighbours")}
    yield from counter("bytes_out", "Bytes that left, sealed, by what they are.", "what", sent)


def studies(state: State, tally: Tally) -> Families:
    """By state, and what has waited longest. A study that waits on its researcher is silent; one that waits on this
    hospital has a round that is unanswered."""
    current = [signed.decision for signed in state.current_decisions()]
    states = {decision.study: _state(state, decision) for decision in current}
    found = list(states.values())
    counts = {one: float(found.count(one)) for one in STUDY_STATES} | {"waiting": float(len(tally.waiting))}
    yield from labelled("studies", "Studies by state.", "state", counts)
    running = [study for study, one in states.items() if one == "running"]
    in_force = {study for study, one in states.items() if one in ("running", "approved")}
    asked = [at for study, (_, at) in tally.unanswered.items() if study in in_force]
    ends = [d.expires_at.timestamp() for d in current if d.study in in_force and d.expires_at]
    yield from gauge(
        "decision_waiting_seconds", "Longest that a study has waited for a decision.", _oldest(tally.waiting.values())
    )
    yield from gauge("round_waiting_seconds", "Longest that a round has waited for its answer.", _oldest(asked))
    silence = _oldest(datetime.fromisoformat(_last(state, study)) for study in running)
    yield from gauge("study_silence_seconds", "Longest since the last round of a study that has rounds left.", silence)
    yield from gauge(
        "approval_expiry_timestamp_seconds", "When the next approval in force ends.", min(ends, default=None)
    )


def privacy(home: DatasiteHome, state: State) -> Families:
    """Of each table whose policy has a budget: what the limit is compared with, and the limit."""
    counted, limits, intact = {}, {}, True
    for table in tables(home):
        try:
            budget = PolicyBook(home).get(table).budget
            if budget is not None:
                limits[table] = budget.epsilon_total
                counted[table] = admission_epsilon(state.ledger.spent(table), budget.delta)
        except LedgerDamaged:
            intact = False
        except WardroundError:  # a damaged policy: nothing runs then, and `wardround datasite status` says why
            continue
    yield from labelled(
        "privacy_epsilon_counted", "What the limit is compared with, all studies together.", "dataset", counted
    )
    yield from labelled("privacy_epsilon_limit", "The policy's limit for all studies together.", "dataset", limits)
    yield from gauge("ledger_intact", "1 while the privacy ledger is what the audit log recorded.", intact)


def audit(home: DatasiteHome, log: AuditLog) -> Families:
    """The log's size, and whether it is what others have seen of it. The agent compares it with the store, and ends
    where it is not; that it did stays noted."""
    heads = {holder: SignedHead.model_validate_json(text).head for holder, _, text in log.rows(_WITNESSES)}
    size = log.size
    agrees = all(head.size <= size and log.root(head.size).hex() == head.root for head in heads.values())
    own = {head.hospital for head in heads.values()}
    seen = [head.size for holder, head in heads.items() if holder not in own]
    verdicts = [one.verdict for one in witnessed(log)]
    yield from gauge("audit_entries", "Entries of the audit log.", size)
    yield from gauge(
        "audit_head_agrees", "1 while the log continues all that was shown of it.", agrees and not home.alarm.exists()
    )
    yield from gauge("audit_witnesses", "Participants that have seen a head of it.", len(seen))
    yield from gauge(
        "audit_witnessed_entries",
        "Entries under the newest head that another participant has seen.",
        max(seen, default=0),
    )
    others = {verdict.value: float(verdicts.count(verdict)) for verdict in Verdict}
    yield from labelled("audit_hospitals", "Other hospitals by what their audit logs prove.", "verdict", others)


def kept_back(home: DatasiteHome) -> Families:
    yield from gauge("outputs_held", "Results that the release gate kept back, in held/.", _count(home.held))
    yield from gauge("messages_in_quarantine", "Messages that lie in quarantine/.", _count(home.quarantine))


def machine(home: DatasiteHome, settings: DatasiteSettings) -> Families:
    disk = os.statvfs(home.path)
    yield from gauge("disk_free_bytes", "Room on the disk of the datasite's home.", disk.f_bavail * disk.f_frsize)
    yield from gauge("disk_size_bytes", "Size of that disk.", disk.f_blocks * disk.f_frsize)
    ends = _certificates_end(settings.store_options)
    yield from gauge("store_certificate_expiry_timestamp_seconds", _ENDS, ends)


def tables(home: DatasiteHome) -> list[str]:
    """Published tables whose names may be labels."""
    return [name for name in Registry(home.datasets).names() if is_name(name)][:MOST_TABLES]


def _state(state: State, decision: Decision) -> str:
    if decision.verdict != "approved":
        return decision.verdict
    if not decision.in_force(now()):
        return "expired"
    trained, _ = state.used(decision.study)
    if trained >= decision.rounds:
        return "done"
    return "running" if state.last_round(decision.study) else "approved"


def _last(state: State, study: str) -> str:
    answered: str = state.audit.rows("SELECT max(answered_at) FROM rounds WHERE study = ?", study)[0][0]
    return answered


def _oldest(times: Any) -> float:
    """Seconds since the first of these; 0 for none."""
    first = min(times, default=None)
    return 0.0 if first is None else max(0.0, (now() - first).total_seconds())


def _count(folder: Path) -> int:
    try:
        return sum(entry.name.endswith(".json") for entry in os.scandir(folder))
    except OSError:
        return 0


def _certificates_end(options: Mapping[str, Any]) -> float | None:
    """The first of the authority's and this participant's own; what cannot be read does not count."""
    ends = []
    for name in ("ca_file", CERTIFICATE):
        with contextlib.suppress(KeyError, OSError, ValueError):
            found = x509.load_pem_x509_certificates(Path(str(options[name])).expanduser().read_bytes())
            ends += [one.not_valid_after_utc.timestamp() for one in found]
    return min(ends, default=None)


def drift(home: DatasiteHome) -> Families:
    """What the newest comparison of each table found; a column's number only where it drifted."""
    columns = GaugeMetricFamily("wardround_drift_columns", "Columns of a table by drift.", labels=["dataset", "state"])
    psi = GaugeMetricFamily("wardround_drift_psi", "PSI of a column that drifted.", labels=["dataset", "column"])
    at = GaugeMetricFamily("wardround_drift_checked_timestamp_seconds", "When it was compared.", labels=["dataset"])
    for table in tables(home):
        if report := last(home, table):
            states = [one.state for one in report.columns]
            for state in get_args(Drift):
                columns.add_metric([table, state], states.count(state))
            for one in report.drifted[:MOST_COLUMNS]:
                psi.add_metric([table, one.column], round(one.psi or 0.0, 2))
            at.add_metric([table], report.at.timestamp())
    yield from (columns, psi, at)
