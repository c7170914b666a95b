from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datasites.cli import app
from datasites.runner.sandbox import bubblewrap, landlock
from datasites.runner.sandbox.choose import default_sandbox


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch):
    """A machine with neither bubblewrap nor Landlock."""
    monkeypatch.setattr(bubblewrap, "problem", lambda: "bubblewrap is not installed.")
    monkeypatch.setattr(landlock, "problem", lambda: "This kernel has no Landlock.")
    default_sandbox.cache_clear()
    yield
    default_sandbox.cache_clear()


def test_a_machine_with_a_sandbox_is_fit(tmp_path: Path) -> None:
    sandbox = default_sandbox(private=True).name
    shown = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path)], env={"COLUMNS": "120"})
    assert shown.exit_code == 0
    assert sandbox in shown.stdout
    said = json.loads(CliRunner().invoke(app, ["doctor", "--json", "--home", str(tmp_path / "not yet")]).stdout)
    assert said["private_data"] is True
    found = {one["what"]: one for one in said["findings"]}
    assert found["sandbox"]["found"].startswith(sandbox)
    assert {"bubblewrap", "user namespaces", "Landlock", "memory", "disk", "Python"} <= found.keys()


@pytest.mark.usefixtures("bare_machine")
def test_a_machine_without_one_is_not(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["doctor", "--json", "--home", str(tmp_path)])
    assert shown.exit_code == 1
    said = json.loads(shown.stdout)
    assert said["private_data"] is False
    assert "not installed" in said["findings"][0]["found"]
