"""Notebooks that simulate their hospitals, executed from top to bottom."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.notebooks import executed, outputs, shown


@pytest.mark.slow
def test_personal_models_where_hospitals_differ(tmp_path: Path) -> None:
    notebook = executed("personal.ipynb", tmp_path)
    saw, pages = shown(notebook), " ".join(outputs(notebook, "text/html"))
    kinds = {"aspen": "1", "birch": "1", "cedar": "1", "dogwood": "2", "elm": "2", "fir": "2"}
    assert eval(next(text for text in outputs(notebook, "text/plain") if "'aspen'" in text)) == kinds  # noqa: S307
    assert "A model for each cluster is better" in pages
    assert all(method in saw for method in ("alone", "global", "fine-tuned", "Per-FedAvg", "two models"))
    assert len(outputs(notebook, "image/png")) == 1


@pytest.mark.slow
def test_the_same_study_along_different_ways(tmp_path: Path) -> None:
    notebook = executed("topologies.ipynb", tmp_path)
    saw = shown(notebook)
    apart = re.search(r"Furthest apart, of 43 numbers: (\S+)", saw)
    assert apart
    assert float(apart[1]) < 1e-12
    assert "Ring(): each mix is of 3 models" in saw
    assert len(outputs(notebook, "image/png")) == 1


@pytest.mark.slow
def test_only_the_sum(tmp_path: Path) -> None:
    notebook = executed("secure_aggregation.ipynb", tmp_path)
    saw = shown(notebook)
    found = re.search(r"Correlation of message and model: (\S+);", saw)
    assert found
    assert abs(float(found[1])) < 0.75  # 42 numbers: by chance once in a hundred million
    assert "the average is exact to 1e-10" in saw
    assert "A step of the secure sum was asked for twice" in saw
    noise = re.search(r"of one hospital: (\S+); of three together: (\S+)\n", saw)
    assert noise
    assert float(noise[1]) == pytest.approx(4 / 3**0.5, abs=0.01)
    assert float(noise[2]) == pytest.approx(4, rel=0.15)  # of a thousand draws
    assert len(outputs(notebook, "image/png")) == 1


@pytest.mark.slow
def test_a_first_study_from_elsewhere(tmp_path: Path) -> None:
    notebook = executed("first_study_elsewhere.ipynb", tmp_path)
    saw = shown(notebook)
    found = re.search(r"federated (\S+), pooled (\S+)\n", saw)
    assert found
    assert float(found[1]) > 0.65
    assert "class FlowerClient(NumPyClient):" in saw
    without = "Flower is not installed here, so this cell does nothing: pip install 'wardround[flower]'"
    assert (without in saw) == (find_spec("flwr") is None)
    results = [page for page in outputs(notebook, "text/html") if "mean_loss" in page]
    assert len(results) == (2 if find_spec("flwr") is None else 3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_imaging_study(tmp_path: Path) -> None:
    notebook = executed("imaging.ipynb", tmp_path)
    saw = shown(notebook)
    assert "every pixel of 'radiograph': also a face" in saw
    table = next(text for text in outputs(notebook, "text/plain") if "alone" in text and "together" in text)
    aucs = {
        line.split()[0]: [float(one) for one in line.split()[-2:]]
        for line in table.splitlines()[1:]
        if len(line.split()) == 4
    }
    for small in ("hillside", "lakeside"):
        alone, together = aucs[small]
        assert together > alone
        assert together > 0.8
    assert len(outputs(notebook, "image/png")) == 3
