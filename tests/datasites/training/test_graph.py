from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from torch import Tensor, nn

from datasites.training.graph import GraphModule, build
from datasites.wire.graph import Graph, Operation
from policies.errors import InvalidInput
from researcher.tracing import trace
from tests.support.networks import EXAMPLES, rebuilt


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_hospital_computes_what_the_researcher_does(name: str) -> None:
    example = EXAMPLES[name]
    module = example.module().eval()
    graph = example.graph(module)
    inputs = example.batch(9, 1)[0][:, 0]
    theirs = rebuilt(graph, module).eval()
    torch.testing.assert_close(theirs(inputs), module(inputs))
    assert theirs(inputs).shape[1:] == graph.output_shape
    assert theirs.state_dict().keys() == module.state_dict().keys() == graph.parameters.keys()


@pytest.mark.parametrize("name", ["mlp", "residual"])
def test_dropout_is_the_researchers(name: str) -> None:
    """The same draws, hence the same layers in the same order."""
    example = EXAMPLES[name]
    module = example.module().train()
    theirs = rebuilt(example.graph(module), module).train()
    inputs = example.batch(9, 1)[0][:, 0]
    outputs = []
    for one in (module, theirs):
        torch.manual_seed(3)
        outputs.append(one(inputs))
    torch.testing.assert_close(*outputs)


ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Hardsigmoid),
    *(nn.Softsign, nn.LogSigmoid, nn.LeakyReLU, nn.ELU, nn.Softplus, nn.Hardtanh, nn.PReLU, nn.Identity),
)


@settings(max_examples=40, deadline=None)
@given(data=some.data())
def test_any_mlp(data: some.DataObject) -> None:
    widths = data.draw(some.lists(some.integers(1, 9), min_size=1, max_size=5))
    layers: list[nn.Module] = []
    for inside, outside in zip(widths, [*widths[1:], 2], strict=True):
        layers.append(nn.Linear(inside, outside, bias=data.draw(some.booleans())))
        layers += [nn.LayerNorm(outside), nn.GroupNorm(1, outside)][: data.draw(some.integers(0, 2))]
        layers.append(data.draw(some.sampled_from(ACTIVATIONS))())
    _assert_same(nn.Sequential(*layers), (widths[0],))


@settings(max_examples=40, deadline=None)
@given(data=some.data())
def test_any_convolutional_network(data: some.DataObject) -> None:
    axes = data.draw(some.sampled_from([1, 2]))
    convolution, pools = [(nn.Conv1d, (nn.AvgPool1d, nn.MaxPool1d)), (nn.Conv2d, (nn.AvgPool2d, nn.MaxPool2d))][
        axes - 1
    ]
    groups, kernel = data.draw(some.integers(1, 2)), data.draw(some.integers(1, 3))
    channels = 2 * groups
    layers: list[nn.Module] = [
        convolution(
            2,
            channels,
            kernel,
            stride=data.draw(some.integers(1, 2)),
            padding=data.draw(some.integers(0, 2)),
            dilation=data.draw(some.integers(1, 2)),
            groups=groups,
        ),
        data.draw(some.sampled_from(ACTIVATIONS))(),
        data.draw(some.sampled_from(pools))(2, padding=data.draw(some.integers(0, 1))),
        [nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d][axes - 1](data.draw(some.integers(1, 3))),
        nn.Flatten(),
    ]
    _assert_same(nn.Sequential(*layers), (2, *[9] * axes))


def _assert_same(module: nn.Module, shape: tuple[int, ...]) -> None:
    inputs = torch.randn(5, *shape)
    torch.testing.assert_close(rebuilt(trace(module, shape), module)(inputs), module(inputs))


W = {"weight": "w"}
OPERATIONS: list[tuple[dict[str, object], tuple[int, ...], dict[str, tuple[int, ...]]]] = [
    ({"op": "linear", **W, "bias": "b"}, (3, 4), {"w": (2, 4), "b": (2,)}),
    ({"op": "convolution", **W, "stride": [1], "padding": [1], "dilation": [1]}, (3, 4), {"w": (2, 3, 3)}),
    ({"op": "layer_norm", **W, "shape": [4], "epsilon": 1e-5}, (3, 4), {"w": (4,)}),
    ({"op": "group_norm", **W, "groups": 3, "epsilon": 1e-5}, (3, 4), {"w": (3,)}),
    ({"op": "prelu", **W}, (3, 4), {"w": (3,)}),
    *[({"op": op}, (3, 4), {}) for op in ("relu", "gelu", "silu", "tanh", "log_sigmoid")],
    *[({"op": op, "axis": axis}, (3, 4), {}) for op in ("softmax", "log_softmax") for axis in (0, 1)],
    *[({"op": op, "axes": axes}, (3, 4), {}) for op in ("mean", "sum", "greatest", "least") for axes in ([0], [0, 1])],
    ({"op": "reshape", "shape": [2, 6]}, (3, 4), {}),
    ({"op": "permute", "axes": [1, 0]}, (3, 4), {}),
    ({"op": "narrow", "axis": 1, "start": 1, "length": 2}, (3, 4), {}),
    ({"op": "average_pool", "kernel": [2], "stride": [2], "padding": [0]}, (3, 4), {}),
    ({"op": "max_pool", "kernel": [2], "stride": [1], "padding": [1]}, (3, 4), {}),
    ({"op": "adaptive_average_pool", "shape": [2]}, (3, 4), {}),
    ({"op": "adaptive_max_pool", "shape": [2]}, (3, 4), {}),
    *[({"op": op, "inputs": [0, 0]}, (3, 4), {}) for op in ("add", "subtract", "multiply", "maximum")],
    ({"op": "concatenate", "axis": 0, "inputs": [0, 0]}, (3, 4), {}),
    ({"op": "dropout", "probability": 0.5}, (3, 4), {}),
    ({"op": "affine", "scale": 2.0, "shift": 1.0}, (3, 4), {}),
    ({"op": "clamp", "low": -0.5, "high": 0.5}, (3, 4), {}),
]


