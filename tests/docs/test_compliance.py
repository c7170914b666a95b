"""docs/compliance.md says what the program says."""

from __future__ import annotations

from pathlib import Path

from datasites.report.safeguards import GDPR, HIPAA
from datasites.report.statements import ASKED

PAGE = (Path(__file__).parents[2] / "docs" / "compliance.md").read_text()


def test_its_maps_are_those_of_the_report() -> None:
    told = [
        line for line in PAGE.splitlines() if line.startswith(("| 164.", "| 5(", "| 25(", "| 30(", "| 32(", "| 35("))
    ]
    assert told == [f"| {p.where} | {p.about} | {p.does} | {p.see} | {p.people} |" for p in (*HIPAA, *GDPR)]


def test_it_names_everything_that_people_may_state() -> None:
    told = [line for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 5]
    asked = [f"| `{name}` | {one.what} | {one.who} | {one.where} |" for name, one in ASKED.items()]
    assert [line for line in told if line in asked] == asked
    assert len([line for line in told if "/`" not in line and "." not in line.split("`")[1]]) == len(asked)


def test_every_provision_says_what_people_must_do() -> None:
    assert all(one.people and one.does for one in (*HIPAA, *GDPR))
    for number in ("164.308", "164.310", "164.312"):
        assert any(one.where.startswith(number) for one in HIPAA)
    for number in ("5(", "25(", "30(", "32(", "35("):
        assert any(one.where.startswith(number) for one in GDPR)
