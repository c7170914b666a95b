"""Studies that take all they can get, stay behind, or remember; the agent goes on in every case."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.sandbox.base import Inside, Sandbox
from datasites.runner.sandbox.rlimits import ProcessLimits
from tests.attacks.sandbox.conftest import Hospital
from tests.support.federation import PATIENCE, wait_for
from tests.support.workers import ReadWorker

HEAD = """
import ctypes, os, time
import numpy as np
NOTHING = {"w": np.zeros(1)}, 1, {}
def name(text):
    ctypes.CDLL(None).prctl(15, text.encode(), 0, 0, 0)
def evaluate(p, t, c):
    return len(t), {}
def fit(p, t, c):
"""


@pytest.fixture
def run(hospital: Hospital, sandbox: Sandbox, tmp_path: Path) -> Callable[..., object]:
    """Starts a worker whose `fit` has the given lines."""
    hospital.restore()

    @contextmanager
    def start(body: str, **limits: float) -> Iterator[ReadWorker]:
        (tmp_path / "study.py").write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
        with hospital.start(sandbox, code=tmp_path, **limits) as worker:
            yield worker

    return start


def failed(worker: ReadWorker) -> Code:
    with pytest.raises(WorkerFailed) as caught:
        worker.call("fit", {}, {})
    return caught.value.code


def named(text: str) -> list[int]:
    """The machine's living processes of that name."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "comm").read_text().strip() == text and "State:\tZ" not in (path / "status").read_text():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def gone(text: str) -> bool:
    until = time.monotonic() + PATIENCE
    while named(text) and time.monotonic() < until:
        time.sleep(0.02)
    return not named(text)


def test_fork_bomb(run, sandbox):
    mark = uuid.uuid4().hex[:12]
    bomb = f"name('{mark}')\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        time.sleep(0.01)"
    with run(bomb, processes=30, seconds_per_round=10) as worker:
        assert failed(worker) in (Code.DIED, Code.TIMEOUT)
    assert gone(mark)


def test_memory_taken_by_many_processes(run):
    child = "if os.fork() == 0:\n        x = np.ones(25_000_000)\n        time.sleep(100)"
    with run(f"for _ in range(6):\n    {child}\ntime.sleep(100)", memory_bytes=2**29) as worker:
        assert failed(worker) is Code.OUT_OF_MEMORY


BUSY = """
for _ in range({children}):
    if os.fork() == 0:
        while True:
            pass
if {children}:
    time.sleep(100)
while True:
    pass
"""


@pytest.mark.parametrize("children", [0, 4])
def test_all_the_processor_time_there_is(run, children):
    with run(BUSY.format(children=children), processor_seconds=1) as worker:
        assert failed(worker) is Code.TIMEOUT


def test_processor_time_of_processes_that_have_ended(run):
    """Each is gone before it has used much."""
    one = "if os.fork() == 0:\n        until = time.process_time() + 0.2\n        while time.process_time() < until:\n"
    lines = f"while True:\n    {one}            pass\n        os._exit(0)\n    os.wait()"
    with run(lines, processor_seconds=1) as worker:
        assert failed(worker) is Code.TIMEOUT


@pytest.mark.parametrize("step", ["os.ftruncate(f.fileno(), 2**40)", "f.seek(2**40), f.write(b'x')"])
def test_one_huge_file(run, step):
    with run(f"with open('f', 'wb', buffering=0) as f:\n    {step}\nreturn NOTHING") as worker:
        assert failed(worker) is Code.CODE_ERROR
        assert worker.call("evaluate", {}, {}).num_examples == 2


def test_many_files_fill_only_the_scratch_and_are_gone_in_the_next_call(run, sandbox):
    lines = """
written = 0
try:
    for number in range(40):
        with open(f'f{number}', 'xb') as f:
            written += f.write(bytes(2**20))
except OSError:
    pass
return NOTHING[0], 1, {'written': written}"""
    with run(lines) as worker:
        counts = [worker.call("fit", {}, {}).metrics["written"] for _ in range(2)]
    assert counts[0] == counts[1]
    assert (counts[0] <= 2**23) == (sandbox.inside is Inside.CALLS)  # bubblewrap's scratch has a size


