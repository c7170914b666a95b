"""Policies in force: nothing is approved, and nothing goes on, that the table's policy does not allow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from datasites.approval.enforcement import PolicyWatch
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.state import now
from datasites.wire.decision import Decision, GateNoise, SignedDecision
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput, Refused
from policies.examples import example
from tests.support.federation import DICTIONARY, POLICY, stays
from tests.support.submissions import CODE, deliver, manifest

SetPolicy = Callable[..., None]


@pytest.fixture
def set_policy(site: Datasite, tmp_path: Path) -> SetPolicy:
    """Sets the counting policy with whole entries replaced: rounds="2"."""

    def put(**changes: str) -> None:
        lines = POLICY.read_text().splitlines()
        for entry, value in changes.items():
            (at,) = (n for n, line in enumerate(lines) if line.startswith(f"{entry} = "))
            lines[at] = f"{entry} = {value}"
        (tmp_path / "policy.toml").write_text("\n".join(lines))
        site.set_policy("stays", tmp_path / "policy.toml")

    return put


def submitted(site: Datasite, ada: Identity, **changes: Any) -> Manifest:
    asked = manifest(**changes)
    deliver(site, asked, ada)
    return asked


def decision(site: Datasite, study: Manifest) -> Decision:
    signed = site.state.decision(study.digest)
    assert signed
    return signed.decision


def audited(site: Datasite, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in site.state.audit.entries() if entry["kind"] == kind]


class TestApproval:
    def test_every_violation_is_named_with_what_to_change(
        self, site: Datasite, ada: Identity, set_policy: SetPolicy
    ) -> None:
        asked = submitted(site, ada)
        set_policy(rounds="2", imports='["numpy"]', never_columns='["days"]', min_patients="11")
        with pytest.raises(Refused) as refused:
            site.approve("demo")
        for part in (
            "3 rounds",
            "Ask for 1 to 2",
            "'time'",
            "'days'",
            "fewer than 11 patients",
            "wardround policy set",
        ):
            assert part in str(refused.value)
        assert site.state.decision(asked.digest) is None
        assert list(site.home.approved.iterdir()) == []

    def test_a_damaged_policy_refuses_everything_but_a_denial(self, site: Datasite, ada: Identity) -> None:
        asked = submitted(site, ada)
        (site.home.path / "policies" / "stays.toml").write_text("title = ")
        with pytest.raises(Refused, match="cannot be used, so nothing is allowed"):
            site.approve("demo")
        with pytest.raises(InvalidInput, match="not TOML"):
            site.policy("stays")
        site.deny("demo", reason="Not now.")
        assert decision(site, asked).verdict == "denied"

    def test_what_this_version_cannot_apply_is_refused(
        self, site: Datasite, ada: Identity, set_policy: SetPolicy
    ) -> None:
        submitted(site, ada)
        set_policy(secure_aggregation="true")
        with pytest.raises(Refused, match="demands secure aggregation"):
            site.approve("demo")

    def test_with_gate_noise_nothing_leaves_beside_the_model(
        self, site: Datasite, ada: Identity, set_policy: SetPolicy
    ) -> None:
        more = manifest().outputs.model_copy(update={"evaluate_metrics": ("mean_score",)})
        submitted(site, ada, outputs=more)
        submitted(site, ada, name="alone")
        set_policy(decimals="10\nmax_update_norm = 1.0\ngate_noise = 12.0")
        with pytest.raises(Refused, match="without the noise that the policy demands"):
            site.approve("demo")
        assert site.approve("alone").noise == GateNoise(distance=1.0, multiple=12.0)
        assert "protects this hospital's whole table" in site.packet("alone").summary

    def test_the_policy_caps_how_long_and_how_often(self, site: Datasite, ada: Identity, set_policy: SetPolicy) -> None:
        asked = submitted(site, ada)
        set_policy(days="10", rounds="2")
        with pytest.raises(Refused, match="valid for at most 10 days"):
            site.approve("demo", rounds=2, expires_at=now() + timedelta(days=11))
        site.approve("demo", rounds=2)  # as many as the policy allows
        given = decision(site, asked)
        assert _lasts(given, 10)
        set_policy(days="365")
        site.approve("demo")
        given = decision(site, asked)
        assert _lasts(given, site.settings.approval_days)

    def test_the_audit_log_says_which_policy_was_in_force(
        self, site: Datasite, ada: Identity, set_policy: SetPolicy
    ) -> None:
        submitted(site, ada)
        set_policy(rounds="5")
        site.approve("demo")
        digest = site.policy("stays").digest
        assert audited(site, "policy_set")[-1].items() >= {"dataset": "stays", "policy": digest}.items()
        assert audited(site, "decided")[-1]["policy"] == digest

    def test_a_policy_that_cannot_be_used_is_neither_set_nor_audited(self, site: Datasite, tmp_path: Path) -> None:
        before, noted = site.policy("stays"), audited(site, "policy_set")
        (tmp_path / "wrong.toml").write_text("title = 3")
        with pytest.raises(InvalidInput, match="cannot be used"):
            site.set_policy("stays", tmp_path / "wrong.toml")
        assert (site.policy("stays"), audited(site, "policy_set")) == (before, noted)
        assert site.policy("other") == example("standard")


class TestWatch:
    @pytest.fixture
    def asked(self, site: Datasite, ada: Identity) -> Manifest:
        asked = submitted(site, ada)
        site.approve("demo")
        return asked

    def refusal(self, site: Datasite, watch: PolicyWatch, asked: Manifest) -> Reason | None:
        return watch.refusal(decision(site, asked))

    def test_a_policy_made_stricter_stops_it_and_one_put_back_lets_it_go_on(
        self, site: Datasite, asked: Manifest, set_policy: SetPolicy
    ) -> None:
        watch = PolicyWatch(site.home, site.state, asked)
        assert self.refusal(site, watch, asked) is None
        set_policy(rounds="2")
        assert self.refusal(site, watch, asked) is Reason.POLICY
        set_policy()
        assert self.refusal(site, watch, asked) is None
        file = site.home.path / "policies" / "stays.toml"
        file.write_text("title = ")  # an owner's editor, in the middle of saving
        assert self.refusal(site, watch, asked) is Reason.POLICY
        file.unlink()
        assert self.refusal(site, watch, asked) is Reason.POLICY  # `standard` wants more patients

    def test_an_approval_older_than_the_policy_allows_is_over(
        self, site: Datasite, asked: Manifest, set_policy: SetPolicy
    ) -> None:
        old = decision(site, asked).model_copy(update={"decided_at": now() - timedelta(days=20)})
        watch = PolicyWatch(site.home, site.state, asked)
        assert watch.refusal(old) is None
        set_policy(days="20")
        assert watch.refusal(old) is Reason.POLICY

    def test_a_table_that_lost_its_patients_is_not_used(
        self, site: Datasite, asked: Manifest, set_policy: SetPolicy, tmp_path: Path
    ) -> None:
        set_policy(min_patients="10")
        watch = PolicyWatch(site.home, site.state, asked)
        assert self.refusal(site, watch, asked) is None
        stays(1, 18).to_csv(tmp_path / "stays.csv", index=False)
        assert self.refusal(site, watch, asked) is None  # nobody has read it since
        Registry(site.home.datasets).read("stays")
        assert self.refusal(site, watch, asked) is Reason.POLICY
        stays(1, 20).to_csv(tmp_path / "stays.csv", index=False)
        source = TableSource(path=tmp_path / "stays.csv")
        Registry(site.home.datasets).add(RegisteredTable(source, Dictionary.load(DICTIONARY)))
        assert self.refusal(site, watch, asked) is None

    def test_an_approved_copy_that_was_changed_does_not_pass(self, site: Datasite, asked: Manifest) -> None:
        (site.home.approved / asked.digest / "code" / "study.py").write_text("import os\n")
        assert self.refusal(site, PolicyWatch(site.home, site.state, asked), asked) is Reason.HOSPITAL


class TestRepetition:
    @pytest.fixture(autouse=True)
    def automatic(self, site: Datasite, set_policy: SetPolicy) -> None:
        set_policy(automatic='"same-digest"')

    def repeat(self, site: Datasite, ada: Identity, **changes: Any) -> SignedDecision | None:
        again = submitted(site, ada, **{"repetition": 2, **changes})
        return site.office.approve_repetition(site.office.find(again.digest), days=30)

    def test_the_very_same_work_needs_no_second_person(self, site: Datasite, ada: Identity) -> None:
        first = submitted(site, ada)
        site.approve("demo", rounds=2, expires_at=now() + timedelta(days=5))
        signed = self.repeat(site, ada)
        assert signed
        assert signed.verified(site.identity.public)
        given, person = signed.decision, decision(site, first)
        assert given.decided_by == f"policy {site.policy('stays').digest[:12]}"
        assert first.digest[:12] in given.reason
        assert (given.rounds, given.expires_at) == (2, person.expires_at)  # as narrow as the person's own
        assert audited(site, "decided")[-1].items() >= {"study": given.study, "verdict": "approved"}.items()
        assert site.office.vault.files(given.study) == CODE
        assert site.office.approve_repetition(site.office.find(given.study), days=30) is None

    def test_no_person_no_repetition(self, site: Datasite, ada: Identity) -> None:
        submitted(site, ada)
        assert self.repeat(site, ada) is None
        site.deny(manifest().digest, reason="No.")
        assert site.office.approve_repetition(site.office.find(manifest(repetition=2).digest), days=30) is None

    @pytest.mark.parametrize("how", ["revoked", "expired", "denied itself", "policy"])
    def test_only_while_the_persons_approval_is_in_force(
        self, site: Datasite, ada: Identity, set_policy: SetPolicy, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = submitted(site, ada)
        site.approve(first.digest, expires_at=now() + timedelta(days=1))
        again = submitted(site, ada, repetition=2)
        if how == "revoked":
            site.revoke(first.digest, reason="x")
        elif how == "expired":
            later = now() + timedelta(days=2)
            monkeypatch.setattr("datasites.approval.enforcement.now", lambda: later)
        elif how == "denied itself":
            site.deny(again.digest, reason="x")
        else:
            set_policy()
        assert site.office.approve_repetition(site.office.find(again.digest), days=30) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"rounds": 2},
            {"config": {"pause": 0}},
            {"columns": ("days", "site", "readmitted")},
            {"purpose": "Test."},
            {"name": "demo2"},
            {"seconds_per_round": 3599},
        ],
    )
    def test_anything_else_that_differs_waits_for_a_person(
        self, site: Datasite, ada: Identity, change: dict[str, Any]
    ) -> None:
        submitted(site, ada)
        site.approve("demo")
        assert self.repeat(site, ada, **change) is None

    def test_what_a_policy_approved_is_nothing_to_repeat(self, site: Datasite, ada: Identity) -> None:
        first = submitted(site, ada)
        site.office.approve(first.digest, by="policy 000000000000")
        assert self.repeat(site, ada) is None

    def test_it_ends_with_the_persons_approval_or_with_the_permission(
        self, site: Datasite, ada: Identity, set_policy: SetPolicy
    ) -> None:
        first = submitted(site, ada)
        site.approve("demo")
        signed = self.repeat(site, ada)
        assert signed
        watch = PolicyWatch(site.home, site.state, manifest(repetition=2))
        assert watch.refusal(signed.decision) is None
        set_policy(automatic='"never"')
        assert watch.refusal(signed.decision) is Reason.POLICY
        set_policy(automatic='"same-digest"')
        assert watch.refusal(signed.decision) is None
        site.revoke(first.digest, reason="A patient objected.")
        assert watch.refusal(signed.decision) is Reason.POLICY


def _lasts(given: Decision, days: int) -> bool:
    """So many days from the moment at which it was asked for, which is a little before it was signed."""
    short = given.decided_at + timedelta(days=days) - (given.expires_at or given.decided_at)
    return timedelta(0) <= short < timedelta(minutes=1)
