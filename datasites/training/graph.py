"""The module that computes a graph: built by the hospital from the closed list, without any of the author's code."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from datasites.training.operations import compute
from datasites.wire.graph import Graph, Node
from policies.errors import InvalidInput

Tap = Callable[[Node, list[Tensor], Tensor], None]


class GraphModule(nn.Module):
    """Computes `graph` on [rows, *graph.input.shape]. Its state has exactly the graph's parameter names.

    Parameters start at zero: the researcher's initial ones, or those of a round, are loaded with `load_state_dict`.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.by_name = {name: nn.Parameter(torch.zeros(shape)) for name, shape in sorted(graph.parameters.items())}
        for name, parameter in self.by_name.items():
            _register(self, name, parameter)

    def forward(self, rows: Tensor) -> Tensor:
        return run(self.graph, self.by_name, rows, self.training)

    def values(self) -> dict[str, Tensor]:
        """The parameters as they are now, in the same memory, asking for no gradient."""
        return {name: parameter.detach() for name, parameter in self.by_name.items()}


def build(graph: Graph) -> GraphModule:
    """A module with the graph's parameters, all zero. Raises InvalidInput for a name that a module cannot have."""
    return GraphModule(graph)


def run(graph: Graph, parameters: Mapping[str, Tensor], rows: Tensor, training: bool, tap: Tap | None = None) -> Tensor:
    """The graph's output [rows, *graph.output_shape]. `tap` sees every layer with its inputs and its output."""
    values = [rows]
    for node in graph.nodes:
        inputs = [values[reference] for reference in node.inputs]
        output = compute(node, inputs, parameters, training)
        if tap is not None and node.uses():
            tap(node, inputs, output)
        values.append(output)
    return values[graph.output]


def _register(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    *folders, last = name.split(".")
    for folder in folders:
        if folder not in module._modules:
            _check_free(module, folder, name)
            module.add_module(folder, nn.Module())
        module = module.get_submodule(folder)
    _check_free(module, last, name)
    module.register_parameter(last, parameter)


def _check_free(module: nn.Module, part: str, name: str) -> None:
    if hasattr(module, part):
        raise InvalidInput(f"A parameter cannot be called {name}.", f"Rename {part}, a word that PyTorch keeps.")
