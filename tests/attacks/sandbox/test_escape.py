"""Every attack of the hostile study, in every sandbox; with process limits alone it works, or the test is empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datasites.runner.sandbox.rlimits import ProcessLimits
from tests.attacks.sandbox import hostile

ATTACKS = [
    name
    for name, function in vars(hostile).items()
    if getattr(function, "__module__", "") == hostile.__name__ and name not in ("fit", "evaluate", "call", "talk")
]
# What the kernel, the machine or the user's missing rights may refuse even without a sandbox.
MAY_FAIL_ANYWAY = {
    "change_its_own_code",
    "change_the_libraries",
    "io_uring",
    "keyring",
    "list_home_folders",
    "message_queue",
    "mount_something",
    "new_user_namespace",
    "performance_counters",
    "read_the_kernel_log",
    "read_the_log_of_earlier_calls",  # never possible: it is not opened for any call
    "read_through_the_first_process",
    "resolve_a_name",
    "run_a_setuid_program",
    "type_into_a_terminal",
}
NEEDS_ROOT = {"change_a_kernel_setting", "make_a_device"}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack(attack, hospital, sandbox, name, record_property):
    before = _state(hospital.folder)
    hospital.heard()
    worked = attack(name)
    record_property("worked", worked)
    heard, after = hospital.heard(), _state(hospital.folder)
    if sandbox.name != ProcessLimits().name:
        assert not worked
        assert not heard
        assert after == before
    elif name not in MAY_FAIL_ANYWAY | (NEEDS_ROOT if os.geteuid() else set()):
        assert worked


@pytest.mark.parametrize("name", ["state.db", "peers.json", "other-4711/table.parquet"])
def test_no_file_of_the_hospital_can_be_read(attack, hospital, sandbox, name):
    assert attack("read_a_file", secret=str(hospital.folder / name)) == (sandbox.name == ProcessLimits().name)


def test_the_agents_own_memory_and_environment_cannot_be_read(attack, sandbox):
    for name in ("read_environment", "read_memory", "list_processes"):
        found = attack(name, victim=os.getpid())
        assert name == "read_environment" or found == (sandbox.name == ProcessLimits().name)


def _state(folder: Path) -> dict[str, tuple[float, int, int]]:
    """Time, mode and size of every file but logs and what is in the scratch."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".log"]
    found = [path for path in found if path.parent.name != "scratch"]
    return {str(path): (path.stat().st_mtime, path.stat().st_mode, path.stat().st_size) for path in found}
