from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from datasites.cli import app
from datasites.datasite import Datasite
from datasites.runner.sandbox import bubblewrap, landlock
from datasites.runner.sandbox.choose import default_sandbox
from datasites.settings import FILE
from tests.support.slurm import StandIn


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


@pytest.mark.usefixtures("bare_machine")
def test_where_studies_run_on_a_cluster_it_is_the_cluster_that_decides(tmp_path: Path, monkeypatch) -> None:
    cluster = StandIn(tmp_path, monkeypatch)
    home = Datasite.create(tmp_path / "home", "do@north.org", f"file://{tmp_path}/store").home.path
    text = (home / FILE).read_text()
    (home / FILE).write_text(f'executor = "slurm"\n{text}\n[slurm]\nshared = "{cluster.shared}"\n')

    def said() -> tuple[bool, dict[str, dict[str, str]]]:
        told = json.loads(CliRunner().invoke(app, ["doctor", "--json", "--home", str(home)]).stdout)
        return told["private_data"], {one["what"]: one for one in told["findings"]}

    usable, findings = said()
    assert usable
    assert "it would take a job" in findings["executor"]["found"]
    cluster.refuse("Invalid partition name specified")
    usable, findings = said()
    assert not usable
    assert (
        findings["executor"]["found"]
        == "Slurm takes no such job: Unable to allocate resources: Invalid partition name specified."
    )
    assert findings["executor"]["mend"] == "Correct [slurm]."
