from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites import cli
from datasites.approval.policy import PolicyBook
from datasites.datasite import Datasite
from datasites.ledger.rows import Charge
from policies.examples import example_text
from policies.privacy import Plan, SampledGaussian, gate_noise

Wardround = Callable[..., tuple[int, str, str]]
STUDY = "ab" * 32


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A datasite that has one table, of the policy `strict`, and two studies on it."""
    site = Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store")
    site.home.datasets.mkdir()
    (site.home.datasets / "readmissions.json").write_text("{}")
    PolicyBook(site.home).put("readmissions", example_text("strict"))
    limits = PolicyBook(site.home).get("readmissions").budget
    plan = Plan(2, (SampledGaussian(9.0, 0.05, 20),))
    first = Charge("readmissions", STUDY, "ada@uni.org", 1, "digest", plan.per_round, plan.events)
    site.state.ledger.commit(site.state.ledger.reserve(first, limits))
    site.state.ledger.reserve(Charge("readmissions", "c" * 64, "b<ob@uni.org", 1, "d", (gate_noise(40.0),)), limits)
    site.state.close()
    return tmp_path / "north"


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path) -> Wardround:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["wardround", "budget", *map(str, arguments), "--home", str(home)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), " ".join(said.out.split()), " ".join(said.err.split())

    return run


def test_show(wardround: Wardround) -> None:
    code, out, _ = wardround("show")
    assert code == 0
    assert "Privacy budget of readmissions (delta 1e-07)" in out
    for who in ("all studies", "ada@uni.org", "b<ob@uni.org", "study abababababab", "no limit"):
        assert who in out
    told = json.loads(wardround("show", "readmissions", "--json")[1])["spends"]
    assert [one["kind"] for one in told] == ["total", "researcher", "researcher", "study", "study"]
    total, studies = told[0], [one for one in told if one["kind"] == "study"]
    assert total["limit"] == 3
    assert 0 < total["epsilon"] < sum(one["epsilon"] for one in studies)
    assert total["left"] == pytest.approx(3 - total["counted"])
    assert [one["counted"] == one["epsilon"] for one in studies] == [True, False]  # the first has a plan


def test_history(wardround: Wardround) -> None:
    _, out, _ = wardround("history")
    assert "20 training steps, each of 5% of the patients, noise 9, by patient" in out
    assert "1 Gaussian releases, noise 20, by hospital" in out
    told = json.loads(wardround("history", "--json")[1])
    assert [(one["study"], one["round"], one["state"]) for one in told] == [
        (STUDY, 1, "committed"),
        ("c" * 64, 1, "reserved"),
    ]


def test_what_if(wardround: Wardround, home: Path) -> None:
    told = json.loads(wardround("what-if", "--rounds", 4, "--noise", 6, "--json")[1])
    assert told["together"] > told["epsilon"] > 0
    _, out, _ = wardround("what-if", "--rounds", 4, "--epsilon", told["epsilon"])
    assert "and noise multiplier 6" in out
    assert (home / "noise.json").exists()
    code, _, err = wardround("what-if")
    assert code == 1
    assert "either a noise multiplier or a target epsilon" in err


def test_tables_that_are_not_there(wardround: Wardround, home: Path) -> None:
    assert wardround("show", "other")[0] == 1
    assert "There are: readmissions" in wardround("show", "other")[2]
    (home / "datasets" / "second.json").write_text("{}")
    code, _, err = wardround("show")
    assert (code, "Name one of: readmissions, second" in err) == (1, True)
    (home / "policies" / "second.toml").write_text(
        example_text("strict").replace('["private"]', '["reviewed"]').partition("[budget]")[0]
    )
    assert "has no privacy budget" in wardround("show", "second")[1]
    assert wardround("what-if", "second", "--noise", 1)[0] == 1
    assert json.loads(wardround("show", "second", "--json")[1])["delta"] is None


def test_in_the_notebook(home: Path) -> None:
    with Datasite.opened(home) as site:
        budget = site.budget("readmissions")
        shown = budget._repr_html_()
        assert len(budget.history) == 2
    assert "b&lt;ob@uni.org" in shown
    assert "b<ob" not in shown
    assert shown.count("<svg") == 3  # the strict policy has no limit for a researcher
    assert "currentColor" in shown
    assert "% used" in shown