def test_a_flood_of_text(run, hospital, sandbox):
    with run("for _ in range(200):\n    os.write(1, bytes(10**6))\nreturn NOTHING") as worker:
        worker.call("fit", {}, {})
    assert (hospital.folder / "mine" / f"{sandbox.name}.log").stat().st_size <= 2**22


def test_sleeping_for_long(run):
    mark = uuid.uuid4().hex[:12]
    with run(f"name('{mark}')\ntime.sleep(600)", seconds_per_round=0.5) as worker:
        assert failed(worker) is Code.TIMEOUT
    assert gone(mark)


ESCAPE = """
named, tell = os.pipe()
if os.fork() == 0:
    try:
        os.setsid()
    except OSError:
        pass
    if os.fork():
        os._exit(0)
    name('{mark}')
    os.write(tell, b'x')
    time.sleep(600)
os.close(tell)
os.read(named, 1)
return NOTHING
"""


def test_a_process_that_wants_to_stay(run, sandbox):
    mark = uuid.uuid4().hex[:12]
    with run(ESCAPE.format(mark=mark)) as worker:
        worker.call("fit", {}, {})
        worker.call("evaluate", {}, {})
        stays = not gone(mark) if sandbox.name != ProcessLimits().name else bool(named(mark))
    for pid in named(mark):
        os.kill(pid, signal.SIGKILL)
    assert stays == (sandbox.name == ProcessLimits().name)


AGENT = """
import sys
from pathlib import Path
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox.bubblewrap import Bubblewrap
from datasites.runner.sandbox.landlock import Landlock
code, table, scratch, log = map(Path, sys.argv[1:5])
worker = Worker.start(code, table, scratch, log, Limits(), globals()[sys.argv[5]]())
worker.call("fit", {}, {})
"""


