"""Studies of several processes: they train together in one sandboxed call, and rank 0 alone answers."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasites.runner.errors import Code, NotStarted, WorkerFailed
from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox import bubblewrap
from datasites.runner.sandbox.landlock import Landlock
from tests.support.workers import ReadWorker

Begin = Callable[..., ReadWorker]
BATCHES, RATE = 5, 0.1
TOGETHER = f"""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    def fit(parameters, table, config):
        dist.init_process_group("gloo")
        rank, ranks = dist.get_rank(), dist.get_world_size()
        model = torch.nn.Linear(3, 1)
        model.load_state_dict({{name: torch.tensor(array) for name, array in parameters.items()}})
        together = DistributedDataParallel(model)
        optimizer = torch.optim.SGD(together.parameters(), lr={RATE})
        rows = torch.tensor(table[["a", "b", "c", "y"]].to_numpy(), dtype=torch.float32)
        for batch in rows.chunk({BATCHES}):
            mine = batch[rank::ranks]
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(together(mine[:, :3]), mine[:, 3:]).backward()
            optimizer.step()
        total = torch.ones(1)
        dist.all_reduce(total)
        dist.destroy_process_group()
        state = {{name: value.numpy() for name, value in model.state_dict().items()}}
        return state, len(rows), {{"ranks": total.item()}}
"""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    if why := bubblewrap.problem():
        pytest.skip(why)
    workers: list[ReadWorker] = []
    table = pd.DataFrame(np.random.default_rng(7).normal(size=(80, 4)), columns=["a", "b", "c", "y"])
    table.assign(patient=range(80)).to_parquet(tmp_path / "table.parquet")
    (tmp_path / "code").mkdir()

    def start(text: str, processes: int = 2, sandbox=None, **limits: float) -> ReadWorker:
        (tmp_path / "code" / "study.py").write_text("import os\nimport numpy as np\n" + textwrap.dedent(text))
        places = (tmp_path / name for name in ("code", "table.parquet", "scratch", "log"))
        chosen = Limits(**({"seconds_per_round": 120} | limits))
        workers.append(ReadWorker(Worker.start(*places, chosen, sandbox or bubblewrap.tried()[0], processes)))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def test_two_processes_train_as_one_with_twice_the_batch(begin, tmp_path):
    rng = np.random.default_rng(1)
    first = {"weight": rng.normal(size=(1, 3)).astype("float32"), "bias": rng.normal(size=1).astype("float32")}
    weight, bias = (first[name].astype(float) for name in ("weight", "bias"))
    rows = pd.read_parquet(tmp_path / "table.parquet")[["a", "b", "c", "y"]].to_numpy()
    for batch in np.split(rows, BATCHES):
        error = batch[:, :3] @ weight.T + bias - batch[:, 3:]
        step = 2 * RATE / len(batch)
        weight, bias = weight - step * error.T @ batch[:, :3], bias - step * error.sum(axis=0)
    worker = begin(TOGETHER)
    for _ in range(2):
        outcome = worker.call("fit", first, {})
        assert outcome.metrics == {"ranks": 2.0}
        for name, expected in (("weight", weight), ("bias", bias)):
            np.testing.assert_allclose(outcome.parameters[name], expected, rtol=1e-4, atol=1e-5)


def test_each_is_told_its_place_as_torchrun_tells_it_and_rank_0_answers(begin, tmp_path):
    names = "RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE MASTER_ADDR GROUP_RANK TORCHELASTIC_RUN_ID"
    worker = begin(
        f"""
        def evaluate(parameters, table, config):
            told = [os.environ[name] for name in "{names}".split()]
            print(*told, os.environ["MASTER_PORT"].isdecimal())
            return len(table), {{"rank": float(os.environ["RANK"]), "draw": np.random.random()}}
        """,
        processes=3,
    )
    first, second = (worker.call("evaluate", {}, {}).metrics for _ in range(2))
    assert first["rank"] == 0.0
    assert first["draw"] != second["draw"]
    lines = [f"{rank} {rank} 3 3 127.0.0.1 0 none True" for rank in range(3)]
    assert sorted((tmp_path / "log").read_text().splitlines()) == sorted(2 * lines)


def test_when_one_fails_the_others_are_ended_and_the_call_has_failed(begin, tmp_path):
    worker = begin(
        """
        def fit(parameters, table, config):
            other = f"of {config['fails']}"
            if int(os.environ["RANK"]) == config["fails"]:
                while not os.path.exists(other):
                    pass
                raise ValueError("of patient 11")
            print("other", os.getpid(), flush=True)
            open(other, "w").close()
            while True:
                pass
        def evaluate(parameters, table, config):
            return len(table), {"left": float(sum(os.path.exists(f"/proc/{pid}") for pid in [1, *config["others"]]))}
        """
    )
    for rank in (0, 1):
        with pytest.raises(WorkerFailed) as caught:
            worker.call("fit", {}, {"fails": rank})
        assert caught.value.code is Code.CODE_ERROR
    lines = (tmp_path / "log").read_text().splitlines()
    others = [int(line.split()[1]) for line in lines if line.startswith("other ")]
    assert len(others) == 2
    assert worker.call("evaluate", {}, {"others": others}).metrics["left"] == 1.0
    assert any("of patient 11" in line for line in lines)


def test_memory_is_limited_for_all_of_them_together(begin):
    limit = 1 << 30
    worker = begin(
        """
        import time
        def fit(parameters, table, config):
            mine = np.ones(config["bytes"] // 8)
            time.sleep(config["seconds"])
            return {"w": mine[:1]}, len(table), {}
        """,
        memory_bytes=limit,
    )
    assert worker.call("fit", {}, {"bytes": limit // 8, "seconds": 0}).num_examples == 80
    with pytest.raises(WorkerFailed) as caught:
        worker.call("fit", {}, {"bytes": int(limit * 0.55), "seconds": 60})
    assert caught.value.code is Code.OUT_OF_MEMORY


def test_a_sandbox_without_a_network_of_its_own_runs_none(begin):
    with pytest.raises(NotStarted, match=r"several processes cannot be confined by Landlock"):
        begin("def evaluate(parameters, table, config): return 1, {}", sandbox=Landlock())
