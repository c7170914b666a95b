"""Syft's whole loop over our connection, on every kind of store."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasites.catalog.publish import publish_twin
from datasites.wire import keys
from datasites.wire.dictionary import Dictionary
from datasites.wire.quiet import quiet
from researcher.dataset import Dataset
from tests.contracts.conftest import Place
from tests.support.parties import Party, befriend, join, submit

OWNER, ADA = "owner@ward.org", "ada@uni.org"
STAYS = """
[table]
name = "stays"
title = "Stays"
description = "One row per stay."
patient_key = "patient_id"
target = "readmitted"

[columns.readmitted]
type = "boolean"
description = "Back within 30 days."
"""


@pytest.fixture
def owner(place: Place, tmp_path: Path) -> Party:
    return join(tmp_path, OWNER, "owner", place.url, place.options)


@pytest.fixture
def ada(place: Place, tmp_path: Path) -> Party:
    return join(tmp_path, ADA, "researcher", place.url, place.options)


def _submit(ada: Party, folder: Path, name: str) -> None:
    code = folder / name
    code.mkdir()
    (code / "study.py").write_text("x = 1\n")
    with quiet():
        ada.client.submit_python_job(OWNER, str(code), job_name=name, force_submission=True)


def test_the_whole_loop(owner: Party, ada: Party, tmp_path: Path) -> None:
    with quiet():
        publish_twin(owner.client, owner.identity, "Ward", Dictionary.from_toml(STAYS), seed=0)
    befriend(owner, ada)
    assert owner.connection.peers.accepted() == [ADA]
    assert owner.connection.peers.require(ADA).fingerprint == ada.identity.public.fingerprint

    ada.sync()  # a peer that is accepted later is shown what was published before
    shown = Dataset.open(ada.home.syftbox / OWNER / "public/syft_datasets/stays", owner.identity.public)
    assert shown.twin.columns.tolist() == ["patient_id", "readmitted"]

    _submit(ada, tmp_path, "trial")
    owner.sync()
    [job] = owner.client.job_client.jobs
    assert (job.name, job.submitted_by, job.status) == ("trial", ADA, "pending")
    assert (Path(job.code_dir) / "study.py").read_text() == "x = 1\n"

    with quiet():
        job.reject("Say what it is for.")
    owner.sync()
    ada.sync()
    [seen] = ada.client.job_client.jobs
    assert seen.status == "rejected"
    assert not owner.reasons()
    assert not ada.reasons()


def test_it_goes_on_after_a_restart_of_both(owner: Party, ada: Party, place: Place, tmp_path: Path) -> None:
    befriend(owner, ada)
    _submit(ada, tmp_path, "before")
    owner.sync()
    again = join(tmp_path, OWNER, "owner", place.url, place.options)
    ada_again = join(tmp_path, ADA, "researcher", place.url, place.options)
    ada_again.sync()
    _submit(ada_again, tmp_path, "after")
    again.sync()
    assert sorted(job.name for job in again.client.job_client.jobs) == ["after", "before"]


def test_publishing_again_replaces_the_twin(owner: Party, ada: Party) -> None:
    befriend(owner, ada)
    folder = ada.home.syftbox / OWNER / "public/syft_datasets/stays"
    twins = []
    for seed in (0, 1):
        with quiet():
            publish_twin(owner.client, owner.identity, "Ward", Dictionary.from_toml(STAYS), seed=seed)
        ada.sync()
        twins.append(Dataset.open(folder, owner.identity.public).twin)
    assert not twins[0].equals(twins[1])


def test_a_stranger_reaches_nobody(owner: Party, ada: Party, tmp_path: Path) -> None:
    with quiet():
        ada.client.add_peer(OWNER, verbose=False)
    ada.sync()
    _submit(ada, tmp_path, "uninvited")
    owner.sync()
    assert not list(owner.client.job_client.jobs)
    assert not list(owner.tree.rglob("study.py"))


def test_a_message_that_a_cut_off_sync_left_behind_is_removed_and_no_attack(owner: Party, ada: Party) -> None:
    befriend(owner, ada)
    file = submit(ada, owner, "trial")
    (key,) = [name for name in owner.store.names(keys.box(OWNER, "inbox", ADA)) if not name.endswith(".peer")]
    raw = owner.store.get(key)
    assert raw
    owner.sync()
    assert file.read_text() == "x = 1\n"
    owner.store.put(key, raw)  # as if the agent had died before it removed it
    owner.connection.drop_received()
    assert not owner.store.exists(key)
    owner.sync()
    assert owner.reasons() == []


def test_a_message_that_was_not_applied_yet_is_not_taken_for_one_that_was(owner: Party, ada: Party) -> None:
    befriend(owner, ada)
    file = submit(ada, owner, "trial")
    owner.connection.drop_received()
    owner.sync()
    assert file.exists()