@pytest.mark.parametrize(("node", "shape", "parameters"), OPERATIONS, ids=lambda part: str(part)[:60])
@pytest.mark.parametrize("rows", [3, 4])
def test_no_operation_mixes_rows(
    node: dict[str, object], shape: tuple[int, ...], parameters: dict[str, tuple[int, ...]], rows: int
) -> None:
    """With as many rows as an axis is long, so that a mistaken axis would fit too."""
    module = _alone(node, shape, parameters).train()
    inputs = torch.randn(rows, *shape, requires_grad=True)
    outputs = module(inputs)
    assert outputs.shape == (rows, *module.graph.output_shape)
    for row in range(rows):
        (gradient,) = torch.autograd.grad(outputs[row].sum(), inputs, retain_graph=True)
        assert not gradient[[other for other in range(rows) if other != row]].any()
    _assert_rows_stand_alone(module, inputs.detach())


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_model_mixes_rows(name: str) -> None:
    example = EXAMPLES[name]
    module = example.module()
    _assert_rows_stand_alone(rebuilt(example.graph(module), module).train(), example.batch(6, 1)[0][:, 0])


def _assert_rows_stand_alone(module: GraphModule, inputs: Tensor) -> None:
    changed = inputs.clone()
    changed[1] = changed[1] * 3 if inputs.is_floating_point() else 0
    outputs = []
    for one in (inputs, changed):
        torch.manual_seed(0)
        outputs.append(module(one).detach())
    others = [row for row in range(len(inputs)) if row != 1]
    assert torch.equal(outputs[0][others], outputs[1][others])


def _alone(node: dict[str, object], shape: tuple[int, ...], parameters: dict[str, tuple[int, ...]]) -> GraphModule:
    """That operation, and a parameter for those that have none."""
    used = parameters or {"w": (1,)}
    nodes = [{"inputs": [0], **node}]
    if not parameters:
        nodes.append({"op": "prelu", "weight": "w", "inputs": [1]})
    graph = Graph.model_validate({"input": {"shape": shape}, "nodes": nodes, "parameters": used, "output": len(nodes)})
    module = build(graph)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


def test_that_list_names_every_operation() -> None:
    tested = {str(node["op"]) for node, _, _ in OPERATIONS}
    elementwise = {"relu6", "selu", "gelu_tanh", "mish", "sigmoid", "hardswish", "hardsigmoid", "softsign"}
    elementwise |= {"leaky_relu", "elu", "softplus", "divide", "minimum"}
    integers = {"embedding", "convert"}  # in the models
    known: set[str] = set()
    for kind in Operation.__origin__.__args__:  # type: ignore[attr-defined]
        known |= set(kind.model_fields["op"].annotation.__args__)
    assert known == tested | elementwise | integers


def test_integers_that_an_embedding_does_not_have_stop_nothing() -> None:
    example = EXAMPLES["categories"]
    module = example.module()
    theirs = rebuilt(example.graph(module), module)
    inputs = torch.zeros(5, 7)
    inputs[:, 0] = torch.tensor([-7.0, 6.0, 1e30, float("nan"), float("inf")])
    nearest = torch.zeros(5, 7)
    nearest[:, 0] = torch.tensor([0.0, 5.0, 5.0, 0.0, 0.0])
    torch.testing.assert_close(theirs(inputs)[:2], theirs(nearest)[:2])
    assert theirs(inputs).isfinite().all()


@pytest.mark.parametrize("name", ["forward", "training", "body.load_state_dict", "__init__", "_parameters.w"])
def test_a_name_that_pytorch_keeps_is_refused(name: str) -> None:
    node = {"op": "linear", "inputs": [0], "weight": name}
    graph = {"input": {"shape": [2]}, "nodes": [node], "parameters": {name: [1, 2]}, "output": 1}
    with pytest.raises(InvalidInput, match="Rename"):
        build(Graph.model_validate(graph))
