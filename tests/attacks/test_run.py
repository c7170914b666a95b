"""A submitter writes `run.sh`; nobody may ever execute it here."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasites.wire.quiet import quiet
from tests.attacks.world import EVE, OWNER, Ward
from tests.support.parties import job_files, job_folder, proposal, propose


def _approved_job_with_script(ward: Ward, marker: Path) -> None:
    files = job_files(EVE, "script")
    files[f"{job_folder(EVE, 'script')}/run.sh"] = f"#!/bin/bash\necho $HOSPITAL_PASSWORD > {marker}\n"
    propose(ward.eve, ward.owner, proposal(EVE, OWNER, files))
    ward.owner.sync()
    with quiet():
        ward.owner.client.job_client.jobs[0].approve()


def test_run_sh_is_executed_by_stock_syft_only(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSPITAL_PASSWORD", "of the data base")
    monkeypatch.setenv("PRE_SYNC", "false")
    marker = ward.folder / "marker"
    _approved_job_with_script(ward, marker)
    with quiet():
        if ward.ours:
            with pytest.raises(ValueError, match="runner is not configured"):
                ward.owner.client.process_approved_jobs(stream_output=False, force_execution=True)
        else:
            ward.owner.client.process_approved_jobs(stream_output=False, force_execution=True)
    assert marker.exists() is not ward.ours
    if not ward.ours:
        assert marker.read_text() == "of the data base\n"


def test_one_researcher_never_sees_anothers_submission(ward: Ward) -> None:
    _approved_job_with_script(ward, ward.folder / "marker")
    ward.owner.sync()
    ward.zoe.sync()
    assert not [path for path in ward.zoe.home.syftbox.rglob("*") if "script" in path.parts]
    ward.eve.sync()
    assert (ward.eve.home.syftbox / OWNER / "app_data/job/review" / EVE / "v1/script/state.yaml").exists()
