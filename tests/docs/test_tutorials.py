"""The data owner's ten minutes, typed from the first command to the last. (The researcher's run with the notebooks.)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import ROOT
from tests.support.tutorials import OWNER, steps, walk_as_owner


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_minutes_as_a_data_owner(tmp_path: Path) -> None:
    walk = walk_as_owner(tmp_path)
    assert [(one.command, one.shown) for one in walk.typed if one.status] == []
    assert "yes" in walk.of("wardround doctor").shown.split("sandbox")[0]
    fingerprint = r"((?:[0-9a-f]{4} ){7}[0-9a-f]{4})"
    assert re.search(fingerprint, walk.of("wardround datasite init").shown)
    assert "ada@university.example.org" in walk.of("wardround datasite requests").shown
    shown, read = walk.of("wardround datasite trust").shown, walk.visitor
    assert re.findall(f"shows the fingerprint {fingerprint}", shown) == re.findall(
        f"fingerprint is {fingerprint}", read
    )
    shown = " ".join(walk.of("wardround datasite show").shown.split())
    assert "no differential-privacy guarantee" in shown
    table = walk.visitor.partition("federated_auc")[2].splitlines()
    assert [line.split()[1] for line in table if re.match(r"\d+ +\d", line)] == ["0", "1", "2", "3", "4", "5"]
    assert "5 of 5" in walk.of("wardround datasite status").shown
    assert "Everything fits." in walk.of("wardround audit verify").shown
    assert len(walk.typed) > 20
    assert {step.kind for step in steps(OWNER)} == {"", "python"}


def test_the_readme_names_no_command_that_nothing_types() -> None:
    """Its blocks name a store and files that only a hospital has, so they cannot be typed as they stand."""
    operator = (ROOT / "notebooks" / "operator.ipynb").read_text()
    typed = {_name(line) for step in steps(OWNER) for line in step.text.splitlines()}
    typed |= {_name(line) for line in re.findall(r"wardround [a-z -]+", operator)}
    elsewhere = {  # with the test that types it
        "datasite deny": "tests/datasites/cli/test_cli.py",
        "policy examples": "tests/datasites/cli/test_policy.py",
    }
    owners = [step.text for step in steps(ROOT / "README.md") if "wardround datasite" in step.text]
    asked = {_name(line) for text in owners for line in text.splitlines()} - {""}
    assert {"datasite init", "datasite requests", "audit show"} <= asked
    assert asked - typed - elsewhere.keys() == set()


def _name(line: str) -> str:
    """`wardround datasite init --email ...` is "datasite init"."""
    found = re.match(r"(?:wardround )(doctor|review|report|metrics|(?:[a-z]+ [a-z-]+))", line)
    return found[1] if found else ""
