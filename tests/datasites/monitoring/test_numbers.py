"""Every number, against what was really written down; and what a hostile researcher can make of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.ledger.rows import Charge
from datasites.monitoring import families
from datasites.state import AnsweredRound, now
from datasites.wire.decision import Decision, SignedDecision, Verdict
from datasites.wire.dictionary import Dictionary
from datasites.wire.quarantine import put_aside
from policies.privacy import SampledGaussian
from policies.privacy.renyi import admission_epsilon
from tests.support.federation import DICTIONARY, POLICY, stays

Told = Callable[[], dict[tuple[str, tuple[tuple[str, str], ...]], float]]
HOSTILE = 'evil"} 1\n# HELP wardround_audit_head_agrees \\ 0\nwardround_audit_head_agrees 0\n\x1b[2J\u202e' + "x" * 500


def of(told: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str, **labels: str) -> float:
    return told[f"wardround_{name}", tuple(sorted(labels.items()))]


def decide(site: Datasite, study: str, verdict: Verdict = "approved", days: float = 1, rounds: int = 3) -> None:
    at = now() - timedelta(days=2)
    ends = now() + timedelta(days=days)
    earlier = site.state.decision(study)
    number = earlier.decision.number + 1 if earlier else 1
    fields = {"study": study, "hospital": site.identity.email, "number": number, "verdict": verdict, "decided_at": at}
    site.state.record_decision(SignedDecision.sign(Decision(rounds=rounds, expires_at=ends, **fields), site.identity))


def answer(site: Datasite, study: str, number: int, outcome: str = "released", seconds: float = 0.5) -> None:
    row = AnsweredRound(number, "digest", outcome, True, False, b"x" * 10, now().isoformat(), seconds)
    site.state.record_answer(study, row)


def publish(site: Datasite, folder: Path) -> None:
    stays(1, 30).to_csv(folder / "stays.csv", index=False)
    source = TableSource(path=folder / "stays.csv")
    Registry(site.home.datasets).add(RegisteredTable(source, Dictionary.load(DICTIONARY)))
    site.set_policy("stays", POLICY)


def test_rounds_by_what_came_of_them_how_long_they_took_and_how_much_left(site: Datasite, numbers: Told) -> None:
    for number, (outcome, seconds) in enumerate([("released", 0.05), ("released", 2.0), ("code_error", 5000.0)], 1):
        site.state.audit.record(Kind.ROUND_RECEIVED, study="a" * 64, round=number, request="r", bytes=1)
        answer(site, "a" * 64, number, outcome, seconds)
    told = numbers()
    assert of(told, "messages_received_total", kind="round") == 3
    assert of(told, "rounds_answered_total", outcome="released") == 2
    assert of(told, "rounds_answered_total", outcome="code_error") == 1
    assert of(told, "rounds_answered_total", outcome="budget") == 0  # told before it first happens, or no rate shows it
    assert of(told, "bytes_out_total", what="answers") == 30
    buckets = [of(told, "round_seconds_bucket", le=le) for le in ("0.1", "1.0", "3.0", "3600.0", "+Inf")]
    assert buckets == [1, 1, 2, 2, 3]
    assert of(told, "round_seconds_sum") == pytest.approx(5002.05)
    assert of(told, "round_seconds_count") == 3


def test_a_number_goes_on_where_it_was_when_the_agent_starts_again(site: Datasite, numbers: Told) -> None:
    answer(site, "a" * 64, 1)
    assert of(numbers(), "rounds_answered_total", outcome="released") == 1
    answer(site, "a" * 64, 2)  # only this entry is read at the next look
    assert of(numbers(), "rounds_answered_total", outcome="released") == 2


def test_studies_by_state_and_what_waits(site: Datasite, numbers: Told) -> None:
    names = {one: str(i) * 64 for i, one in enumerate(families.STUDY_STATES)}
    site.state.audit.record(Kind.STUDY_RECEIVED, study=names["waiting"], name="n", researcher="r", bytes=1, files=1)
    for state in ("approved", "running", "done", "expired", "revoked", "denied"):
        site.state.audit.record(Kind.STUDY_RECEIVED, study=names[state], name="n", researcher="r", bytes=1, files=1)
        decide(site, names[state], days=-1 if state == "expired" else 1, rounds=1 if state == "done" else 3)
    answer(site, names["running"], 1)
    answer(site, names["done"], 1)
    decide(site, names["revoked"], "revoked")
    decide(site, names["denied"], "denied")
    for study in (names["running"], names["expired"]):  # the latter is not this hospital's fault any more
        site.state.audit.record(Kind.ROUND_RECEIVED, study=study, round=2, request="r", bytes=1)
    told = numbers()
    assert {state: of(told, "studies", state=state) for state in families.STUDY_STATES} == dict.fromkeys(names, 1)
    assert of(told, "approval_expiry_timestamp_seconds") == pytest.approx(now().timestamp() + 86400, abs=60)
    assert of(told, "study_silence_seconds") < 60


@pytest.mark.parametrize("what", ["answered", "restarted", "expired"])
def test_a_round_waits_until_it_is_answered_or_cannot_be(
    site: Datasite, numbers: Told, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    decide(site, "a" * 64)
    site.state.audit.record(Kind.ROUND_RECEIVED, study="a" * 64, round=1, request="r", bytes=1)
    monkeypatch.setattr(families, "now", lambda: now() + timedelta(hours=1))
    assert of(numbers(), "round_waiting_seconds") == pytest.approx(3600, abs=60)
    if what == "answered":
        answer(site, "a" * 64, 1)
    elif what == "restarted":  # the agent takes it up again, if it is still asked for
        site.state.audit.record(Kind.AGENT_STARTED, fingerprint="f")
    else:
        decide(site, "a" * 64, days=-1)
    assert of(numbers(), "round_waiting_seconds") == 0


def test_the_budget_is_what_the_limit_is_compared_with(site: Datasite, numbers: Told, tmp_path: Path) -> None:
    publish(site, tmp_path)
    budget = site.state.ledger
    event = SampledGaussian(2.0, 0.05, 20)
    limits = site.budget("stays").limits
    assert limits
    assert of(numbers(), "privacy_epsilon_counted", dataset="stays") == 0
    budget.commit(budget.reserve(Charge("stays", "a" * 64, "ada@uni.org", 1, "r", (event,), None), limits))
    told = numbers()
    assert of(told, "privacy_epsilon_counted", dataset="stays") == admission_epsilon([event], limits.delta) > 0
    assert of(told, "privacy_epsilon_limit", dataset="stays") == 10
    assert of(told, "ledger_intact") == 1


def test_a_ledger_that_lost_a_row_is_told(site: Datasite, numbers: Told, tmp_path: Path) -> None:
    publish(site, tmp_path)
    site.state.audit.record(Kind.BUDGET_RESERVED, dataset="stays", study="a" * 64, round=1, row=1, written="w")
    assert of(numbers(), "ledger_intact") == 0


def test_what_was_kept_back_and_put_aside_is_counted(site: Datasite, numbers: Told) -> None:
    put_aside(site.home.quarantine, "eve@evil.org", HOSTILE, b"bytes", HOSTILE)
    (site.home.held).mkdir()
    (site.home.held / "0123.json").write_text("{}")
    (site.home.held / "0123.frame").write_text("")
    told = numbers()
    assert of(told, "messages_in_quarantine") == of(told, "outputs_held") == 1


def test_the_agents_heartbeat_trouble_and_waiting_peers(site: Datasite, numbers: Told) -> None:
    told = numbers()
    assert of(told, "agent_serving") == 0
    assert ("wardround_agent_heartbeat_age_seconds", ()) not in told
    beat = {"pid": 1, "at": now().isoformat(), "problem": HOSTILE, "peers_waiting": 2}
    site.home.heartbeat.write_text(json.dumps(beat))
    told = numbers()
    assert (of(told, "agent_serving"), of(told, "agent_in_trouble"), of(told, "peers_waiting")) == (1, 1, 2)
    assert of(told, "agent_heartbeat_age_seconds") < 30


def test_an_alarm_that_ended_the_agent_is_told_until_it_serves_again(site: Datasite, numbers: Told) -> None:
    assert of(numbers(), "audit_head_agrees") == 1
    site.home.alarm.write_text("{}")
    assert of(numbers(), "audit_head_agrees") == 0


def test_nothing_that_a_researcher_writes_becomes_a_series_or_a_line(
    site: Datasite, numbers: Told, text: Callable[[], str], tmp_path: Path
) -> None:
    """Names, addresses, reasons and kinds that nobody knows: whatever comes, the series stay the same."""
    publish(site, tmp_path)
    before = numbers().keys()
    audit = site.state.audit
    for i in range(300):
        study, name = f"{i:064x}", f"{HOSTILE}{i}"
        audit.record(Kind.STUDY_RECEIVED, study=study, name=name, researcher=name, bytes=1, files=1)
        audit.record(Kind.STUDY_REFUSED, message=name, peer=name)
        audit.record(Kind.ROUND_RECEIVED, study=study, round=1, request=name, bytes=1)
        answer(site, study, 1, outcome=name)
        put_aside(site.home.quarantine, name, name, b"x", name)
    (site.home.datasets / f"{HOSTILE[:20]}.json".replace("/", "")).write_text("{}")  # no name that a table can have
    told = numbers()
    assert told.keys() == before
    assert of(told, "rounds_answered_total", outcome="other") == 300
    assert of(told, "studies", state="waiting") == 300
    assert of(told, "audit_head_agrees") == 1
    assert "evil" not in text()
    assert "uni.org" not in text()


def test_no_name_of_a_person_or_a_hospital_is_told(site: Datasite, text: Callable[[], str]) -> None:
    assert "north" not in text()
    assert "@" not in text()
