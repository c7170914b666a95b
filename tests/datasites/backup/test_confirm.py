from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datasites.agent import Agent
from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.heads import LogMismatch, OwnHeads
from datasites.audit.verify import verify
from datasites.audit.witness import Witness, witnessed
from datasites.backup.put_back import put_back
from datasites.datasite import Datasite
from datasites.ledger.errors import BudgetExceeded
from datasites.onboarding.checks import datasite_findings
from datasites.state import State
from datasites.wire import heads, keys, successions
from datasites.wire.identity import Identity
from datasites.wire.witness import Verdict
from policies.errors import InvalidInput, Refused
from tests.datasites.backup.conftest import PASSPHRASE, STUDY, Ward
from tests.datasites.ledger.conftest import BUDGET, charge

SOUTH = "do@south.org"


class Neighbour:
    """Another hospital, which watches the ward's log."""

    def __init__(self, ward: Ward, folder: Path) -> None:
        self.identity = Identity.create(SOUTH, folder / "south.json")
        self.state = State(folder / "south.db")
        public = ward.site.identity.public
        self._witness = Witness(SOUTH, self.state.audit, ward.store, lambda _: public)

    def look(self) -> Verdict:
        self._witness.look()
        return witnessed(self.state.audit)[0].verdict


@pytest.fixture
def neighbour(ward: Ward, tmp_path: Path) -> Iterator[Neighbour]:
    made = Neighbour(ward, tmp_path)
    assert made.look() is Verdict.CONSISTENT
    yield made
    made.state.close()


@pytest.fixture
def put(ward: Ward) -> Iterator[Callable[[], Ward]]:
    """Makes the ward's backup, and then, on each call, the datasite that is restored from it in the ward's place."""
    file = ward.backup()
    places: list[Datasite] = []

    def restore() -> Ward:
        home = ward.root / uuid.uuid4().hex
        put_back(file, home, PASSPHRASE)
        places.append(Datasite(home))
        return Ward(places[-1], ward.store, ward.root)

    yield restore
    for site in places:
        site.state.close()


def kinds(ward: Ward) -> list[str]:
    return [entry["kind"] for entry in ward.site.state.audit.entries()]


def go_on(ward: Ward) -> None:
    ward.site.confirm_restore(ward.site.look_outside())


def test_a_restored_datasite_does_not_serve_before_its_owner_has_decided(ward: Ward, put: Callable[[], Ward]) -> None:
    back = put().site
    with pytest.raises(Refused, match="comes from a backup"):
        Agent(back.home, back.settings).serve()
    assert [one.mend for one in datasite_findings(back.home.path) if one.ok is False] == [
        "wardround datasite confirm-restore"
    ]
    back.home.restored.write_text("damaged")
    with pytest.raises(Refused, match="comes from a backup"):
        Agent(back.home, back.settings).serve()


def test_where_nobody_has_seen_more_all_goes_on(ward: Ward, put: Callable[[], Ward], neighbour: Neighbour) -> None:
    back = put()
    seen = back.site.look_outside()
    assert not seen.newer
    back.site.confirm_restore(seen)
    assert kinds(back)[-1] == Kind.RESTORED
    assert back.site.state.decision(STUDY).decision.verdict == "approved"
    assert not back.site.state.ledger.closed("stays")
    back.show()
    assert neighbour.look() is Verdict.CONSISTENT
    assert not back.site.home.restored.exists()


