"""What the agent gets from a worker, honest or hostile."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox.rlimits import ProcessLimits
from datasites.wire.reasons import Reason
from policies.errors import InvalidInput
from tests.support.federation import PATIENCE

HONEST = """
    import sibling
    calls = 0
    def initialize(config):
        return {"w": np.zeros(config["width"], np.float32)}
    def fit(parameters, table, config):
        global calls
        calls += 1
        parameters["w"] += 1
        return parameters, len(table), {"calls": calls, "sibling": sibling.ANSWER, "age": table["age_years"].mean()}
    def evaluate(parameters, table, config):
        return np.int64(len(table)), {"loss": np.float32(0.5), "score_histogram": np.ones((2, 4), np.int64)}
"""
NOTHING: dict[str, np.ndarray] = {}


def exists(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends_soon(pid: int) -> bool:
    until = time.monotonic() + PATIENCE
    while exists(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not exists(pid)


def failure(worker: Worker, task: str = "fit", **config: object) -> WorkerFailed:
    with pytest.raises(WorkerFailed) as caught:
        worker.call(task, NOTHING, config)  # type: ignore[arg-type]
    return caught.value


def fit_code(body: str) -> str:
    return f"def fit(parameters, table, config):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"


def test_results_make_the_round_trip(start):
    worker = start(HONEST)
    assert worker.functions == {"initialize", "fit", "evaluate"}
    initial = worker.call("initialize", NOTHING, {"round": 0, "width": 3})
    np.testing.assert_array_equal(initial.parameters["w"], np.zeros(3, np.float32))
    fitted = worker.call("fit", initial.parameters, {"round": 1})
    np.testing.assert_array_equal(fitted.parameters["w"], np.ones(3, np.float32))
    assert fitted.parameters["w"].dtype == np.float32
    assert (fitted.num_examples, fitted.metrics) == (3, {"calls": 1.0, "sibling": 42.0, "age": 60.0})
    evaluated = worker.call("evaluate", fitted.parameters, {"round": 1})
    assert (evaluated.parameters, evaluated.num_examples, evaluated.metrics) == ({}, 3, {"loss": 0.5})
    np.testing.assert_array_equal(evaluated.arrays["score_histogram"], np.ones((2, 4), np.int64))


def test_nothing_of_a_call_reaches_the_next_and_large_parameters_pass(start):
    worker = start(HONEST)
    parameters = {"w": np.arange(1_000_000, dtype=np.float32)}  # more than a pipe holds
    for round_number in (1, 2, 3):
        outcome = worker.call("fit", parameters, {"round": round_number})
        assert outcome.metrics["calls"] == 1
        np.testing.assert_array_equal(outcome.parameters["w"], parameters["w"] + 1)


def test_a_study_that_changes_its_table_does_not_change_the_next_round(start):
    worker = start(fit_code("table['age_years'] += 1; return {'w': table['age_years'].to_numpy()}, 3, {}"))
    first, second = (worker.call("fit", NOTHING, {}).parameters["w"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_missing_function_and_unsendable_input_leave_the_worker_alive(start):
    worker = start(fit_code("return {'w': np.zeros(1)}, 1, {}"))
    with pytest.raises(InvalidInput, match="no function 'evaluate'"):
        worker.call("evaluate", NOTHING, {})
    with pytest.raises(InvalidInput, match="JSON"):
        worker.call("fit", NOTHING, {"rate": float("nan")})
    with pytest.raises(InvalidInput, match="dtype"):
        worker.call("fit", {"w": np.array(["a"])}, {})
    assert worker.call("fit", NOTHING, {}).num_examples == 1


def test_start_refuses_a_folder_without_a_study(tmp_path, table):
    with pytest.raises(InvalidInput, match="not there"):
        Worker.start(tmp_path, table, tmp_path / "s", tmp_path / "log", Limits(), ProcessLimits())


def test_an_exception_stays_in_the_log_and_the_worker_goes_on(start, log):
    worker = start(
        fit_code("raise ValueError(f'patient {table.patient[0]} is secret-4711')")
        + "def evaluate(p, t, c):\n return 1, {}"
    )
    failed = failure(worker)
    assert failed.code is Code.CODE_ERROR
    assert failed.__cause__ is None
    assert failed.__suppress_context__
    assert str(failed) == Reason.CODE_ERROR.text
    assert "4711" not in repr(vars(failed))
    assert failed.log == log
    assert "patient 11 is secret-4711" in log.read_text()
    assert worker.call("evaluate", NOTHING, {}).num_examples == 1


def test_the_one_file_is_the_study_whatever_lies_beside_it(start, tmp_path):
    package = tmp_path / "code0" / "study"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('not this one')")
    worker = start(
        "import os\n" + fit_code("return {'w': np.zeros(1)}, 1, {'is': float(__file__.endswith('study.py'))}")
    )
    assert worker.call("fit", NOTHING, {}).metrics == {"is": 1.0}


def test_whatever_is_raised_is_a_code_error(start):
    worker = start("import builtins\n" + fit_code("raise getattr(builtins, config['kind'])(0)"))
    for kind in ("SystemExit", "KeyboardInterrupt", "BaseException", "GeneratorExit", "OSError"):
        assert failure(worker, kind=kind).code is Code.CODE_ERROR
    assert worker.alive


@pytest.mark.parametrize("sandbox", [ProcessLimits()])  # the numbers of a namespace's processes mean nothing here
def test_code_that_fails_to_import_leaves_no_process(start, log):
    with pytest.raises(WorkerFailed) as caught:
        start("import os\nprint('pid', os.getpid(), flush=True)\nraise RuntimeError('secret-4711')")
    assert caught.value.code is Code.CODE_ERROR
    assert "4711" in log.read_text()
    assert ends_soon(int(log.read_text().split()[1]))  # the kernel kills it when its parent has ended


def test_a_module_without_functions_is_a_bad_output(start):
    with pytest.raises(WorkerFailed) as caught:
        start("x = 1")
    assert caught.value.code is Code.BAD_OUTPUT


def test_endless_loop_times_out(start):
    worker = start(fit_code("while True: pass"), seconds_per_round=0.4)
    assert failure(worker).code is Code.TIMEOUT
    assert not worker.alive
    assert not exists(worker.pid)
    assert failure(worker).code is Code.DIED


def test_endless_import_times_out(start):
    with pytest.raises(WorkerFailed) as caught:
        start("while True: pass", start_seconds=2)
    assert caught.value.code is Code.TIMEOUT


def test_revocation_stops_a_running_call(start):
    worker = start(fit_code("while True: pass"))
    began = time.monotonic()
    with pytest.raises(WorkerFailed) as caught:
        worker.call("fit", NOTHING, {}, should_stop=lambda: time.monotonic() - began > 0.3)
    assert caught.value.code is Code.STOPPED  # and not of the time that a call may take
    assert not exists(worker.pid)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_call_leaves_no_worker(start, error):
    worker = start(fit_code("while True: pass"))

    def should_stop() -> bool:
        raise error

    with pytest.raises(error):
        worker.call("fit", NOTHING, {}, should_stop)
    assert not exists(worker.pid)


@pytest.mark.parametrize(
    "body",
    [
        "return {'w': np.ones(10**9)}, 1, {}",
        "x = []\nwhile True: x.append(bytearray(10**6))",
        "x = []\nwhile True: x.append([object() for _ in range(1000)])",
        'raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried to allocate")',
        "import os; os.kill(os.getpid(), 9)",  # as the kernel does when the machine runs out
    ],
)
def test_memory_bomb_fails_cleanly(start, body):
    worker = start(fit_code(body), memory_bytes=2**30)
    assert failure(worker).code is Code.OUT_OF_MEMORY
    assert not exists(worker.pid)


def test_too_large_output(start):
    worker = start(fit_code("return {'w': np.zeros(config['n'])}, 1, {}"), output_bytes=100_000)
    assert worker.call("fit", NOTHING, {"n": 12_000}).num_examples == 1
    assert failure(worker, n=12_500).code is Code.OUTPUT_TOO_LARGE
    assert not exists(worker.pid)


@pytest.mark.parametrize(
    "result",
    [
        "None",
        "({'w': np.array([object()])}, 1, {})",
        "({'w': np.zeros(1)}, 1, {'loss': 'patient 11'})",
    ],
)
def test_unusable_results_are_bad_output(start, result):
    worker = start(fit_code(f"return {result}"))
    assert failure(worker).code is Code.BAD_OUTPUT
    assert not exists(worker.pid)


def test_an_escaping_process_does_not_hide_the_death(start):
    worker = start(fit_code("import os\nif os.fork() == 0:\n    import time; time.sleep(60)\nos._exit(3)"))
    assert failure(worker).code is Code.DIED  # and not of the time that a call may take


FORGE = """
    import fcntl, os, stat
    def is_written_pipe(number):
        try:
            return stat.S_ISFIFO(os.fstat(number).st_mode) and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
        except OSError:
            return False
    def pipe():
        return max(number for number in range(256) if is_written_pipe(number))
    def fit(parameters, table, config):
        os.write(pipe(), bytes.fromhex(config["bytes"]))
        return {"w": np.zeros(1)}, 1, {}
