from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from datasites.wire.graph import Graph

FIELDS: dict[str, Any] = {
    "input": {"shape": [4], "kind": "float32"},
    "nodes": [
        {"op": "linear", "inputs": [0], "weight": "a.weight", "bias": "a.bias"},
        {"op": "relu", "inputs": [1]},
        {"op": "linear", "inputs": [2], "weight": "b.weight"},
    ],
    "parameters": {"a.weight": [3, 4], "a.bias": [3], "b.weight": [1, 3]},
    "output": 3,
}


def fields(path: str = "", value: Any = None) -> dict[str, Any]:
    """The graph above, with another value at a place."""
    changed = copy.deepcopy(FIELDS)
    place: Any = changed
    *parents, last = path.split("/")
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    if path:
        place[int(last) if last.isdigit() else last] = value
    return changed


def test_it_survives_the_way_and_has_one_digest() -> None:
    graph = Graph.model_validate(fields())
    assert Graph.model_validate_json(graph.canonical()) == graph
    assert Graph.model_validate_json(graph.canonical()).digest == graph.digest
    assert graph.output_shape == (1,)
    assert Graph.model_validate(fields("nodes/1/op", "tanh")).digest != graph.digest


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("nodes/1", {"op": "exec", "inputs": [1]}, "does not match any"),
        ("nodes/1", {"op": "relu", "inputs": [1], "code": "x"}, "not permitted"),
        ("nodes/1", {"op": "relu", "inputs": [1, 1]}, "takes one input"),
        ("nodes/1", {"op": "relu", "inputs": []}, "at least 1"),
        ("nodes/1", {"op": "relu", "inputs": [2]}, "computed later"),
        ("nodes/1", {"op": "relu", "inputs": [3]}, "computed later"),
        ("nodes/1", {"op": "relu", "inputs": [-1]}, "greater than or equal to 0"),
        ("nodes/1", {"op": "relu", "inputs": [True]}, "valid integer"),
        ("nodes/1", {"op": "softmax", "inputs": [1], "axis": 1}, "has no axis"),
        ("nodes/1", {"op": "softmax", "inputs": [1], "axis": -1}, "greater than or equal to 0"),
        ("nodes/1", {"op": "affine", "inputs": [1], "scale": float("nan")}, "finite"),
        ("nodes/1", {"op": "affine", "inputs": [1], "scale": 1e9}, "less than or equal"),
        ("nodes/1", {"op": "dropout", "inputs": [1], "probability": 1.0}, "less than 1"),
        ("nodes/1", {"op": "reshape", "inputs": [1], "shape": [2, 2]}, "cannot be arranged"),
        ("nodes/1", {"op": "reshape", "inputs": [1], "shape": [0]}, "greater than or equal to 1"),
        ("nodes/1", {"op": "narrow", "inputs": [1], "axis": 0, "start": 2, "length": 2}, "are not all in"),
        ("nodes/1", {"op": "permute", "inputs": [1], "axes": [1]}, "not an order"),
        ("nodes/1", {"op": "embedding", "inputs": [1], "weight": "a.weight"}, "takes int64"),
        ("nodes/1", {"op": "convert", "inputs": [1], "kind": "int64"}, "takes float32"),
        ("nodes/1/inputs", [0], "does not fit"),
        ("input/shape", [5], "does not fit an input"),
        ("input/shape", [2**30], "less than or equal"),
        ("input/shape", [2**20, 2**20], "too large"),
        ("parameters/a.weight", [4, 4], "the shape"),
        ("parameters/a.bias", [4], "the shape"),
        ("parameters/c", [1], "never used"),
        ("parameters/a", [1], "lies inside another"),
        ("parameters/../x", [1], "pattern"),
        ("parameters/b.weight", [2**22, 2**22], "more than"),
        ("nodes/0/weight", "c.weight", "unknown or never used"),
        ("nodes/0/weight", None, "valid string"),
        ("output", 4, "refers to no value"),
        ("version", 2, "Input should be 1"),
        ("code", "import os", "not permitted"),
        ("nodes", [FIELDS["nodes"][0]] * 2001, "at most 2000"),
    ],
    ids=str,
)
def test_a_graph_that_cannot_be_built_is_refused(path: str, value: Any, says: str) -> None:
    if path == "parameters/../x":
        changed = fields()
        changed["parameters"]["../x"] = value
    else:
        changed = fields(path, value)
    with pytest.raises(ValidationError, match=says):
        Graph.model_validate(changed)


def test_values_of_different_axes_cannot_meet() -> None:
    """[rows, 4] and [rows, 4, 4] would be laid over each other with the rows of the one as an axis of the other."""
    nodes = [
        {"op": "linear", "inputs": [0], "weight": "w"},
        {"op": "mean", "inputs": [1], "axes": [1]},
        {"op": "reshape", "inputs": [2], "shape": [4]},
        {"op": "add", "inputs": [1, 3]},
    ]
    graph = {"input": {"shape": [4, 4]}, "nodes": nodes, "parameters": {"w": [4, 4]}, "output": 4}
    with pytest.raises(ValidationError, match="do not fit each other"):
        Graph.model_validate(graph)