def test_what_others_have_seen_since_is_owned_up_to_and_paid_for(
    ward: Ward, put: Callable[[], Ward], neighbour: Neighbour, tmp_path: Path
) -> None:
    kept = ward.site.state.audit.size
    ward.happen(5)
    ward.show()
    neighbour.look()
    export(ward.site.identity, ward.site.state.audit, tmp_path / "before")
    back = put()
    seen = back.site.look_outside()
    assert (seen.kept, seen.lost.head.size) == (kept, kept + 5)
    assert set(seen.holders) == {"do@north.org", SOUTH}
    with pytest.raises(LogMismatch, match="rolled back"):
        OwnHeads(back.site.identity, back.site.state.audit).check(back.store)
    back.site.confirm_restore(seen)

    OwnHeads(back.site.identity, back.site.state.audit).check(back.store)
    assert back.site.state.decision(STUDY).decision.verdict == "revoked"
    with pytest.raises(BudgetExceeded, match="is closed"):
        back.site.state.ledger.reserve(charge(dataset="stays"), BUDGET)
    with pytest.raises(BudgetExceeded, match="is closed"):  # of which the backup knows nothing
        back.site.state.ledger.reserve(charge(dataset="published_since"), BUDGET)
    back.site.reopen_budget("stays")
    assert back.site.state.ledger.reserve(charge(dataset="stays"), BUDGET)
    assert back.site.state.ledger.closed("published_since")
    with pytest.raises(InvalidInput, match="not closed"):
        back.site.reopen_budget("stays")

    back.show()
    assert neighbour.look() is Verdict.RESTORED
    back.happen(9)
    back.show()
    assert neighbour.look() is Verdict.RESTORED, "it stays known"
    alarms = [e for e in neighbour.state.audit.entries() if e["kind"] == Kind.HEAD_ALARM]
    assert [(alarm["verdict"], alarm["size"]) for alarm in alarms] == [("restored", kept + 5)]

    # whoever reads an export is told, and nothing else in it is wrong
    export(back.site.identity, back.site.state.audit, tmp_path / "after")
    export(neighbour.identity, neighbour.state.audit, tmp_path / "south")
    report = verify(tmp_path / "after", [tmp_path / "south"], ward.site.fingerprint)
    assert report.good, report.findings
    assert f"ENTRIES {kept + 1} TO {kept + 5} OF BEFORE" in " ".join(one.found for one in report.findings)
    assert "of what the hospital says it lost" in report.findings[-1].found


def test_the_store_cannot_make_a_restored_log_look_rewritten(
    ward: Ward, put: Callable[[], Ward], neighbour: Neighbour
) -> None:
    ward.happen(30)
    ward.show()
    neighbour.look()
    box = heads.box("do@north.org")
    lost = {name: ward.store.get(name) for name in ward.store.names(box)}
    back = put()
    go_on(back)
    back.show()
    for name, content in lost.items():  # what was deleted is shown again
        if not ward.store.exists(name):
            ward.store.put(name, content)
    OwnHeads(back.site.identity, back.site.state.audit).check(back.store)
    assert neighbour.look() is Verdict.RESTORED
    assert neighbour.look() is Verdict.RESTORED


def test_a_gap_excuses_nothing_but_what_it_says(ward: Ward, put: Callable[[], Ward], neighbour: Neighbour) -> None:
    ward.happen(5)
    ward.show()
    back = put()
    go_on(back)
    ward.happen(5)  # the old one was not gone after all, and goes on
    ward.show()
    neighbour.look()
    with pytest.raises(LogMismatch, match=f"seen by {SOUTH}"):
        back.show()
    ward.store.delete(heads.witnessed_key(SOUTH, "do@north.org"))  # whoever has the store helps
    back.show()
    assert neighbour.look() is Verdict.REWRITTEN


def test_a_folder_that_was_copied_back_is_held_to_what_both_have_in_common(ward: Ward, put: Callable[[], Ward]) -> None:
    back = put()
    back.site.home.restored.unlink()
    ward.happen(1)
    ward.show()
    back.happen(3)
    seen = back.site.look_outside()
    assert (seen.kept, seen.lost.head.size) == (ward.site.state.audit.size - 1, ward.site.state.audit.size)
    OwnHeads(back.site.identity, back.site.state.audit).sign()  # it has signed a history of its own
    with pytest.raises(Refused, match="but another one"):
        back.site.look_outside()


def test_answers_in_the_store_that_the_backup_does_not_know_count_as_a_gap(ward: Ward, put: Callable[[], Ward]) -> None:
    ward.store.put(keys.round_up(STUDY, 7, "do@north.org"), b"sealed")
    ward.store.put(keys.round_up(STUDY, 9, "do@other.org"), b"sealed")
    back = put()
    seen = back.site.look_outside()
    assert seen.rounds == {STUDY: 7}
    back.site.confirm_restore(seen)
    assert back.site.state.ledger.closed("stays")
    assert back.site.state.decision(STUDY).decision.verdict == "revoked"


def test_keys_that_were_replaced_since_are_not_used_again(ward: Ward, put: Callable[[], Ward]) -> None:
    ward.site.rotate_keys()
    back = put()
    with pytest.raises(successions.KeysForked, match="introduces keys that are not here"):
        back.site.look_outside()
