from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from datasites.wire.manifest import Manifest, describe_files
from datasites.wire.outputs import OutputContract
from policies.errors import InvalidInput
from researcher.history import History
from researcher.metrics import auc_from_histogram
from researcher.result import Result

H1, H2 = [[8, 2], [1, 3]], [[5, 5], [2, 2]]


def record(message: int, round_: int, hospital: str, auc: float | None, **more: Any) -> dict[str, Any]:
    evaluate = {"num_examples": 10 if hospital == "a" else 30, "metrics": {"auc": auc}} if auc is not None else None
    return {
        "message": message,
        "evaluated_round": round_,
        "trained_round": round_ + 1,
        "hospital": hospital,
        "problem": "",
        "seconds": 0.5,
        "fit": {"num_examples": 40, "metrics": {"loss": 0.7}},
        "evaluate": evaluate,
        "histogram": (H1 if hospital == "a" else H2) if evaluate else None,
        **more,
    }


FAILED: dict[str, Any] = {"fit": None, "seconds": None, "problem": "No answer within 5 seconds."}
RECORDS = [
    record(1, 0, "a", 0.5),
    record(1, 0, "b", 0.6),
    record(2, 1, "a", 0.7),
    record(2, 1, "b", None, **FAILED),
    record(3, 1, "a", 0.8),
    record(3, 1, "b", 0.9),
]


@pytest.fixture
def history() -> History:
    return History(RECORDS, {"a": "North", "b": "South"}.__getitem__)


class TestHistory:
    def test_one_row_per_state_with_each_hospitals_last_word(self, history: History) -> None:
        table = history.rounds()
        assert table["round"].tolist() == [0, 1]
        assert table["hospitals"].tolist() == [2, 2]
        assert table["test_examples"].tolist() == [40, 40]
        assert table["mean_auc"].tolist() == pytest.approx([0.575, 0.875])  # 0.8 of message 3, not 0.7 of message 2
        pooled = auc_from_histogram(np.array(H1) + np.array(H2))
        assert table["federated_auc"].tolist() == [pooled, pooled]
        assert history.last_auc() == pooled

    def test_one_row_per_hospital_and_message(self, history: History) -> None:
        table = history.hospitals()
        assert table["hospital"].tolist() == ["North", "South"] * 3
        assert table["problem"].tolist() == ["", "", "", "No answer within 5 seconds.", "", ""]
        assert table["train_loss"].notna().sum() == 5

    def test_a_metric_by_hospital_to_hold_methods_against_each_other(self, history: History) -> None:
        last = history.per_hospital("auc")
        table = history.hospitals()
        rows = table[table["round"] == table["round"].max()].dropna(subset=["auc"]).set_index("hospital")
        assert last.to_dict() == rows["auc"].to_dict()
        both = pd.DataFrame({"local": history.per_hospital("auc", 0), "personal": last})
        assert both.index.tolist() == ["North", "South"]
        for metric, number in (("recall", None), ("auc", 99)):
            with pytest.raises(InvalidInput, match="No hospital reported"):
                history.per_hospital(metric, number)
        with pytest.raises(InvalidInput, match="No hospital reported"):
            History([]).per_hospital("auc")

    def test_without_histograms_there_is_no_federated_auc(self) -> None:
        history = History([record(1, 0, "a", 0.5, histogram=None)])
        assert "federated_auc" not in history.rounds()
        assert history.last_auc() is None
        assert History([]).rounds().empty


@pytest.fixture
def result(history: History) -> Result:
    manifest = Manifest(
        name="demo",
        purpose="Test",
        researcher="ada@uni.org",
        dataset="stays",
        dictionary="0" * 64,
        columns=("days",),
        files=describe_files({"study.py": b""}),
        config={},
        rounds=1,
        seconds_per_round=10,
        outputs=OutputContract(parameters={}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={}),
    )
    parameters = {
        "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "layer.num_batches_tracked": np.asarray(7),
    }
    return Result(manifest, "FedAvg", parameters, 1, history)


class TestResult:
    def test_the_saved_model_is_what_torch_loads(self, result: Result, tmp_path: Path) -> None:
        result.save(tmp_path / "model.safetensors")
        state = load_file(tmp_path / "model.safetensors")
        assert torch.equal(state["layer.weight"], torch.arange(6.0).reshape(2, 3))
        assert state["layer.num_batches_tracked"].shape == ()
        assert state["layer.num_batches_tracked"].dtype is torch.int64
        with safe_open(tmp_path / "model.safetensors", "pt") as stream:
            origin = stream.metadata()["wardround"]
        assert result.manifest.digest in origin
        assert '"rounds": 1' in origin

    def test_the_plot_has_a_line_for_the_federation_each_hospital_and_each_reference(
        self, result: Result, tmp_path: Path
    ) -> None:
        figure = result.plot({"pooled": 0.9, "local": 0.6}, tmp_path / "plot.png")
        (axes,) = figure.axes
        lines = {line.get_label(): line for line in axes.get_lines()}
        assert set(lines) == {
            "the same model at North",
            "the same model at South",
            "FedAvg, all test patients",
            "pooled: 0.900",
            "local: 0.600",
        }
        assert np.asarray(lines["the same model at South"].get_xydata()).tolist() == [[0, 0.6], [1, 0.9]]
        assert np.asarray(lines["FedAvg, all test patients"].get_xdata()).tolist() == [0, 1]
        assert matplotlib.image.imread(tmp_path / "plot.png").ndim == 3

    def test_many_hospitals_are_one_grey_crowd(self, result: Result) -> None:
        many = History([record(1, 0, f"h{i}", 0.5) for i in range(20)])
        labels = [
            line.get_label() for line in Result(result.manifest, "FedAvg", {}, 1, many).plot().axes[0].get_lines()
        ]
        named = [label for label in labels if not str(label).startswith("_")]
        assert named == ["the same model at each hospital", "FedAvg, all test patients"]
