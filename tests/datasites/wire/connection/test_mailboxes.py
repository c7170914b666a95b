"""What a datasite's inbox hands to Syft, and when."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from uuid import uuid4

import pytest
from syft.sync.events.file_change_event import FileChangeEvent, FileChangeEventsMessage

from datasites.wire import keys
from datasites.wire.canonical import sha256
from tests.support.parties import Party, befriend, job_files, job_folder, join, proposal, propose

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


JOB = f"app_data/job/review/{ADA}/v1/job"


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Party, Party]:
    """A hospital, and a researcher it has accepted."""
    store = f"file://{tmp_path / 'store'}"
    owner, ada = join(tmp_path, OWNER, "owner", store), join(tmp_path, ADA, "researcher", store)
    befriend(owner, ada)
    return owner, ada


def tell(owner: Party, path: str, content: str) -> FileChangeEventsMessage:
    """News of the hospital's, dated now and not posted yet."""
    event = FileChangeEvent(
        id=uuid4(),
        path_in_datasite=Path(path),
        datasite_email=owner.email,
        content=content,
        new_hash=sha256(content.encode()),
        submitted_timestamp=0,
        timestamp=0,
    )
    return FileChangeEventsMessage(events=[event])


def post_news(owner: Party, ada: Party, message: FileChangeEventsMessage) -> None:
    owner.connection.owner_write_raw_bytes_to_outbox(
        ADA,
        message.message_filepath.as_string(),
        owner.identity.seal(ada.identity.public, message.as_compressed_data()),
    )


def test_news_that_arrives_late_is_read_all_the_same(pair: tuple[Party, Party], tmp_path: Path) -> None:
    """Of two processes of a hospital the slower one wrote first. What was read is not fetched again, even by the next
    process of the researcher's."""
    owner, ada = pair
    slow, quick = tell(owner, f"{JOB}/slow.txt", "slow"), tell(owner, f"{JOB}/quick.txt", "quick")
    post_news(owner, ada, quick)
    ada.sync()
    post_news(owner, ada, slow)
    ada.sync()
    seen = ada.home.syftbox / OWNER / JOB
    assert [(seen / name).read_text() for name in ("quick.txt", "slow.txt")] == ["quick", "slow"]
    (seen / "slow.txt").write_text("read once")
    ada.sync()
    join(tmp_path, ADA, "researcher", f"file://{tmp_path / 'store'}").sync()
    assert (seen / "slow.txt").read_text() == "read once"


def test_news_that_could_not_be_written_is_fetched_again(
    pair: tuple[Party, Party], monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, ada = pair
    cache = ada.client.sync_engine.datasite_watcher_syncer.datasite_watcher_cache

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(cache.file_connection), "write_file", full)
        post_news(owner, ada, tell(owner, f"{JOB}/x.txt", "good"))
        with pytest.raises(OSError, match="no space"):
            ada.sync()
    ada.sync()
    assert (ada.home.syftbox / OWNER / JOB / "x.txt").read_text() == "good"


def test_a_clock_that_is_set_back_hides_nothing_and_reverses_nothing(
    pair: tuple[Party, Party], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, ada = pair
    real, hour = time.time, 3600.0
    file, seen = owner.tree / JOB / "x.txt", ada.home.syftbox / OWNER / JOB / "x.txt"
    file.parent.mkdir(parents=True)
    file.write_text("first")
    owner.sync()
    ada.sync()
    monkeypatch.setattr(time, "time", lambda: real() - hour)
    for text in ("second", "third"):
        file.write_text(text)
        owner.sync()
    ada.sync()
    assert seen.read_text() == "third"
    owner = join(tmp_path, OWNER, "owner", f"file://{tmp_path / 'store'}")  # another process, with the wrong clock
    owner.sync()  # as an agent begins
    file.write_text("fourth")
    owner.sync()
    ada.sync()
    assert seen.read_text() == "fourth"
    shutil.rmtree(ada.home.syftbox)
    shutil.rmtree(ada.home.noted)
    join(tmp_path, ADA, "researcher", f"file://{tmp_path / 'store'}").sync()  # all of it again, in the right order
    assert seen.read_text() == "fourth"
