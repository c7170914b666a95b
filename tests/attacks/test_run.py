"""A submitter writes `run.sh`, and stock Syft executes it. Nobody may ever execute it here."""

from __future__ import annotations

from pathlib import Path

import pytest
from syft_rds.job_auto_approval import auto_approve_and_run_jobs

from datasites.wire.quiet import quiet
from tests.attacks.world import EVE, OWNER, SECRET, Ward
from tests.support.parties import job_files, job_folder, proposal, propose


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRE_SYNC", "false")
    monkeypatch.setenv("HOSPITAL_PASSWORD", "of the data base")


def _submit(ward: Ward, script: str) -> None:
    files = job_files(EVE, "script")
    files[f"{job_folder(EVE, 'script')}/run.sh"] = f"#!/bin/bash\n{script}\n"
    propose(ward.eve, ward.owner, proposal(EVE, OWNER, files))
    ward.owner.sync()


def _approve(ward: Ward) -> None:
    with quiet():
        ward.owner.client.job_client.jobs[0].approve()


def _run(ward: Ward) -> None:
    with quiet():
        if ward.ours:
            with pytest.raises(ValueError, match="runner is not configured"):
                ward.owner.client.process_approved_jobs(stream_output=False, force_execution=True)
        else:
            ward.owner.client.process_approved_jobs(stream_output=False, force_execution=True)


def _seen_by_eve(ward: Ward, text: str) -> bool:
    ward.owner.sync()
    ward.eve.sync()
    return any(text.encode() in path.read_bytes() for path in ward.eve.home.syftbox.rglob("*") if path.is_file())


def test_run_sh_is_executed_by_stock_syft_only(ward: Ward) -> None:
    marker = ward.folder / "marker"
    _submit(ward, f"echo $HOSPITAL_PASSWORD > {marker}")
    _approve(ward)
    _run(ward)
    assert marker.exists() is not ward.ours
    if not ward.ours:
        assert marker.read_text() == "of the data base\n"  # with the owner's whole environment


@pytest.mark.parametrize("output", ["/dev/stdout", "code/stray.txt"])
def test_what_a_job_prints_or_drops_reaches_its_submitter_in_stock_syft_only(ward: Ward, output: str) -> None:
    _submit(ward, f"cat {ward.owner.tree}/private/secret.txt > {output}")
    _approve(ward)
    _run(ward)  # without any decision to share outputs or logs
    assert _seen_by_eve(ward, SECRET) is not ward.ours


def test_a_name_that_is_known_approves_a_script_that_is_not_in_stock_syft_only(ward: Ward) -> None:
    marker = ward.folder / "marker"
    _submit(ward, f"touch {marker}")
    with quiet():
        try:
            auto_approve_and_run_jobs(
                ward.owner.client,
                required_file_contents={"study.py": "x = 1\n"},
                required_file_paths=["study.py"],
                verbose=False,
            )
        except ValueError:
            assert ward.ours
    assert marker.exists() is not ward.ours


def test_one_researcher_never_sees_anothers_submission(ward: Ward) -> None:
    _submit(ward, "true")
    _approve(ward)
    ward.owner.sync()
    ward.zoe.sync()
    assert not [path for path in ward.zoe.home.syftbox.rglob("*") if "script" in path.parts]
    ward.eve.sync()
    state: Path = ward.eve.home.syftbox / OWNER / "app_data/job/review" / EVE / "v1/script/state.yaml"
    assert state.exists()
