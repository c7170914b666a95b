from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites import cli
from datasites.audit.entry import Kind
from datasites.datasite import Datasite

Wardround = Callable[..., tuple[int, str, str]]
STUDY = "ab" * 32


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wardround:
    """Runs `wardround audit` in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardround", "audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("audit")
    site = Datasite.create(root / "north", "do@north.org", f"file://{root}/store", name="North")
    site.state.audit.record(Kind.STUDY_RECEIVED, study=STUDY, name="readmission", researcher="ada@uni.org")
    for number in range(60):
        site.state.audit.record(Kind.RUN_STARTED, study=STUDY, round=number)
    site.state.audit.record(Kind.AGENT_STOPPED)
    site.state.close()
    return root / "north"


def test_show(wardround: Wardround, home: Path) -> None:
    code, out, _ = wardround("show", "--home", home)
    assert code == 0
    assert "agent_stopped" in out
    assert "created" not in out  # the newest fifty
    code, out, _ = wardround("show", "--home", home, "--json")
    entries = json.loads(out)
    assert [entry["number"] for entry in entries] == list(range(1, 64))
    assert entries[0]["kind"] == "created"
    assert len(json.loads(wardround("show", "--home", home, "--json", "--last", 2)[1])) == 2


@pytest.mark.parametrize("study", ["readmission", f"readmission-{STUDY[:12]}", STUDY[:8], STUDY])
def test_show_one_study(wardround: Wardround, home: Path, study: str) -> None:
    code, out, _ = wardround("show", "--home", home, "--study", study, "--json")
    assert code == 0
    assert {entry["study"] for entry in json.loads(out)} == {STUDY}


def test_show_a_study_that_is_not_there(wardround: Wardround, home: Path) -> None:
    code, _, err = wardround("show", "--home", home, "--study", "abc")
    assert (code, "Traceback" in err) == (1, False)
    assert "does not stand for one study" in err


def test_export_and_verify(wardround: Wardround, home: Path, tmp_path: Path) -> None:
    file, fingerprint = tmp_path / "north.jsonl", Datasite(home).fingerprint
    code, out, _ = wardround("export", file, "--home", home)
    assert (code, "63 entries written" in out) == (0, True)
    code, out, _ = wardround("verify", file, "--fingerprint", fingerprint)
    assert (code, "Everything fits." in out) == (0, True)
    code, out, _ = wardround("verify", file, "--with", file, "--json")
    content = json.loads(out)
    assert (code, content["good"], content["entries"]) == (0, True, 63)
    file.write_bytes(file.read_bytes().replace(b'"round":7', b'"round":8'))
    code, out, _ = wardround("verify", file)
    assert code == 1
    assert "entry 10 (line 11) was changed" in out
    assert "cannot be trusted" in out


def test_status_tells_of_a_hospital_that_rewrote_its_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    site = Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store")
    with site.state.audit.transaction() as db:
        db.execute("INSERT INTO audit_witnessed VALUES ('do@south.org', '{}', NULL, 'rewritten')")
    site.state.close()
    for extra in ((), ("--json",)):
        monkeypatch.setattr(sys, "argv", ["wardround", "datasite", "status", "--home", str(site.home.path), *extra])
        with pytest.raises(SystemExit):
            cli.main()
    text, _, document = capsys.readouterr().out.partition("{")
    assert "audit log of do@south.org: rewritten" in text
    assert json.loads("{" + document)["audit"] == {"entries": 1, "witnessed": {"do@south.org": "rewritten"}}


def test_mistakes_are_told_in_a_sentence(wardround: Wardround, home: Path, tmp_path: Path) -> None:
    for arguments in (
        ("verify", tmp_path / "none"),
        ("export", tmp_path / "none" / "file", "--home", home),
        ("show", "--home", tmp_path),
    ):
        code, _, err = wardround(*arguments)
        assert code == 1
        assert err.startswith("Error: ")
        assert "Traceback" not in err
