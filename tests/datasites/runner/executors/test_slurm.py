"""Real workers, through a program that stands in for `srun`: no Slurm cluster was ever reached from here."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datasites.runner.errors import Code, NotStarted, WorkerFailed
from datasites.runner.executors import relay, staging
from datasites.runner.executors import slurm as slurm_module
from datasites.runner.executors.base import Launch, Stop
from datasites.runner.executors.options import SlurmOptions
from datasites.runner.executors.slurm import Slurm
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from tests.support.federation import wait_for
from tests.support.slurm import StandIn
from tests.support.workers import ReadWorker

DATASITE = "do@north.org"
COUNTS = "def evaluate(parameters, table, config): return len(table), {}"
Begin = Callable[..., ReadWorker]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return StandIn(tmp_path, monkeypatch)


@pytest.fixture
def slurm(cluster: StandIn) -> Slurm:
    return Slurm(SlurmOptions(shared=cluster.shared, partition="ward", queue_seconds=60), DATASITE)


@pytest.fixture
def launch(tmp_path: Path, table: Path) -> Launch:
    return Launch(tmp_path / "code", table, tmp_path / "scratch", tmp_path / "log", Limits(seconds_per_round=60))


@pytest.fixture
def begin(launch: Launch, slurm: Slurm) -> Iterator[Begin]:
    workers: list[ReadWorker] = []

    def start(text: str = COUNTS, executor: Slurm = slurm, should_stop: Stop = lambda: False, **limits: int):
        launch.code.mkdir(exist_ok=True)
        (launch.code / "study.py").write_text("import numpy as np\n" + textwrap.dedent(text))
        asked = replace(launch, limits=launch.limits.model_copy(update=limits))
        workers.append(ReadWorker(Worker.run_on(executor, asked, should_stop)))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def nothing_left(cluster: StandIn) -> bool:
    return not cluster.jobs and not list(cluster.shared.iterdir())


def test_rounds_run_in_one_job_and_nothing_stays(begin, cluster, launch):
    worker = begin(
        """
        import os
        def fit(parameters, table, config):
            print("trained", len(table))
            w = parameters["w"]
            facts = {"read": len(table), "calls": len(os.listdir("."))}
            open("left", "w").close()
            return {"w": w[::-1].copy()}, len(table), facts
        def initialize(config):
            raise ValueError("of patient 11")
        def evaluate(parameters, table, config):
            return len(table), {"secret": float(any("WARDROUND" in name or "AGENT" in name for name in os.environ))}
        """
    )
    large = np.frombuffer(os.urandom(3_000_008), dtype=np.uint8)
    for _ in range(2):
        outcome = worker.call("fit", {"w": large}, {})
        assert np.array_equal(outcome.parameters["w"], large[::-1])
        assert outcome.metrics == {"read": 3.0, "calls": 0.0}
    assert worker.call("evaluate", {}, {}).metrics == {"secret": 0.0}
    with pytest.raises(WorkerFailed, match="raised an error"):
        worker.call("initialize", {}, {})
    (job,) = cluster.jobs
    assert [path.name for path in cluster.shared.iterdir()] == [job]
    assert {"--partition=ward", "--export=NONE", "--nodes=1", "--ntasks=1"} <= set(cluster.asked)
    worker.stop()
    assert nothing_left(cluster)
    log = launch.log.read_text()
    assert (log.count("trained 3"), log.count("ValueError: of patient 11\n")) == (2, 1)


def test_what_a_job_reads_is_open_to_nobody_else(begin, cluster):
    begin()
    (folder,) = cluster.shared.iterdir()
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("text", "code"), [("import os; os._exit(3)", Code.DIED), ("x = bytearray(3 << 30)", Code.OUT_OF_MEMORY)]
)
def test_failures_are_told_as_on_this_machine(begin, text, code):
    worker = begin(f"def fit(parameters, table, config):\n    {text}", memory_bytes=2 << 30)
    with pytest.raises(WorkerFailed) as caught:
        worker.call("fit", {}, {})
    assert caught.value.code is code


def test_a_revocation_ends_the_job(begin, cluster):
    worker = begin("def fit(parameters, table, config):\n    while True: pass")
    with pytest.raises(WorkerFailed) as caught:
        worker.call("fit", {}, {}, lambda: True)
    assert caught.value.code is Code.STOPPED
    assert nothing_left(cluster)


def test_a_job_that_ends_or_soon_will_is_not_called(begin, cluster, launch):
    worker = begin()
    assert worker.ready
    began, limit = time.monotonic(), 60 * SlurmOptions(shared=cluster.shared).minutes_for(launch.limits)
    assert worker._running.lasts(limit - 3600)
    assert not worker._running.lasts(limit + time.monotonic() - began + 1)
    (cluster.state / "jobs" / cluster.jobs[0]).unlink()
    wait_for(lambda: not worker.ready, "the end of the job")
    with pytest.raises(WorkerFailed) as caught:
        worker.call("evaluate", {}, {})
    assert caught.value.code is Code.DIED


class Clock:
    """That of this machine, set ahead."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def test_a_full_cluster_is_waited_for_and_then_told(begin, cluster, launch, monkeypatch):
    cluster.fill()
    with pytest.raises(WorkerFailed) as caught:
        begin(should_stop=lambda: bool(cluster.jobs))
    assert caught.value.code is Code.STOPPED
    assert nothing_left(cluster)
    clock = Clock()
    monkeypatch.setattr(relay, "time", clock)

    def long_after_slurm_has_said_it() -> bool:
        clock.ahead = 1000.0 if "waiting for resources" in launch.log.read_text() else 0.0
        return False

    with pytest.raises(NotStarted, match="did not start the job within 180 seconds: job 7 queued and waiting for res"):
        begin(should_stop=long_after_slurm_has_said_it)
    assert nothing_left(cluster)


