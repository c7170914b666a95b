"""What is over leaves the store, nothing else does, and all that is proved of it stays proved."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datasites.agent.sweep import Sweep, Sweeper, Terms
from datasites.audit.export import export
from datasites.audit.verify import verify
from datasites.cli import app
from datasites.datasite import Datasite
from datasites.state import AnsweredRound, now
from datasites.wire import keys
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.identity import Identity
from datasites.wire.parts import PART_BYTES, folder
from datasites.wire.store import Store
from tests.support.submissions import hospital

STUDY, ANOTHER = "a" * 64, "b" * 64
LARGE = bytes(PART_BYTES + 1)
AT_ONCE, LATER = Terms.of_days(0, 0), Terms.of_days(30, 2)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Datasite]:
    ada = Identity.create("ada@uni.org", tmp_path / "ada.json")
    datasite = hospital(tmp_path, ada)
    yield datasite
    datasite.state.close()


@pytest.fixture
def store(site: Datasite) -> Store:
    """With another hospital's answer, and a message of the researcher's, that must stay."""
    store = Store(site.settings.store)
    for study in (STUDY, ANOTHER):
        store.put(keys.round_up(study, 1, "do@south.org"), LARGE)
        store.put(keys.round_down(study, site.settings.email, 1), b"message")
    return store


def decide(site: Datasite, study: str, verdict: str = "approved", rounds: int = 2, number: int = 1) -> None:
    decision = Decision(
        study=study,
        hospital=site.settings.email,
        number=number,
        verdict=verdict,
        rounds=rounds,
        decided_at=now(),
        expires_at=now() + timedelta(days=1) if verdict == "approved" else None,
    )
    site.state.record_decision(SignedDecision.sign(decision, site.identity))


def answer(site: Datasite, store: Store, study: str, number: int, reply: bytes = b"reply") -> str:
    row = AnsweredRound(number, "c" * 64, "released", True, False, reply, now().isoformat(), 1.0)
    site.state.record_answer(study, row)
    name = keys.round_up(study, number, site.settings.email)
    store.put(name, reply)
    site.state.mark_posted(study, number)
    return name


def sweeping(site: Datasite, terms: Terms = AT_ONCE) -> Sweep:
    return Sweep(Store(site.settings.store), site.state, site.settings.email, terms)


def everything(store: Store) -> set[str]:
    return {*store.names("rounds"), *store.names(folder("rounds"))}


def proved(site: Datasite, tmp_path: Path) -> bool:
    file = tmp_path / f"{uuid.uuid4().hex}.jsonl"
    export(site.identity, site.state.audit, file)
    return all(finding.good for finding in verify(file).findings)


def test_a_study_that_is_over_leaves_the_store_and_the_audit_stays_whole(
    site: Datasite, store: Store, tmp_path: Path
) -> None:
    decide(site, STUDY)
    mine = {answer(site, store, STUDY, 1), answer(site, store, STUDY, 2, LARGE)}
    before = everything(store)
    swept = sweeping(site).sweep(STUDY)
    assert swept.over
    assert everything(store) == {name for name in before if not any(one in name for one in mine)}
    assert len(swept.names) == 4  # the large one lay there in two parts
    assert proved(site, tmp_path)
    assert [entry["objects"] for entry in site.state.audit.entries() if entry["kind"] == "study_swept"] == [4]
    assert sweeping(site).sweep(STUDY).names == ()
    assert len(site.state.answers(STUDY)) == 2  # what the hospital knows of it stays


def test_a_study_that_goes_on_keeps_its_answers(site: Datasite, store: Store) -> None:
    decide(site, STUDY, rounds=3)
    answer(site, store, STUDY, 1)
    answer(site, store, STUDY, 2, LARGE)
    before = everything(store)
    assert sweeping(site).sweep(STUDY).names == ()
    assert everything(store) == before


def test_answers_stay_as_long_as_the_settings_say(site: Datasite, store: Store) -> None:
    decide(site, STUDY)
    answer(site, store, STUDY, 1)
    decide(site, STUDY, "revoked", number=2)
    before = everything(store)
    assert sweeping(site, LATER).sweep(STUDY).names == ()
    assert everything(store) == before
    assert len(sweeping(site).sweep(STUDY).names) == 1


def test_parts_of_an_upload_that_never_ended_go_and_the_whole_beside_them_stays(site: Datasite, store: Store) -> None:
    decide(site, STUDY, rounds=3)
    name = answer(site, store, STUDY, 1, LARGE)
    orphan = f"{folder(name)}/{'d' * 64}/000000"  # of other bytes, whose writer was killed before it wrote the index
    store.put(orphan, b"half")
    before = everything(store)
    assert sweeping(site, LATER).sweep(STUDY).names == ()  # it may still be under way
    assert sweeping(site).sweep(STUDY).names == (orphan,)
    assert everything(store) == before - {orphan}
    assert store.get(name) == LARGE


def test_what_neighbours_were_told_goes_with_the_study(site: Datasite, store: Store) -> None:
    me, south = site.settings.email, "do@south.org"
    decide(site, STUDY)
    for sender, reader in ((me, south), (south, me)):
        store.put(keys.gossip_model(STUDY, sender, reader, 1), LARGE)
        store.put(keys.gossip_presence(STUDY, sender, reader), b"here")
    assert sweeping(site).sweep(STUDY).names == ()
    decide(site, STUDY, "revoked", number=2)
    sweeping(site).sweep(STUDY)
    left = {*store.names("gossip"), *store.names(folder("gossip"))}
    assert left
    assert all(name.removeprefix("parts/").startswith(keys.all_gossip(STUDY, south)) for name in left)


def test_an_answer_that_was_not_posted_yet_is_left_alone(site: Datasite, store: Store) -> None:
    decide(site, STUDY, rounds=1)
    row = AnsweredRound(1, "c" * 64, "released", True, False, LARGE, now().isoformat(), 1.0)
    site.state.record_answer(STUDY, row)
    name = keys.round_up(STUDY, 1, site.settings.email)
    store.put(f"{folder(name)}/{'d' * 64}/000000", b"on its way")
    assert sweeping(site).sweep(STUDY).names == ()


def test_the_agent_sweeps_and_says_what_is_over_until_it_is_approved_again(site: Datasite, store: Store) -> None:
    for study in (STUDY, ANOTHER):
        decide(site, study, rounds=1 if study == STUDY else 5)
        answer(site, store, study, 1)
    sweeper = Sweeper(sweeping(site), lambda: [STUDY, ANOTHER], threading.Event())
    sweeper.look()
    assert sweeper.over == {STUDY: 1}
    assert not store.exists(keys.round_up(STUDY, 1, site.settings.email))
    assert store.exists(keys.round_up(ANOTHER, 1, site.settings.email))
    decide(site, STUDY, rounds=2, number=2)
    sweeper.look()
    assert sweeper.over == {}
    last = answer(site, store, STUDY, 2)
    sweeper.look()
    assert sweeper.over == {STUDY: 2}
    assert not store.exists(last)


def test_the_command_says_what_it_would_do_and_does_it(site: Datasite, store: Store, monkeypatch) -> None:
    monkeypatch.setenv("WARDROUND_KEEP_DAYS", "0")
    decide(site, STUDY, rounds=1)
    name = answer(site, store, STUDY, 1)
    command = ["datasite", "sweep", "--home", str(site.home.path), "--json"]
    would = CliRunner().invoke(app, [*command, "--dry-run"], catch_exceptions=False)
    assert '"objects": 1' in would.output
    assert store.exists(name)
    assert CliRunner().invoke(app, command, catch_exceptions=False).output == would.output
    assert not store.exists(name)
    assert CliRunner().invoke(app, command, catch_exceptions=False).output == "[]\n"
