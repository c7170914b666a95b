"""`wardround metrics` and `wardround drift`, as a timer or a data owner calls them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites import cli
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.datasite import Datasite
from datasites.wire.dictionary import Dictionary
from tests.support.federation import DICTIONARY, POLICY, stays

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


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A datasite with a published table and no agent."""
    stays(1, 400).to_csv(tmp_path / "stays.csv", index=False)
    with Datasite.opened(Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/s").home.path) as site:
        source = TableSource(path=tmp_path / "stays.csv")
        Registry(site.home.datasets).add(RegisteredTable(source, Dictionary.load(DICTIONARY)))
        site.set_policy("stays", POLICY)
        return site.home.path


def test_metrics_are_printed_or_written_for_another_user(wardround: Wardround, home: Path, tmp_path: Path) -> None:
    code, out, _ = wardround("metrics", "--home", home)
    assert code == 0
    assert "wardround_agent_serving 0.0\n" in out
    target = tmp_path / "wardround.prom"
    assert wardround("metrics", "--home", home, "--output", target)[:2] == (0, "")
    assert "wardround_audit_head_agrees 1.0\n" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.glob("*.prom*")] == [target.name]


def test_drift_is_shown_and_as_json(wardround: Wardround, home: Path, tmp_path: Path) -> None:
    newer = stays(2, 400)
    newer["days"] = newer["days"].clip(lower=60)
    newer.to_csv(tmp_path / "newer.csv", index=False)
    code, out, _ = wardround("drift", "stays", "--newer", tmp_path / "newer.csv", "--home", home)
    assert code == 0
    assert "2 of 3 columns drifted" in out  # site is 2 now
    assert "above" in out
    code, out, _ = wardround("drift", "stays", "--newer", tmp_path / "newer.csv", "--home", home, "--json")
    states = {one["column"]: one["state"] for one in json.loads(out)["columns"]}
    assert states == {"site": "drifted", "days": "drifted", "readmitted": "steady"}
    same = tmp_path / "stays.csv"
    code, out, _ = wardround("drift", "stays", "--newer", same, "--reference", tmp_path / "newer.csv", "--home", home)
    assert "2 of 3 columns drifted" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("drift", "stays", "--home", "HOME"), "A table comes from one place"),
        (("drift", "nothing", "--newer", "TABLE", "--home", "HOME"), "No table 'nothing' is published here"),
        (("drift", "../state", "--newer", "TABLE", "--home", "HOME"), "table"),
        (("drift", "stays", "--newer", "NEW.csv", "--home", "HOME"), "There is no file"),
        (("drift", "stays", "--newer", "TABLE", "--psi", "-1", "--home", "HOME"), "must be above 0"),
        (("metrics", "--home", "NEW"), "There is no datasite in"),
        (("metrics", "--home", "HOME", "--output", "HOME/datasite.toml/x"), "Cannot write"),
        (("datasite", "serve", "--home", "HOME", "--metrics", "0.0.0.0:1"), "other machines could reach it"),
        (("datasite", "serve", "--home", "HOME", "--log-format", "xml"), "text or json"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    wardround: Wardround, home: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    places = {"HOME": str(home), "TABLE": str(tmp_path / "stays.csv"), "NEW": str(tmp_path / "new")}
    given = [places.get(one, one.replace("HOME/", f"{home}/")) for one in arguments]
    code, _, err = wardround(*given)
    assert code == 1
    assert said in " ".join(err.split())
    assert "Traceback" not in err
