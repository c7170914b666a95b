"""What was tried, against what, and whether it held: gathered from a run of the tests in this folder.

Every test here is one hostile attempt, named after what it tries. It is a *control* where it runs against something
else than ours (stock Syft, or a worker with process limits alone) to show that the attack is real, and a *check* where
it is marked so: honest use that must go on. All others are attempts on ours; the same attempt on several sandboxes is
one row.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
CONTROLS, OURS = {"stock": "stock Syft", "process limits": "process limits"}, ("bubblewrap", "Landlock")
_KIND = pytest.StashKey[str]()


@dataclass
class Row:
    """One attack. `against` maps what it was tried on to whether that held, `controls` what it was also made on to
    whether that went as it should; `works`: where it is known to have had its effect."""

    group: str
    words: str
    against: dict[str, bool] = field(default_factory=dict)
    works: set[str] = field(default_factory=set)
    controls: dict[str, bool] = field(default_factory=dict)
    skipped: str = ""

    @property
    def held(self) -> bool:
        return all(self.against.values())


class Reporter:
    """A pytest plugin."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.checks: dict[str, bool] = {}
        self.broken: list[str] = []
        self._items: dict[str, pytest.Item] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._items = {item.nodeid: item for item in session.items}

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.broken.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        item = self._items[report.nodeid]
        if report.when == "call" or not report.passed:
            self._note(item, report)

    def _note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        if item.get_closest_marker("check"):
            self.checks[item.nodeid] = self.checks.get(item.nodeid, True) and report.passed
            return
        target, words = target_of(item), words_of(item)
        row = self.rows.setdefault((group_of(item), words), Row(group_of(item), words))
        if report.skipped:
            row.skipped = _why(report)
        elif target in CONTROLS.values():
            row.controls[target] = row.controls.get(target, True) and report.passed
            if item.name.startswith("test_stock_syft_falls") or ("worked", True) in report.user_properties:
                row.works.add(target)
        else:
            row.against[target] = row.against.get(target, True) and report.passed

    # figures

    def result(self) -> dict[str, int]:
        """`tried`: distinct hostile attempts on ours; of these `held` and `leaked`. `controls`: attempts that were also
        made where they must work, `failed` those of them and of the checks of honest use that did not pass."""
        tried = [row for row in self.rows.values() if row.against]
        controls = [worked for row in self.rows.values() for worked in row.controls.values()]
        failed = controls.count(False) + list(self.checks.values()).count(False) + len(self.broken)
        return {
            "tried": len(tried),
            "held": sum(row.held for row in tried),
            "leaked": sum(not row.held for row in tried),
            "attempts": sum(len(row.against) for row in tried),
            "controls": len(controls),
            "checks": len(self.checks),
            "failed": failed,
            "not_tried": sum(bool(row.skipped and not row.against and not row.controls) for row in self.rows.values()),
        }

    def show(self, console: Console) -> None:
        table = Table("tried", "against", "control", "", title="Attacks", width=118, show_lines=False)
        group = ""
        for row in sorted(self.rows.values(), key=lambda row: (row.group, row.words)):
            if not row.against:
                continue
            if row.group != group:
                group = row.group
                table.add_section()
                table.add_row(f"[bold]{group}[/]")
            controls = ", ".join(_control(row, name) for name in row.controls)
            held = "[green]held[/]" if row.held else "[bold red]LEAKED[/]"
            table.add_row(row.words, ", ".join(row.against), controls, held)
        console.print(table)
        counts = Counter(row.group for row in self.rows.values() if row.against)
        console.print(", ".join(f"{group} {count}" for group, count in sorted(counts.items())))
        for name, passed in self.checks.items():
            if not passed:
                console.print(f"[red]honest use failed:[/] {name}")
        for name in self.broken:
            console.print(f"[red]could not be collected:[/] {name}")


def _control(row: Row, name: str) -> str:
    if not row.controls[name]:
        return f"[red]not as it should be on {name}[/]"
    return f"works on {name}" if name in row.works else f"also on {name}"


def group_of(item: pytest.Item) -> str:
    """The folder or file that the attack lies in."""
    parts = item.path.relative_to(HERE).with_suffix("").parts
    return ": ".join(part.removeprefix("test_").replace("_", " ") for part in parts)


def words_of(item: pytest.Item) -> str:
    """The test's name and parameters as words, without what it is tried on."""
    name = item.name.split("[")[0].removeprefix("test_")
    name = "" if name in ("attack", "ours_stands", "stock_syft_falls", "stock_syft_stands_too") else name
    rest = [str(part) for key, part in _named(item) if key not in ("ours", "sandbox")]
    text = " ".join([name, *rest]).replace("_", " ").replace("-", " ")
    return re.sub(r"\s+", " ", re.sub(r" (in|by) stock syft only", "", text)).strip()


def target_of(item: pytest.Item) -> str:
    """What the attempt is made on."""
    parameters: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    if "sandbox" in parameters:
        return str(parameters["sandbox"].name)
    if parameters.get("ours") is False or item.name.startswith("test_stock_syft"):
        return CONTROLS["stock"]
    return "ours"


def _named(item: pytest.Item) -> list[tuple[str, object]]:
    """Parameters as (name, id), as far as they can be told apart."""
    if not hasattr(item, "callspec"):
        return []
    spec = item.callspec
    if len(spec.params) == len(spec._idlist):
        return list(zip(spec.params, spec._idlist, strict=True))
    return [("", part) for part in spec._idlist if part not in ("stock", "ours", *OURS, *CONTROLS.values())]


def _why(report: pytest.TestReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
