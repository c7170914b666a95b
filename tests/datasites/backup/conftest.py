from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.audit.heads import OwnHeads
from datasites.backup import stream
from datasites.datasite import Datasite
from datasites.state import now
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.store import Store
from tests.support.federation import DICTIONARY, POLICY, stays

PASSPHRASE = b"a passphrase for backups"
STUDY = "a" * 64


@dataclass
class Ward:
    """A datasite with a table, policies, a decision and some history, that has shown its log; no agent runs."""

    site: Datasite
    store: Store
    root: Path

    def happen(self, entries: int = 3) -> None:
        for _ in range(entries):
            self.site.state.audit.record(Kind.RUN_STARTED, study=STUDY, round=self.site.state.audit.size)

    def show(self) -> None:
        OwnHeads(self.site.identity, self.site.state.audit).publish(self.store)

    def approve(self, number: int = 1) -> None:
        decision = Decision(
            study=STUDY,
            hospital=self.site.settings.email,
            number=number,
            verdict="approved",
            rounds=3,
            expires_at=now().replace(year=2100),
            decided_at=now(),
        )
        self.site.state.record_decision(SignedDecision.sign(decision, self.site.identity))

    def backup(self, name: str = "ward.backup", **options: bool) -> Path:
        self.site.backup(self.root / name, PASSPHRASE, **options)
        return self.root / name


@pytest.fixture(autouse=True)
def _cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "COST", {**stream.COST, "n": 2**4})


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    table = tmp_path / "elsewhere" / "stays.csv"
    table.parent.mkdir()
    stays(1, 40).to_csv(table, index=False)
    address = f"file://{tmp_path}/store"
    site = Datasite.create(tmp_path / "home", "do@north.org", address, name="North")
    site.set_policy("stays", POLICY)
    site.publish(DICTIONARY, table)
    site.home.pseudonym_secret()
    (site.home.study(STUDY) / "study.log").write_text("a row of a patient")
    made = Ward(site, Store(address), tmp_path)
    made.approve()
    made.happen()
    made.show()
    yield made
    made.site.state.close()


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Datasite]]:
    sites: list[Datasite] = []

    def open_(home: Path) -> Datasite:
        sites.append(Datasite(home))
        return sites[-1]

    yield open_
    for site in sites:
        site.state.close()
