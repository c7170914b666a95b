"""What a data owner decides, and that it holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import researcher as wr
from datasites.state import now
from datasites.wire.reasons import Reason
from researcher.history import History
from tests.support.federation import PATIENCE, POLICY, World, expected_state, load_study, same_bits, wait_for


def problems(result: wr.Result, hospital: str) -> list[str]:
    table = result.hospitals
    return [p for p in table[table["hospital"] == hospital]["problem"] if p]


def test_hospitals_train_one_model_together(world: World) -> None:
    study = world.approved(rounds=3)
    result = wr.Rounds(study).run()
    assert same_bits(result.parameters, expected_state([h.table for h in world.hospitals], [1, 2, 3]))
    assert result.rounds["round"].tolist() == [0, 1, 2, 3]
    assert result.rounds["hospitals"].tolist() == [2, 2, 2, 2]
    assert problems(result, "north") == problems(result, "south") == []
    module, tables = load_study(), [h.table for h in world.hospitals]
    last = [module.evaluate(result.parameters, table, {"round": 4})[1] for table in tables]
    pooled = sum(metrics["score_histogram"] for metrics in last)
    assert result.federated_auc == wr.auc_from_histogram(pooled)


def test_syfts_own_job_state_follows_on_both_sides(world: World) -> None:
    north = world.hospitals[0]
    study = world.submit(rounds=2)
    north.wait_for_submission(study)

    def states() -> tuple[str, str]:
        world.researcher.sync()
        jobs = [j for j in world.researcher.client.job_client.jobs if j.name == study.manifest.job_name]
        theirs = next(j.status for j in jobs if j.datasite_owner_email == north.email)
        return north.job(study).status, theirs

    wait_for(lambda: states() == ("pending", "pending"), "pending on both sides")
    for hospital in world.hospitals:
        hospital.approve(study)
    wait_for(lambda: states() == ("approved", "approved"), "approved on both sides")
    study.wait(timeout=PATIENCE)
    rounds = wr.Rounds(study)
    rounds.run(rounds=1)
    wait_for(lambda: states() == ("running", "running"), "running on both sides")
    rounds.run()
    wait_for(lambda: states() == ("done", "done"), "done on both sides")
    north.datasite.revoke(study.manifest.job_name, reason="Enough.")
    wait_for(lambda: states() == ("rejected", "rejected"), "rejected on both sides")


def test_a_denial_and_its_reason_reach_the_researcher(world: World) -> None:
    north, south = world.hospitals
    study = world.submit()
    for hospital in (north, south):
        hospital.wait_for_submission(study)
    north.datasite.deny(study.manifest.job_name, reason="We do not share this ward.")
    with pytest.raises(wr.Unavailable, match=r"north \(We do not share this ward\.\) did not approve"):
        study.wait(timeout=PATIENCE)
    row = study.status().set_index("hospital").loc["north"]
    assert (row["decision"], row["reason"]) == ("denied", "We do not share this ward.")
    with pytest.raises(wr.RoundFailed, match="0 hospitals have approved"):
        wr.Rounds(study).run()
    assert not north.datasite.office.vault.folder.joinpath(study.digest).exists()


def test_a_hospital_that_allowed_fewer_rounds_drops_out_when_they_are_used(world: World) -> None:
    north, south = world.hospitals
    study = world.submit(rounds=3)
    north.approve(study)
    south.approve(study, rounds=1)
    study.wait(timeout=PATIENCE)
    result = wr.Rounds(study, min_hospitals=1).run()
    assert result.round == 3
    assert problems(result, "south") == [Reason.ROUNDS_USED.text]  # told once, then no longer asked
    assert south.datasite.state.used(study.digest) == (1, 1)
    assert result.rounds["hospitals"].tolist() == [2, 1, 1, 1]


def test_a_hospital_that_approves_while_rounds_run_joins_them(world: World) -> None:
    north, south = world.hospitals
    study = world.submit(rounds=10, config={"pause": 0.5})
    north.approve(study)
    south.wait_for_submission(study)
    study.wait(hospitals=1, timeout=PATIENCE)

    def approve_after_the_first(history: History) -> None:
        if history.rounds()["round"].max() == 0:
            south.datasite.approve(study.manifest.job_name)

    result = wr.Rounds(study).run(on_round=approve_after_the_first)
    hospitals = result.rounds["hospitals"].tolist()
    assert hospitals == sorted(hospitals)
    assert (hospitals[0], hospitals[-1]) == (1, 2)
    assert problems(result, "south") == []
    joined = hospitals.index(2) + 1
    assert south.datasite.state.used(study.digest) == (10 - joined + 1, 10 - joined + 2)


def test_a_revoked_hospital_runs_no_further_round(world: World) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=3)

    def revoke_after_the_first(history: History) -> None:
        if history.rounds()["round"].max() == 0:
            south.datasite.revoke(study.manifest.job_name, reason="A patient objected.")

    result = wr.Rounds(study, min_hospitals=1).run(on_round=revoke_after_the_first)
    assert problems(result, "south") == [Reason.REVOKED.text]
    assert "fit 2" not in south.study_log(study)
    assert result.round == 3
    wait_for(lambda: not (south.folder(study) / "table.parquet").exists(), "the table's view to be removed")

    def status() -> tuple[str, str]:
        row = study.status().set_index("hospital").loc["south"]
        return row["decision"], row["reason"]

    wait_for(lambda: status() == ("revoked", "A patient objected."), "the revocation to reach the researcher")
    assert study.participants() == [north.email]


def test_a_revocation_stops_a_running_round(world: World, background) -> None:
    _, south = world.hospitals
    study = world.approved(rounds=2, config={"acts": {"2": {"act": "sleep"}}, "seconds": 600})
    running = background(wr.Rounds(study, min_hospitals=1).run, 1)
    wait_for(lambda: "fit 1" in south.study_log(study), "the round to run")
    assert (south.folder(study) / "table.parquet").exists()
    south.datasite.revoke(study.manifest.job_name, reason="Stop.")
    result = running.result(PATIENCE)
    assert problems(result, "south") == [Reason.REVOKED.text]
    assert south.datasite.state.used(study.digest) == (0, 0)
    wait_for(lambda: not (south.folder(study) / "table.parquet").exists(), "the table's view to be removed")
    wait_for(lambda: not south.workers(study), "the study's process to end")


def test_an_approval_ends_when_it_expires_even_in_the_middle_of_a_round(world: World, background) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=2, config={"acts": {"2": {"act": "sleep"}}, "seconds": 600})
    running = background(wr.Rounds(study, min_hospitals=1).run, 1)
    wait_for(lambda: "fit 1" in south.study_log(study), "the round to run")
    south.datasite.approve(study.manifest.job_name, expires_at=now() + timedelta(seconds=1))
    result = running.result(PATIENCE)
    assert problems(result, "south") == [Reason.EXPIRED.text]
    wait_for(lambda: study.participants() == [north.email], "the shorter approval to arrive")
    wait_for(lambda: not (south.folder(study) / "table.parquet").exists(), "the table's view to be removed")


def test_a_study_approved_again_after_a_revocation_goes_on(world: World) -> None:
    _, south = world.hospitals
    study = world.approved(rounds=2)
    wr.Rounds(study).run(rounds=1)
    south.datasite.revoke(study.manifest.job_name, reason="A question first.")
    wait_for(lambda: south.email not in study.participants(), "the revocation to arrive")
    south.datasite.approve(study.manifest.job_name)
    wait_for(lambda: south.email in study.participants(), "the approval to arrive")
    result = wr.Rounds(study).run()
    assert result.round == 2
    assert problems(result, "south") == []


def test_code_changed_in_the_syft_tree_after_the_approval_does_not_run(world: World) -> None:
    study = world.approved(rounds=1)
    for hospital in world.hospitals:
        tree = hospital.home.syftbox
        copies = [p for p in tree.rglob("study.py") if study.manifest.job_name in p.parts]
        assert copies
        for copy in copies:
            copy.write_text("raise SystemExit('changed')\n")
    result = wr.Rounds(study).run()
    assert same_bits(result.parameters, expected_state([h.table for h in world.hospitals], [1]))


def test_an_approved_copy_changed_on_the_hospitals_disk_is_refused(world: World) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=1)
    code = south.home.approved / study.digest / "code" / "study.py"
    code.write_text(code.read_text().replace("31", "32"))
    result = wr.Rounds(study, min_hospitals=1).run()
    assert set(problems(result, "south")) == {Reason.HOSPITAL.text}
    assert "was changed on this disk" in south.log.read_text()
    assert same_bits(result.parameters, expected_state([north.table], [1]))


def test_decisions_given_while_the_agent_syncs_do_not_disturb_it(world: World) -> None:
    """Syft's sync fails on a file that comes or goes meanwhile; commands and agent take turns."""
    north, south = world.hospitals
    study = world.submit(rounds=1)
    south.approve(study)
    north.wait_for_submission(study)
    for _ in range(30):
        north.datasite.approve(study.manifest.job_name)
        north.datasite.revoke(study.manifest.job_name, reason="Not yet.")
    north.datasite.approve(study.manifest.job_name)

    def last() -> bool:
        study.federation.sync()
        decision = study.decisions().get(north.email)
        return decision is not None and decision.number == 61

    wait_for(last, "the last decision to arrive")
    assert wr.Rounds(study).run().round == 1
    north.wait_until_serving()
    assert "the sync failed" not in north.log.read_text()


