"""Log lines of a real process in which something goes wrong with a row in hand."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from datasites.monitoring.logs import named
from policies.errors import InvalidInput

ROW = "8675309"
# pandas quotes a cell in its own exception; the rest are ways in which Python would print it
PROGRAM = """
import logging, sys, threading
import pandas as pd
from datasites.monitoring import logs
logs.configure(sys.argv[1], logging.INFO)
log = logging.getLogger("datasites.test")

def breaks():
    pd.Series(["patient 8675309"]).astype(float)

log.info("study %s is open for rounds", "name\\nwith a second line\\u2028 and\\x1b[2J")
try:
    breaks()
except ValueError as error:
    error.add_note("8675309")
    try:
        raise RuntimeError("8675309") from error
    except RuntimeError:
        log.exception("the sync failed", stack_info=True)
thread = threading.Thread(target=breaks, name="study-1")
thread.start()
thread.join()

class Breaks:
    def __del__(self):
        breaks()

Breaks()
breaks()
"""


def lines(form: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM, form], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    return done.stderr


def test_json_has_one_object_a_line_and_no_row() -> None:
    said = lines("json")
    assert ROW not in said
    found = [json.loads(line) for line in said.splitlines()]
    assert [one["level"] for one in found] == ["info", "error", "critical", "critical", "critical"]
    assert found[0]["event"] == "study %s is open for rounds"
    assert "second line" in found[0]["message"]
    assert "\x1b" not in said
    assert found[1]["exception"] == "builtins.RuntimeError"
    assert "from builtins.ValueError" in found[1]["places"]
    assert any("in breaks" in place for place in found[1]["places"])
    assert found[2]["exception"] == found[4]["exception"] == "builtins.ValueError"
    assert found[2]["thread"] == "study-1"


def test_lines_for_people_have_no_row_either() -> None:
    said = lines("text")
    assert ROW not in said
    assert "in breaks" in said
    assert "builtins.ValueError" in said


def test_a_format_that_is_none_is_told() -> None:
    with pytest.raises(InvalidInput, match="text or json"):
        named("yaml")
