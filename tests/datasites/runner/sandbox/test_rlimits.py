"""The limits as the study's code meets them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from datasites.runner.limits import Limits
from datasites.runner.sandbox.rlimits import ProcessLimits

REPORT = """
    import ctypes, os, resource
    def limit(kind):
        return list(resource.getrlimit(kind))
    def fit(parameters, table, config):
        kinds = [resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE]
        no_new_privileges = ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)
        return {"limits": np.array([limit(kind) for kind in kinds])}, 1, {"no_new_privileges": no_new_privileges}
    def evaluate(parameters, table, config):
        try:
            with open("big", "wb") as big:
                big.write(bytes(200_000))
        except OSError:
            pass
        return 1, {"bytes": os.path.getsize("big")}
"""


def test_limits_hold_for_good_and_in_the_studys_process(start):
    worker = start(REPORT, memory_bytes=2**31, file_bytes=100_000)
    outcome = worker.call("fit", {}, {})
    assert outcome.parameters["limits"].tolist() == [[2**31] * 2, [100_000] * 2, [0, 0], [256, 256]]
    assert outcome.metrics["no_new_privileges"] == 1
    assert worker.call("evaluate", {}, {}).metrics["bytes"] <= 100_000


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become a user whom RLIMIT_NPROC binds")
def test_process_limit_counts_what_the_user_already_runs():
    script = """if True:
        import os, subprocess, sys
        from datasites.runner.limits import Limits
        from datasites.runner.sandbox.rlimits import apply
        os.setuid(54321)
        before = [subprocess.Popen(["sleep", "60"]) for _ in range(5)]
        apply(Limits(processes=3))
        after = []
        try:
            for _ in range(10):
                after.append(subprocess.Popen(["sleep", "60"]))
        except BlockingIOError:
            print(len(after))
        for process in before + after:
            process.kill()
            process.wait()
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"


def test_command_is_unchanged_and_the_words_say_what_is_not_confined(tmp_path):
    sandbox = ProcessLimits()
    assert sandbox.command(["python", "x"], [tmp_path], tmp_path, Limits()) == ["python", "x"]
    assert "Not limited" in sandbox.confines
    assert "network" in sandbox.confines