def test_a_job_that_comes_to_the_cluster_after_it_was_cancelled_does_not_stay(begin, cluster, monkeypatch):
    monkeypatch.setattr(slurm_module, "_SECONDS_TO_END", 2.0)
    cluster.fill()
    cluster.delay()
    with pytest.raises(WorkerFailed) as caught:
        begin(should_stop=lambda: True)
    assert caught.value.code is Code.STOPPED
    assert nothing_left(cluster)


def test_what_slurm_refuses_is_told_in_one_sentence(begin, cluster):
    cluster.refuse("Invalid account or account/partition combination specified")
    with pytest.raises(NotStarted, match="Slurm ended the job: Unable to allocate resources: Invalid account"):
        begin()
    assert nothing_left(cluster)


BLIND = """#!{python} -IB
import sys
from datasites.runner.executors import far
from datasites.runner.sandbox import bubblewrap, landlock
bubblewrap.problem, landlock.problem = (lambda: "bubblewrap is not installed."), (lambda: "There is no Landlock.")
sys.argv = sys.argv[-2:]
far.main()
"""


def test_a_node_that_cannot_confine_a_study_runs_none(begin, cluster, slurm, tmp_path):
    python = tmp_path / "python"
    python.write_text(BLIND.format(python=sys.executable))
    python.chmod(0o700)
    elsewhere = replace(slurm, options=slurm.options.model_copy(update={"python": str(python)}))
    with pytest.raises(NotStarted, match="cannot confine a study's code: bubblewrap is not installed"):
        begin(executor=elsewhere)
    assert nothing_left(cluster)


AGENT = """
import sys, time
from pathlib import Path
from datasites.runner.executors.base import Launch
from datasites.runner.executors.options import SlurmOptions
from datasites.runner.executors.slurm import Slurm
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
folder, shared = map(Path, sys.argv[1:])
launch = Launch(folder / "code", folder / "table.parquet", folder / "scratch", folder / "log", Limits())
worker = Worker.run_on(Slurm(SlurmOptions(shared=shared), "do@north.org"), launch)
print("ready", flush=True)
worker.call("fit", {}, {})
"""


def test_a_job_ends_in_the_middle_of_a_call_when_its_agent_is_killed(cluster, launch, tmp_path):
    launch.code.mkdir()
    (launch.code / "study.py").write_text("def fit(parameters, table, config):\n    while True: pass")
    argv = [sys.executable, "-c", AGENT, str(tmp_path), str(cluster.shared)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout.readline() == "ready\n"
        agent.kill()
    wait_for(lambda: not cluster.jobs, "the end of the job")


def test_what_a_killed_agent_left_is_ended_by_the_next(cluster, slurm, launch, table):
    launch.code.mkdir()
    stage, other = staging.put(cluster.shared, DATASITE, launch), staging.put(cluster.shared, "do@south.org", launch)
    for one in (stage, other):
        (cluster.state / "jobs" / one.name).touch()
    slurm.tidy()
    assert cluster.jobs == [other.name] == [path.name for path in cluster.shared.iterdir()]


def test_doctor_is_told_what_to_mend(cluster, slurm, monkeypatch):
    assert slurm.problem() == ("", "")
    cluster.refuse("Invalid partition name specified")
    assert "Invalid partition name specified" in slurm.problem()[0]
    cluster.shared.rmdir()
    assert "cannot be written" in slurm.problem()[0]
    monkeypatch.setenv("PATH", "/nowhere")
    assert "srun is not on this machine" in slurm.problem()[0]