def test_nothing_outlives_an_agent_that_is_killed(hospital, sandbox, tmp_path):
    if sandbox.name == ProcessLimits().name:
        pytest.skip("it does not claim to")
    hospital.restore()
    mark = uuid.uuid4().hex[:12]
    body = ESCAPE.format(mark=mark).replace("return NOTHING", f"name('{mark}')\ntime.sleep(600)")
    (tmp_path / "study.py").write_text(HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
    paths = [tmp_path, hospital.folder / "mine/table.parquet", tmp_path / "scratch", tmp_path / "log"]
    with subprocess.Popen([sys.executable, "-c", AGENT, *map(str, paths), type(sandbox).__name__]) as agent:
        try:
            wait_for(lambda: len(named(mark)) == 2, "both processes of the study")
        finally:
            agent.kill()
    assert gone(mark)


REMEMBER = """
import fcntl, gc, resource, signal, sys, threading
where, value = c['where'], 0
if where == 'limit':
    value = resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200
    try:
        resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (200, 256))
    except OSError:
        pass
elif where == 'priority':
    value = os.getpriority(os.PRIO_PROCESS, 0) == 7
    try:
        os.setpriority(os.PRIO_PROCESS, os.getppid(), 7)
    except OSError:
        pass
elif where == 'module':
    value = hasattr(np, 'remembered')
    np.remembered = True
elif where == 'table':
    value = (t['age_years'] == 4711).any()
    t['age_years'] = 4711.0
elif where == 'file':
    value = os.path.exists('remembered')
    open('remembered', 'w').close()
elif where == 'sys.modules':
    value = 'remembered' in sys.modules
    sys.modules['remembered'] = np
elif where == 'environment':
    value = 'REMEMBERED' in os.environ
    os.environ['REMEMBERED'] = '1'
    ctypes.CDLL(None).setenv(b'REMEMBERED', b'1', 1)
elif where == 'umask and folder':
    value = os.umask(0o111) == 0o111 or os.getcwd() == '/'
    os.chdir('/')
elif where == 'random numbers':
    value = np.random.random() == np.random.RandomState(7).random_sample(2)[1]
    np.random.seed(7)
    np.random.random()
elif where == 'signal handler':
    value = signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
elif where == 'shared memory':
    try:
        value = os.path.exists('/dev/shm/remembered')
        open('/dev/shm/remembered', 'w').close()
    except OSError:
        pass
elif where == 'memory of the worker':
    try:
        with open(f'/proc/{os.getppid()}/mem', 'r+b') as memory:
            value = True
    except OSError:
        pass
elif where == 'name of the worker':
    try:
        with open(f'/proc/{os.getppid()}/comm', 'r+') as comm:
            value = comm.read().strip() == 'remembered'
            comm.write('remembered')
    except OSError:
        pass
elif where == 'score of the worker':
    try:
        with open(f'/proc/{os.getppid()}/oom_score_adj', 'r+') as score:
            value = score.read().strip() == '777'
            score.write('777')
    except OSError:
        pass
elif where == 'timer':
    value = signal.getitimer(signal.ITIMER_REAL)[0] > 0
    signal.setitimer(signal.ITIMER_REAL, 500)
elif where == 'garbage collector':
    value = gc.get_threshold()[0] == 4711
    gc.set_threshold(4711)
elif where == 'library code':
    value = hasattr(np.zeros, 'remembered') or 'datasites.runner.worker' in str(getattr(threading, 'remembered', ''))
    threading.remembered = 'datasites.runner.worker'
elif where == 'lock on a shared file':
    lock = open(np.__file__)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        value = True
    os.set_inheritable(lock.fileno(), True)
    if os.fork() == 0:
        time.sleep(60)
return NOTHING[0], 1, {'remembered': bool(value)}
"""


PLACES = re.findall(r"where == '([^']+)'", REMEMBER)
OUTSIDE = {"limit", "priority", "shared memory", "score of the worker"}  # without a sandbox


@pytest.mark.parametrize("where", PLACES)
def test_remembers_an_earlier_call_by_its(run, sandbox, where):
    with run(REMEMBER) as worker:
        answers = [worker.call("fit", {}, {"where": where}).metrics["remembered"] for _ in range(3)]
    Path("/dev/shm/remembered").unlink(missing_ok=True)  # noqa: S108
    if sandbox.name != ProcessLimits().name:
        assert not any(answers)
    elif where in OUTSIDE:
        assert any(answers)


def test_a_killed_worker_is_only_the_studys_own_loss(run, sandbox):
    with run("os.kill(os.getppid(), 9)\ntime.sleep(0.3)\nreturn NOTHING") as worker:
        if sandbox.inside is Inside.CALLS_AND_FILES:  # it cannot even do that
            assert failed(worker) is Code.CODE_ERROR
        else:
            assert failed(worker) is Code.OUT_OF_MEMORY  # which is what a killed process looks like
    with run("return NOTHING") as worker:
        assert worker.call("fit", {}, {}).num_examples == 1


@pytest.mark.check
def test_real_training_works_in_every_sandbox(hospital, sandbox, tmp_path):
    hospital.restore()
    (tmp_path / "study.py").write_text(TRAINING)
    with hospital.start(sandbox, code=tmp_path, start_seconds=60) as worker:
        losses = [worker.call("fit", {}, {"seed": 0}).metrics["loss"] for _ in range(3)]
    assert losses[0] == losses[1] == losses[2] < 0.2


TRAINING = """
import torch
torch.set_num_threads(1)
def fit(parameters, table, config):
    torch.manual_seed(config["seed"])
    x = torch.randn(256, 4)
    y = (x[:, 0] > 0).float()
    nn = torch.nn
    model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x).squeeze(1), y)
        loss.backward()
        optimizer.step()
    return {"w": model[0].weight.detach().numpy()}, len(x), {"loss": loss.item()}
"""
