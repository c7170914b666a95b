"""What a datasite's inbox hands to Syft, and when."""

from __future__ import annotations

from pathlib import Path

from datasites.wire import keys
from tests.support.parties import befriend, job_files, job_folder, join, proposal, propose

OWNER, ADA = "do@north.org", "ada@uni.org"


def test_a_study_waits_until_its_senders_acceptance_is_finished(tmp_path: Path) -> None:
    """A kill between noting the peer and opening her box for jobs: Syft alone would drop her study for good."""
    store = f"file://{tmp_path / 'store'}"
    owner, ada = join(tmp_path, OWNER, "owner", store), join(tmp_path, ADA, "researcher", store)
    befriend(owner, ada)
    rules = owner.tree / "app_data/job/inbox" / ADA / "syft.pub.yaml"
    cut_off = rules.read_text()
    rules.unlink()
    key = propose(ada, owner, proposal(ADA, OWNER, job_files(ADA, "early")))
    owner.sync()
    assert not (owner.tree / job_folder(ADA, "early")).exists()
    assert key in ada.store.names(keys.box(OWNER, "inbox", ADA))
    rules.write_text(cut_off)
    owner.sync()
    assert (owner.tree / job_folder(ADA, "early") / "code/study.py").read_text() == "x = 1\n"
    assert owner.reasons() == []