"""


def forged(header: str) -> str:
    text = json.dumps({"__metadata__": {"wardround": header}}).encode()
    blob = struct.pack("<Q", len(text)) + text
    return (struct.pack(">Q", len(blob)) + blob).hex()


@pytest.mark.parametrize(
    ("raw", "code", "lives"),
    [
        ("ff" * 64, Code.OUTPUT_TOO_LARGE, False),
        ("0000000000000001" + "41", Code.BAD_OUTPUT, False),
        ("0000000000000010" + "41" * 16, Code.BAD_OUTPUT, True),  # a whole frame: what is in it is the gate's affair
        (forged('{"error": "stopped"}'), Code.BAD_OUTPUT, True),
        (forged('{"num_examples": 1, "metrics": {"x": NaN}}'), Code.BAD_OUTPUT, True),
    ],
)
def test_code_that_writes_to_the_reply_pipe_itself(start, raw, code, lives):
    worker = start(FORGE)
    assert failure(worker, bytes=raw).code is code
    assert worker.alive is lives
    assert exists(worker.pid) is lives


def test_a_reply_too_many_is_not_taken_for_the_next_one(start):
    worker = start(FORGE)
    assert failure(worker, bytes="000000000000000180").code is Code.CODE_ERROR
    assert failure(worker, bytes="000000000000000181").code is Code.OUT_OF_MEMORY
    assert not worker.alive


@pytest.mark.parametrize("stream", ["sys.stdout.write('x' * 10**6)", "os.system('yes | head -c 1000000')"])
def test_a_flood_of_text_neither_fills_the_disk_nor_breaks_the_round(start, log, stream):
    worker = start("import os, sys\n" + fit_code(f"{stream}\nreturn {{'w': np.zeros(1)}}, 1, {{}}"), file_bytes=100_000)
    assert worker.call("fit", NOTHING, {}).num_examples == 1
    assert worker.call("fit", NOTHING, {}).num_examples == 1
    assert log.stat().st_size <= 100_000


def test_after_a_flood_of_text_the_traceback_is_still_in_the_log(start, log):
    worker = start(
        fit_code("for _ in range(10_000): print('flood ' * 10)\nraise ValueError('the reason')"), file_bytes=100_000
    )
    assert failure(worker).code is Code.CODE_ERROR
    assert "the reason" in log.read_text()


def test_log_is_private(start, log):
    start(HONEST)
    assert log.stat().st_mode & 0o077 == 0


def test_nothing_of_the_environment_passes(start, log, monkeypatch, tmp_path):
    monkeypatch.setenv("WARDROUND_SECRET", "secret-4711")
    monkeypatch.setenv("PYTHONPATH", "/secret-4711")
    worker = start(
        fit_code(
            "import os, sys; print(dict(os.environ), sys.path, sys.argv, os.getcwd()); return {'w': np.zeros(1)}, 1, {}"
        )
    )
    worker.call("fit", NOTHING, {})
    assert "4711" not in log.read_text()
    assert f"'HOME': '{tmp_path}/scratch'" in log.read_text()


SPAWN = "import os\nprint(os.spawnlp(os.P_NOWAIT, 'sleep', 'sleep', '60'), flush=True)\n"


@pytest.mark.parametrize("sandbox", [ProcessLimits()])
def test_stop_leaves_no_process_and_may_be_repeated(start, log):
    with start(fit_code(SPAWN + "while True: pass")) as worker:
        with pytest.raises(WorkerFailed):
            worker.call("fit", NOTHING, {}, should_stop=lambda: log.stat().st_size > 0)
        child = int(log.read_text())
    worker.stop()
    assert not exists(worker.pid)
    assert ends_soon(child)


@pytest.mark.parametrize("sandbox", [ProcessLimits()])
def test_what_a_call_leaves_running_has_ended_when_the_next_begins(start, log):
    worker = start(fit_code(SPAWN + "return {'w': np.zeros(1)}, 1, {}") + "def evaluate(p, t, c):\n return 1, {}")
    worker.call("fit", NOTHING, {})
    worker.call("evaluate", NOTHING, {})
    assert not exists(int(log.read_text()))


def test_files_of_a_call_are_gone_in_the_next(start):
    tricks = """
        import contextlib, os
        left = len(os.listdir("."))
        os.makedirs("a/b/c"), os.symlink("/usr/lib", "out")
        with contextlib.suppress(PermissionError):
            os.chmod("a", 0)
        for _ in range(1500):
            os.mkdir("deep"), os.chdir("deep")
        return {"w": np.zeros(1)}, 1, {"left": left}
    """
    worker = start(fit_code(tricks))
    assert [worker.call("fit", NOTHING, {}).metrics["left"] for _ in range(2)] == [0, 0]
    assert os.path.isdir("/usr/lib")


def test_every_call_draws_other_random_numbers(start):
    worker = start(fit_code("import random\nreturn {'w': np.array([np.random.rand(), random.random()])}, 1, {}"))
    first, second = (worker.call("fit", NOTHING, {}).parameters["w"] for _ in range(2))
    assert (first != second).all()


AGENT = """
import sys, threading, time
from pathlib import Path
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox.rlimits import ProcessLimits
code, table, folder = map(Path, sys.argv[1:4])
def run():
    workers.append(Worker.start(code, table, folder / "s", folder / "log", Limits(), ProcessLimits()))
workers = []
thread = threading.Thread(target=run)
thread.start(); thread.join()
time.sleep(0.3)  # the thread that asked for the worker is gone; the worker must not be
workers[0].call("evaluate", {}, {})
print(workers[0].pid, flush=True)
if sys.argv[4] == "busy":
    workers[0].call("fit", {}, {})
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("doing", "sent"),
    [("idle", signal.SIGKILL), ("busy", signal.SIGKILL), ("idle", signal.SIGINT), ("busy", signal.SIGINT)],
)
def test_a_worker_does_not_outlive_its_agent(tmp_path, table, doing, sent):
    (tmp_path / "study.py").write_text(fit_code("while True: pass") + "def evaluate(p, t, c):\n return 1, {}")
    arguments = [sys.executable, "-c", AGENT, str(tmp_path), str(table), str(tmp_path), doing]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as agent:
        assert agent.stdout is not None
        try:
            worker = int(agent.stdout.readline())
            time.sleep(0.2)
            assert exists(worker)
            os.kill(agent.pid, sent)
            agent.wait(PATIENCE)
            assert ends_soon(worker)
        finally:
            agent.kill()  # else a failure here waits for it, with a core of the machine at work
