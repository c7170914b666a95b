"""What `make attack` counts, on a folder of made-up attacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks import report
from tests.attacks.report import Reporter

MADE_UP = """
import pytest

class Box:
    def __init__(self, name):
        self.name = name

BOXES = [Box("process limits"), Box("bubblewrap"), Box("Landlock")]

@pytest.fixture(params=BOXES, ids=lambda box: box.name)
def sandbox(request):
    return request.param

@pytest.fixture(params=[False, True], ids=["stock", "ours"])
def ours(request):
    return request.param

@pytest.mark.parametrize("name", ["reads_a_file", "opens-a-socket"])
def test_attack(sandbox, name):
    assert sandbox.name != "Landlock" or name == "reads_a_file"

def test_swaps_keys(ours):
    pass

@pytest.mark.parametrize("attack", ["forges_a_sender"])
def test_stock_syft_falls(attack):
    pass

@pytest.mark.parametrize("attack", ["forges_a_sender"])
def test_ours_stands(attack):
    pass

def test_runs_out_of_road():
    pytest.skip("no road")

@pytest.mark.check
def test_honest_use():
    pass
"""


def test_it_counts_attempts_on_ours_apart_from_controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_made_up.py").write_text(MADE_UP)
    monkeypatch.setattr(report, "HERE", tmp_path)
    reporter = Reporter()
    options = ["-q", "-c", "/dev/null", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", "-W", "ignore"]
    assert pytest.main([str(tmp_path), *options], plugins=[reporter]) == 1
    assert reporter.result() == {
        "tried": 4,
        "held": 3,
        "leaked": 1,
        "attempts": 6,
        "controls": 4,
        "checks": 1,
        "failed": 0,
        "not_tried": 1,
    }
    assert {row.words for row in reporter.rows.values()} == {
        "reads a file",
        "opens a socket",
        "swaps keys",
        "forges a sender",
        "runs out of road",
    }
    [leaked] = [row for row in reporter.rows.values() if row.against and not row.held]
    assert leaked.against == {"bubblewrap": True, "Landlock": False}
