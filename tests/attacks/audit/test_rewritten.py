"""A hospital's own insider, with its disk and its keys, rewrites the log. Those who have seen it before tell."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.heads import OwnHeads
from datasites.audit.verify import verify
from datasites.audit.witness import Witness as HospitalWitness
from datasites.audit.witness import witnessed
from datasites.state import State
from datasites.wire.home import Home
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from datasites.wire.witness import Verdict
from policies.errors import Refused
from researcher.witness import Witness
from tests.attacks.audit.forge import Change, copy, restore, rewrite

NORTH, SOUTH, ADA = "do@north.org", "do@south.org", "ada@uni.org"
CHANGES: dict[str, Change] = {
    "changed": lambda entries: entries[4].update(kind="refused"),
    "removed": lambda entries: entries.pop(4),
    "added": lambda entries: entries.insert(4, {"kind": "decided", "verdict": "approved", "study": "f" * 64}),
    "moved": lambda entries: entries.insert(2, entries.pop(6)),
    "cut": lambda entries: entries.__delitem__(slice(5, None)),
}


@dataclass
class Scene:
    """North's log was seen by south and ada at ten entries, who have written it down."""

    folder: Path
    store: Store
    north: Identity
    south: State
    south_identity: Identity
    south_witness: HospitalWitness
    ada: Witness

    @property
    def database(self) -> Path:
        return self.folder / "north.db"

    def grow(self, entries: int) -> None:
        state = State(self.database)
        for number in range(entries):
            state.audit.record(Kind.RUN_STARTED, study="a" * 64, round=number)
        state.close()

    def publish(self) -> None:
        state = State(self.database)
        try:
            OwnHeads(self.north, state.audit).publish(self.store)
        finally:
            state.close()

    def look(self) -> Verdict:
        self.south_witness.look()
        return self.ada.look(self.north.public).verdict

    def export(self) -> Path:
        state = State(self.database)
        export(self.north, state.audit, self.folder / "north.jsonl")
        state.close()
        return self.folder / "north.jsonl"

    def evidence(self) -> list[Path]:
        """What the two witnesses hand to a third party."""
        export(self.south_identity, self.south.audit, self.folder / "south.jsonl")
        return [self.folder / "south.jsonl", self.ada.path(NORTH)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store, south = Store(f"memory:///{uuid.uuid4().hex}"), State(tmp_path / "south.db")
    keys = {email: Identity.create(email, tmp_path / f"{email}.json") for email in (NORTH, SOUTH)}
    watching = HospitalWitness(SOUTH, south.audit, store, lambda email: keys[email].public)
    ada = Witness(ADA, Home(tmp_path / "ada"), store)
    made = Scene(tmp_path, store, keys[NORTH], south, keys[SOUTH], watching, ada)
    made.grow(10)
    made.publish()
    assert made.look() is Verdict.CONSISTENT
    yield made
    south.close()


@pytest.mark.check
def test_an_honest_log_that_goes_on(scene: Scene) -> None:
    scene.grow(5)
    scene.publish()
    assert scene.look() is Verdict.CONSISTENT
    report = verify(scene.export(), scene.evidence())
    assert report.good, report.findings
    assert [f.found for f in report.findings if f.what.startswith("seen by")] == [
        "2 heads agree, 0 are newer than this file",
        "2 heads agree, 0 are newer than this file",
    ]


@pytest.mark.parametrize("change", CHANGES)
def test_a_rewritten_log_verifies_alone_but_not_before_its_witnesses(scene: Scene, change: str) -> None:
    rewrite(scene.database, CHANGES[change])
    file = scene.export()
    assert verify(file, fingerprint=scene.north.public.fingerprint).good  # all signed anew, with the right key
    report = verify(file, scene.evidence())
    told = [f.found for f in report.findings if not f.good]
    assert len(told) == 2
    assert all(("WAS CUT" in one) == (change in ("removed", "cut")) for one in told), told
    scene.grow(10)
    told = [f.found for f in verify(scene.export(), scene.evidence()).findings if not f.good]
    assert [one[:21] for one in told] == ["THE LOG WAS REWRITTEN"] * 2


@pytest.mark.parametrize("change", CHANGES)
def test_the_agents_own_check_and_every_witness_catch_it(
    scene: Scene, change: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(scene.database, CHANGES[change])
    state = State(scene.database)
    with pytest.raises(Refused, match=r"The audit log was (rolled back|rewritten)"):
        OwnHeads(scene.north, state.audit).check(scene.store)
    state.close()
    with pytest.raises(Refused):
        scene.publish()
    monkeypatch.setattr(OwnHeads, "_check_witness", lambda *_: None)  # its agent was changed too
    scene.store.delete(*scene.store.names("participants/do@north.org/heads"))
    scene.grow(7)
    scene.publish()
    assert scene.look() is Verdict.UNPROVEN  # it has no proof to show from what they saw
    assert witnessed(scene.south.audit)[0].verdict is Verdict.UNPROVEN
    assert scene.south.audit.entries()[-1]["kind"] == "head_alarm"
    assert "does not prove" in caplog.text


def test_a_false_proof_is_signed_evidence(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(scene.database, CHANGES["changed"])
    scene.grow(7)
    monkeypatch.setattr(OwnHeads, "_check_witness", lambda *_: None)
    scene.publish()  # the size that others saw still lies in the store, and so it "proves" from there
    assert scene.look() is Verdict.REWRITTEN
    assert witnessed(scene.south.audit)[0].verdict is Verdict.REWRITTEN
    [against] = scene.ada.memory(NORTH).against
    assert against.verified(scene.north.public)
    told = [f.found for f in verify(scene.export(), scene.evidence()).findings if not f.good]
    assert [one[:21] for one in told] == ["THE LOG WAS REWRITTEN"] * 2


def test_an_older_state_put_back(scene: Scene) -> None:
    older = copy(scene.database, scene.folder / "older.db")
    scene.grow(5)
    scene.publish()
    scene.look()
    restore(older, scene.database)
    state = State(scene.database)
    with pytest.raises(Refused, match="rolled back to 10 entries: 15 were"):
        OwnHeads(scene.north, state.audit).check(scene.store)
    state.close()


def test_a_witness_who_lies_is_told_apart(scene: Scene, tmp_path: Path) -> None:
    memory = scene.ada.memory(NORTH)
    forged = memory.heads[0].model_copy(update={"head": memory.heads[0].head.model_copy(update={"root": "00" * 32})})
    lie = tmp_path / "lie.json"
    lie.write_text(memory.model_copy(update={"heads": (forged,)}).model_dump_json())
    report = verify(scene.export(), [lie])
    assert [f.found for f in report.findings if not f.good] == [f"its head of 10 entries is not signed by {NORTH}"]


@pytest.mark.check
def test_what_a_witness_saw_later_does_not_count_against_an_older_export(scene: Scene) -> None:
    file = scene.export()
    kept = file.rename(file.with_name("kept.jsonl"))
    time.sleep(1.1)  # heads and exports are signed to the second
    scene.grow(3)
    scene.publish()
    scene.look()
    report = verify(kept, scene.evidence())
    assert report.good, report.findings
    assert {f.found for f in report.findings if f.what.startswith("seen")} == {
        "1 heads agree, 1 are newer than this file"
    }
