"""The data owner's ten minutes, typed from the first command to the last. (The researcher's run with the notebooks.)"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