def test_two_studies_at_once(world: World, background) -> None:
    first = world.approved(rounds=4, config={"pause": 0.05})
    second = world.approved(rounds=3, config={"pause": 0.05})
    results = [background(wr.Rounds(study).run) for study in (first, second)]
    tables = [h.table for h in world.hospitals]
    for messages, running in (([1, 2, 3, 4], results[0]), ([1, 2, 3], results[1])):
        assert same_bits(running.result(PATIENCE).parameters, expected_state(tables, messages))


def test_a_policy_made_stricter_stops_a_study_before_its_next_round(world: World, tmp_path: Path) -> None:
    _, south = world.hospitals
    study = world.approved(rounds=3)
    (tmp_path / "stricter.toml").write_text(POLICY.read_text().replace("rounds = 1000", "rounds = 2"))

    def stricter_after_the_first(history: History) -> None:
        if history.rounds()["round"].max() == 0:
            south.datasite.set_policy("stays", tmp_path / "stricter.toml")

    try:
        result = wr.Rounds(study, min_hospitals=1).run(on_round=stricter_after_the_first)
        assert problems(result, "south") == [Reason.POLICY.text]
        assert "fit 2" not in south.study_log(study)
        assert result.round == 3
        wait_for(lambda: not (south.folder(study) / "table.parquet").exists(), "the table's view to be removed")
    finally:
        south.datasite.set_policy("stays", POLICY)


def test_the_very_same_work_runs_again_without_a_person_where_the_policy_says_so(world: World, tmp_path: Path) -> None:
    north, south = world.hospitals
    study = world.approved(rounds=1, name="again")
    (tmp_path / "same.toml").write_text(POLICY.read_text().replace('"never"', '"same-digest"'))
    try:
        for hospital in (north, south):
            hospital.datasite.set_policy("stays", tmp_path / "same.toml")
        again = world.submit(rounds=1, name="again", repetition=2)
        assert again.manifest.rehearsal
        assert again.manifest.rehearsal.twins[0].hospital in (north.email, south.email)
        assert again.manifest.first == study.digest
        again.wait(timeout=PATIENCE)
        decision = again.decisions()[north.email]
        assert decision.decided_by.startswith("policy ")
        assert study.digest[:12] in decision.reason
        assert wr.Rounds(again).run().round == 1
        other = world.submit(rounds=2, name="again", repetition=2)  # a round more is other work
        north.wait_for_submission(other)
        assert other.digest in {s.digest for s in north.datasite.office.pending()}
    finally:
        for hospital in (north, south):
            hospital.datasite.set_policy("stays", POLICY)
