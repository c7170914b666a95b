"""`wardround report` and `wardround audit verify-report` on a command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites import cli
from tests.support.recorded import recorded

Wardround = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wardround:
    """Runs the command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardround", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = recorded(tmp_path_factory.mktemp("recorded"))
    site.state.close()
    return site.home.path


def test_a_studys_report_and_its_check(wardround: Wardround, home: Path, tmp_path: Path) -> None:
    code, out, _ = wardround("report", "demo", "--home", home, "--out", tmp_path / "out")
    assert (code, "All 12 checks held" in out) == (0, True)
    assert (tmp_path / "out" / "report.html").stat().st_mode & 0o077 == 0
    code, out, _ = wardround("audit", "verify-report", tmp_path / "out", "--json")
    assert (code, json.loads(out)["good"]) == (0, True)
    code, out, _ = wardround("report", "demo", "--home", home, "--out", tmp_path / "second", "--no-log", "--json")
    content = json.loads(out)
    assert (code, content["holds"]) == (0, True)
    assert sorted(content["files"]) == sorted(
        path.relative_to(tmp_path / "second").as_posix() for path in (tmp_path / "second").rglob("*") if path.is_file()
    )


def test_all_studies_of_a_period(wardround: Wardround, home: Path, tmp_path: Path) -> None:
    code, _, _ = wardround("report", "--home", home, "--out", tmp_path / "all", "--since", "2020-01-01")
    assert code == 0
    assert "from 2020-01-01 00:00 UTC until now" in (tmp_path / "all" / "report.html").read_text()


def test_mistakes_are_told_in_a_sentence(wardround: Wardround, home: Path, tmp_path: Path) -> None:
    (tmp_path / "said.toml").write_text("shoe_size = '44'")
    (tmp_path / "file").write_text("")
    for arguments, told in (
        (("demo", "--since", "2027-01-01"), "A study's record has no period."),
        (("--since", "soon"), "'soon' is not a date."),
        (("nothing",), "does not stand for one study"),
        (("demo", "--statements", tmp_path / "said.toml"), "nobody asks for 'shoe_size'"),
        (("demo", "--statements", tmp_path / "none.toml"), "Cannot read"),
        (("demo", "--out", "/proc/none/out"), "Cannot write to"),
    ):
        out = () if "--out" in arguments else ("--out", tmp_path / "out")
        code, _, err = wardround("report", *arguments, "--home", home, *out)
        assert code == 1
        assert told in err
        assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
