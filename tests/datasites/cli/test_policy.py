from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites import cli
from datasites.approval.policy import PolicyBook
from datasites.datasite import Datasite
from policies.examples import NAMES, example, example_text

Wardround = Callable[..., tuple[int, str, str]]
STUDY = Path(__file__).parents[3] / "notebooks" / "readmission" / "study"


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Wardround:
    """Runs `wardround policy` in this process: (exit code, stdout, stderr) with line breaks as spaces."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardround", "policy", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), " ".join(said.out.split()), " ".join(said.err.split())

    return run


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "hostile"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "study.pyc").write_bytes(b"\0\xff")
    (folder / "study.py").write_text("import os\n\nos.system('[bold]x[/]')\n")
    return folder


def test_check_tells_whether_a_policy_can_be_used(wardround: Wardround, tmp_path: Path) -> None:
    code, out, _ = wardround("check", "standard")
    assert (code, "can be used" in out) == (0, True)
    (tmp_path / "wrong.toml").write_text(example_text("standard").replace("rounds = 100", "round = 100"))
    code, _, err = wardround("check", tmp_path / "wrong.toml")
    assert code == 1
    assert "[running] needs `rounds`." in err
    assert "did you mean `rounds`?" in err


@pytest.mark.parametrize("name", ["nobody", "/nowhere/x.toml"])
def test_check_without_a_policy(wardround: Wardround, name: str) -> None:
    code, _, err = wardround("check", name)
    assert code == 1
    assert name in err


def test_check_of_a_folder(wardround: Wardround, hostile: Path) -> None:
    assert wardround("check", "standard", "--study", STUDY)[:2] == (0, "The policy Standard allows the code.")
    code, out, _ = wardround("check", "standard", "--study", hostile)
    assert code == 3
    assert "study.py, line 3: os.system starts" in out
    code, out, _ = wardround("check", "standard", "--study", hostile, "--json")
    assert code == 3
    told = json.loads(out)
    assert not told["allowed"]
    assert {violation["rule"] for violation in told["violations"]} == {"imports", "calls"}


def test_check_of_what_is_no_study(wardround: Wardround, tmp_path: Path) -> None:
    code, _, err = wardround("check", "standard", "--study", tmp_path)
    assert code == 1
    assert "no study.py" in err


def test_check_of_a_submitted_study(wardround: Wardround, tmp_path: Path) -> None:
    Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store").state.close()
    code, _, err = wardround("check", "standard", "demo", "--home", tmp_path / "north")
    assert code == 1
    assert "no study 'demo'" in err
    assert wardround("check", "standard", "demo", "--study", STUDY)[0] == 1


def test_explain_reads_it_aloud(wardround: Wardround) -> None:
    code, out, _ = wardround("explain", "strict")
    assert code == 0
    assert "A table with fewer than 200 patients takes part in no study." in out
    code, out, _ = wardround("explain", "strict", "--json")
    assert json.loads(out)["digest"] == example("strict").digest


def test_examples_are_listed_printed_and_copied(wardround: Wardround, tmp_path: Path) -> None:
    _, out, _ = wardround("examples")
    assert all(name in out for name in NAMES)
    assert wardround("examples", "strict")[1] == " ".join(example_text("strict").split())
    target = tmp_path / "mine.toml"
    assert wardround("examples", "strict", "--write", target)[0] == 0
    assert target.read_text() == example_text("strict")
    assert wardround("examples", "teaching", "--write", target)[0] == 1
    assert target.read_text() == example_text("strict")
    assert wardround("examples", "teaching", "--write", tmp_path / "no" / "x.toml")[0] == 1


def test_set_applies_a_policy_to_a_table(wardround: Wardround, tmp_path: Path) -> None:
    site = Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store")
    site.state.close()
    code, out, _ = wardround("set", "stays", "strict", "--home", tmp_path / "north")
    assert (code, "'Strict'" in out) == (0, True)
    assert PolicyBook(site.home).get("stays") == example("strict")
    assert wardround("set", "stays", "strict", "--home", tmp_path / "south")[0] == 1
