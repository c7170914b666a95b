"""Somebody at the hospital changes what is on record before its report is written; or somebody changes the report on
its way. Each succeeds in changing it, and the report, or its check, says so."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datasites import cli
from datasites.audit.heads import OwnHeads
from datasites.datasite import Datasite
from datasites.report.folder import report_study
from datasites.report.signed import SIGNED, sign_folder
from datasites.report.verify import verify_folder
from datasites.wire.decision import SignedDecision
from datasites.wire.identity import Identity
from datasites.wire.store import Store
from tests.attacks.audit.forge import copy, restore, rewrite
from tests.support.recorded import PURPOSE, answer, recorded
from tests.support.submissions import manifest

STUDY = manifest(purpose=PURPOSE)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    site = recorded(folder)
    site.state.close()
    return folder


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    """A copy, whose store is a copy too."""
    shutil.copytree(original, tmp_path / "copy", symlinks=True)
    settings = tmp_path / "copy" / "north" / "datasite.toml"
    settings.write_text(settings.read_text().replace(str(original), str(tmp_path / "copy")))
    return tmp_path / "copy" / "north"


def tampered(home: Path, statement: str, *values: object) -> None:
    """Gets around the database's own triggers, as who holds the disk can."""
    with closing(sqlite3.connect(home / "state.db")) as db, db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        assert db.execute(statement, values).rowcount


def flip_an_entry(home: Path) -> None:
    tampered(
        home, "UPDATE audit_entries SET entry = replace(entry, '\"bytes\":8', '\"bytes\":7') WHERE kind = 'released'"
    )


def damage_an_entry(home: Path) -> None:
    tampered(home, "UPDATE audit_entries SET entry = '[5]' WHERE number = 5")


def rewrite_the_whole_log(home: Path) -> None:
    def change(entries: list[dict[str, Any]]) -> None:
        for entry in entries:
            entry.update({"bytes": 1} if entry["kind"] == "released" else {})

    rewrite(home / "state.db", change)


def drop_an_entry(home: Path) -> None:
    tampered(home, "DELETE FROM audit_entries WHERE kind = 'run_failed'")


def drop_the_tree(home: Path) -> None:
    tampered(home, "DELETE FROM audit_nodes")


def change_the_decision(home: Path) -> None:
    tampered(home, "UPDATE decisions SET document = replace(document, '\"rounds\":3', '\"rounds\":9')")


def sign_another_decision(home: Path) -> None:
    """By somebody who holds the hospital's keys too."""
    with Datasite.opened(home) as site:
        (signed,) = site.state.decisions()
        other = signed.decision.model_copy(update={"reason": "The board insisted"})
        document = SignedDecision.sign(other, site.identity).model_dump_json()
    tampered(home, "UPDATE decisions SET document = ?", document)


def drop_the_decision(home: Path) -> None:
    tampered(home, "DELETE FROM decisions")


def roll_the_ledger_back(home: Path) -> None:
    tampered(home, "DELETE FROM ledger WHERE number > 2")


def change_the_ledger(home: Path) -> None:
    tampered(home, "UPDATE ledger SET events = replace(events, '0.05', '0.01'), plan = NULL")


def roll_everything_back(home: Path) -> None:
    """An older copy of the state, whose later history others have seen."""
    aside = copy(home / "state.db", home.parent / "older.db")
    with Datasite.opened(home) as site:
        site.revoke("demo", reason="It was wrong")
        OwnHeads(site.identity, site.state.audit).publish(Store(site.settings.store))
    restore(aside, home / "state.db")


def hide_a_round(home: Path) -> None:
    tampered(home, "DELETE FROM rounds WHERE number = 2")


def change_the_manifest(home: Path) -> None:
    file = home / "approved" / STUDY.digest / "manifest.json"
    file.write_bytes(file.read_bytes().replace(PURPOSE.encode(), b"Something else"))


def change_the_code(home: Path) -> None:
    file = home / "approved" / STUDY.digest / "code" / "study.py"
    file.write_bytes(file.read_bytes() + b"\nx = 1\n")


def exchange_the_excerpt(home: Path) -> None:
    tampered(home, "UPDATE excerpts SET document = replace(document, 'round 1', 'round 9')")


def run_without_approval(home: Path) -> None:
    """A hospital whose agent did not look."""
    with Datasite.opened(home) as site:
        site.revoke("demo", reason="Stop")
        answer(site, STUDY, 4, charged=False)


def run_too_often(home: Path) -> None:
    with Datasite.opened(home) as site:
        answer(site, STUDY, 4, charged=False)
        answer(site, STUDY, 5, charged=False)


def garble(path: str, value: object) -> Callable[[Path], None]:
    """Puts something into entries that no program wrote there."""

    def attack(home: Path) -> None:
        statement = "UPDATE audit_entries SET entry = json_set(entry, ?, ?) WHERE kind IN ('released', 'decided')"
        tampered(home, statement, path, value)

    attack.__name__ = f"garble{path}"
    return attack


def garble_the_approved_manifest(home: Path) -> None:
    (home / "approved" / STUDY.digest / "manifest.json").write_bytes(b"{")


