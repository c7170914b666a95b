from __future__ import annotations

from pathlib import Path

import pytest

from datasites.agent import Agent
from datasites.datasite import Datasite
from datasites.runner.sandbox import bubblewrap, landlock
from datasites.runner.sandbox.bubblewrap import Bubblewrap
from datasites.runner.sandbox.choose import default_sandbox
from policies.errors import Unavailable


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Makes this a machine with or without bubblewrap and Landlock."""

    def make(*, has_bubblewrap: bool, has_landlock: bool) -> None:
        monkeypatch.setattr(bubblewrap, "problem", lambda: "" if has_bubblewrap else "No bubblewrap.")
        monkeypatch.setattr(landlock, "problem", lambda: "" if has_landlock else "No Landlock.")
        default_sandbox.cache_clear()

    yield make
    default_sandbox.cache_clear()


@pytest.mark.parametrize("private", [True, False])
def test_the_strongest_that_works_is_taken(machine, private):
    machine(has_bubblewrap=True, has_landlock=True)
    assert default_sandbox(private=private).name == "bubblewrap"
    machine(has_bubblewrap=False, has_landlock=True)
    assert default_sandbox(private=private).name == "Landlock"


def test_without_either_only_mock_data_is_run(machine):
    machine(has_bubblewrap=False, has_landlock=False)
    assert "Not limited" in default_sandbox(private=False).confines
    with pytest.raises(Unavailable, match=r"No bubblewrap\. No Landlock\."):
        default_sandbox(private=True)


def test_an_agent_that_cannot_confine_studies_does_not_serve(machine, tmp_path: Path):
    site = Datasite.create(tmp_path / "home", "do@north.org", f"file://{tmp_path}/store")
    machine(has_bubblewrap=False, has_landlock=False)
    with pytest.raises(Unavailable, match="cannot confine"):
        Agent(site.home, site.settings).serve()


def test_bubblewrap_that_is_missing_is_a_problem_in_words(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    bubblewrap.tried.cache_clear()
    assert bubblewrap.problem().startswith("bubblewrap is not installed. Install")
    bubblewrap.tried.cache_clear()


def test_bubblewrap_that_fails_is_a_problem_in_words(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    bubblewrap.tried.cache_clear()
    assert "No permissions to create new namespace" in bubblewrap.problem()
    bubblewrap.tried.cache_clear()


@pytest.mark.skipif(bool(bubblewrap.problem()), reason="no bubblewrap")
def test_where_the_host_name_cannot_be_changed_bubblewrap_works_and_says_so(monkeypatch, tmp_path):
    """As in a container: its filter of system calls refuses sethostname(2)."""
    stingy = tmp_path / "bwrap"
    refuses = "bwrap: Can't set hostname to study: Operation not permitted"
    stingy.write_text(
        f"""#!/bin/sh
case " $* " in *" --hostname "*) echo "{refuses}" >&2; exit 1;; esac
exec {bubblewrap.program()} "$@"
"""
    )
    stingy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    bubblewrap.tried.cache_clear()
    try:
        sandbox, why = bubblewrap.tried()
    finally:
        bubblewrap.tried.cache_clear()
    assert not why
    assert "host name" in sandbox.confines
    assert "host name" not in Bubblewrap().confines
