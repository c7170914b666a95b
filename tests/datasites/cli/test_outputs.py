"""What the owner sees of held results, and mistakes with logs, without an agent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites import cli
from datasites.datasite import Datasite
from datasites.release.held import hold
from datasites.wire.reasons import Reason

Wardround = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wardround(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Wardround:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        argv = ["wardround", "datasite", *map(str, arguments), "--home", str(tmp_path / "north")]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), " ".join(said.out.split()), " ".join(said.err.split())

    return run


@pytest.fixture
def site(tmp_path: Path) -> Datasite:
    made = Datasite.create(tmp_path / "north", "do@north.org", f"file://{tmp_path}/store")
    made.state.close()
    return made


def test_held_results_are_listed_counted_and_told_one_by_one(wardround: Wardround, site: Datasite) -> None:
    assert wardround("held")[1] == "No result was held back."
    why = ("array '[bold]rows[/]' is not in the contract",)
    one = hold(site.home.held, "ab" * 32, 3, "fit", b"rows", Reason.CONTRACT, why, "2026-01-01T00:00:00+00:00")
    code, out, _ = wardround("held")
    assert code == 0
    assert all(text in out for text in (one.name, "abababababab", "fit", "'[bold]rows[/]' is not in the contract"))
    [listed] = json.loads(wardround("held", "--json")[1])
    assert (listed["name"], listed["round"], listed["reason"], listed["why"]) == (one.name, 3, "contract", list(why))
    out = wardround("held", one.name)[1]
    assert "Round 3 of study" in out
    assert Reason.CONTRACT.text in out
    assert "1 results were held back" in wardround("status")[1]
    assert json.loads(wardround("status", "--json")[1])["held_outputs"] == 1
    assert site.held()["why"].tolist() == list(why)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("held", "nothing"), "No held output has the name 'nothing'"),
        (("log", "nothing"), "There is no study 'nothing' here"),
        (("release-log", "nothing", "--lines", "1-2"), "There is no study 'nothing' here"),
        (("release-log", "nothing", "--lines", "all"), "'all' are no lines"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    wardround: Wardround, site: Datasite, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = wardround(*arguments)
    assert code == 1
    assert said in err
    assert "Traceback" not in err