def garble_a_held_note(home: Path) -> None:
    (note,) = (home / "held").glob("*.json")
    note.write_text('{"study": 1}')


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., int]:
    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["wardround", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert "Traceback" not in capsys.readouterr().err
        return int(ended.value.code or 0)

    return run


@pytest.mark.parametrize(
    ("attack", "told"),
    [
        (flip_an_entry, "was changed: it does not have its hash"),
        (damage_an_entry, "is damaged"),
        (rewrite_the_whole_log, "The audit log was rewritten: its first"),
        *((garble(f"$.{name}", "x"), "does not have its hash") for name in ("bytes", "round", "at")),
        (garble("$.expires_at", 5), "does not have its hash"),
        (garble("$.document", "x"), "the audit log did not record this decision"),
        (garble_the_approved_manifest, "is missing or damaged"),
        (garble_a_held_note, "their notes are damaged"),
        (drop_an_entry, "stands in its place"),
        (drop_the_tree, "it cannot be read as a whole"),
        (change_the_decision, "it is not signed by do@north.org: it was changed"),
        (sign_another_decision, "the audit log did not record this decision"),
        (drop_the_decision, "the audit log recorded it, but it is not here any more"),
        (roll_the_ledger_back, "The privacy ledger lacks"),
        (change_the_ledger, "of the privacy ledger is not what the audit log recorded"),
        (roll_everything_back, "The audit log was rolled back to"),
        (hide_a_round, "what is stored is not what the audit log recorded"),
        (change_the_manifest, "it has another digest"),
        (change_the_code, "study.py has other bytes than the manifest says"),
        (exchange_the_excerpt, "or not signed"),
        (run_without_approval, "round 4 left while the study was revoked"),
        (run_too_often, "round 5 left though only 3 rounds were approved"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_changed_record_says_so_at_its_top(
    home: Path, tmp_path: Path, wardround: Callable[..., int], attack: Callable[[Path], None], told: str
) -> None:
    attack(home)
    assert wardround("report", STUDY.digest[:16], "--home", home, "--out", tmp_path / "out") == 1
    top = (tmp_path / "out" / "report.html").read_text().split("<h2>", 2)[1]
    assert "THIS RECORD CANNOT BE TRUSTED AS IT STANDS" in top
    assert re.search(told, top)
    assert check_of(tmp_path / "out").endswith("FailedActionStatus")
    assert "does not hold" in (tmp_path / "out" / "assessment.html").read_text()
    assert not verify_folder(tmp_path / "out").good
    assert wardround("report", "--home", home, "--out", tmp_path / "all") == 1
    assert "CANNOT BE TRUSTED" in (tmp_path / "all" / "report.html").read_text().split("<h2>", 2)[1]


@pytest.mark.check
def test_an_untouched_record_holds(home: Path, tmp_path: Path, wardround: Callable[..., int]) -> None:
    assert wardround("report", "demo", "--home", home, "--out", tmp_path / "out") == 0
    assert "CANNOT BE TRUSTED" not in (tmp_path / "out" / "report.html").read_text()
    assert check_of(tmp_path / "out").endswith("CompletedActionStatus")
    assert verify_folder(tmp_path / "out").good


def check_of(folder: Path) -> str:
    """What the crate says of the record's check."""
    entities = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    (check,) = [one for one in entities if one["@id"] == "#check"]
    return str(check["actionStatus"])


@pytest.fixture(scope="module")
def honest(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("honest") / "out"
    with Datasite.opened(original / "north") as site:
        assert report_study(site, "demo", folder).wrong == []
    return folder


def exchange_the_page(folder: Path) -> None:
    page = folder / "report.html"
    page.write_text(page.read_text().replace("Length of stay", "Only the year"))


def exchange_the_crate(folder: Path) -> None:
    page = folder / "ro-crate-metadata.json"
    page.write_text(page.read_text().replace("approved", "denied"))


def leave_the_decision_out(folder: Path) -> None:
    (folder / "decisions" / "1.json").unlink()


def change_the_log(folder: Path) -> None:
    log = folder / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"bytes":8', b'"bytes":7'))


def add_a_page(folder: Path) -> None:
    (folder / "correction.html").write_text("It was all different.")


def leave_the_signature_out(folder: Path) -> None:
    (folder / SIGNED).unlink()


def sign_with_other_keys(folder: Path) -> None:
    """Under the hospital's own address; its keys in the folder are not exchanged."""
    mallory = Identity.create("do@north.org", folder.parent / "mallory.json")
    exchange_the_page(folder)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    sign_folder(mallory, folder, [name for name in files if name != SIGNED], True, STUDY.digest)


def exchange_the_keys(folder: Path) -> None:
    """And they are: the log is then another's."""
    mallory = Identity.create("do@north.org", folder.parent / "mallory.json")
    keys = {"email": mallory.email, "keys": mallory.public.document}
    (folder / "keys" / "hospital.json").write_text(json.dumps(keys))
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    sign_folder(mallory, folder, [name for name in files if name != SIGNED], True, STUDY.digest)


@pytest.mark.parametrize(
    "attack",
    [
        exchange_the_page,
        exchange_the_crate,
        leave_the_decision_out,
        change_the_log,
        add_a_page,
        leave_the_signature_out,
        sign_with_other_keys,
        exchange_the_keys,
    ],
)
def test_a_report_that_was_changed_on_its_way_is_found_out(
    honest: Path, tmp_path: Path, wardround: Callable[..., int], attack: Callable[[Path], None]
) -> None:
    shutil.copytree(honest, tmp_path / "out")
    assert wardround("audit", "verify-report", tmp_path / "out") == 0
    attack(tmp_path / "out")
    assert wardround("audit", "verify-report", tmp_path / "out") == 1


def test_a_folder_that_is_no_report_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wardround", "audit", "verify-report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert "is no report of a study" in " ".join(capsys.readouterr().err.split())
