"""From a researcher's module to a closed graph of allowed operations.

torch.fx runs `forward` once, on stand-ins instead of tensors, and records what it calls. What it recorded is written
in the graph's own words; whatever has none is refused, all of it at once. Only the graph and the parameters travel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from torch import fx, nn
from torch.fx.node import map_aggregate

from datasites.wire.arrays import Arrays
from datasites.wire.graph import Graph, Input
from policies.errors import InvalidInput
from researcher.tracing import scan
from researcher.tracing.builder import Builder, Parameter, Ref, Unsupported
from researcher.tracing.calls import FUNCTIONS, METHODS
from researcher.tracing.modules import CONVERT

_BAD = object()  # the result of what was refused already: what follows from it is not refused again


def trace(module: nn.Module, features: int | Sequence[int], integers: bool = False) -> Graph:
    """`module` as data, for rows of so many features, or of that shape; of whole numbers if `integers`.

    `forward` must take one tensor [rows, *features] and return one. The module is not changed. Raises InvalidInput that
    lists every layer and call that cannot be carried, why, and what to use instead.
    """
    problems = scan.problems(module)
    given = Input(
        shape=(features,) if isinstance(features, int) else tuple(features), kind="int64" if integers else "float32"
    )
    known = {name: p for name, p in module.named_parameters() if not isinstance(p, nn.parameter.UninitializedParameter)}
    shapes = {name: tuple(parameter.shape) for name, parameter in known.items()}
    graphs: list[Graph] = []
    was = {part: part.training for part in module.modules()}
    try:
        for training in (True, False):
            module.train(training)
            builder = Builder(given, shapes, training)
            output = _Translation(module, builder, problems).run() if not problems or training else None
            if isinstance(output, Ref) and not problems:
                graphs += _finish(builder, output, problems)
    finally:
        for part, training in was.items():
            part.training = training
    if not problems and graphs[0] != graphs[1]:
        problems.append("forward: it computes something else in training than in evaluation. Use nn.Dropout.")
    if problems:
        raise InvalidInput("The model cannot be carried as data: " + "\n- ".join(["", *dict.fromkeys(problems)]))
    return graphs[0]


def initial_parameters(module: nn.Module) -> Arrays:
    """Copies of the module's parameters, by the names that the graph gives them."""
    return {name: parameter.detach().cpu().numpy().copy() for name, parameter in module.named_parameters()}


def _finish(builder: Builder, output: Ref, problems: list[str]) -> list[Graph]:
    unused = builder.parameters.keys() - {name for node in builder.nodes for name in node.uses()}
    problems += [f"parameter {name}: forward never uses it. Remove it." for name in sorted(unused)]
    if unused:
        return []
    try:
        nodes, shapes = tuple(builder.nodes), dict(builder.parameters)
        return [Graph(input=builder.input, nodes=nodes, parameters=shapes, output=output.number)]
    except ValidationError as problem:
        problems.append(f"the model as a whole: {problem.errors()[0]['msg']}")
        return []


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return scan.is_layer(m)


class _Translation:
    """One trace of one module, in the mode that the module is in."""

    def __init__(self, module: nn.Module, builder: Builder, problems: list[str]) -> None:
        self._module, self._builder, self._problems = module, builder, problems
        self._results: dict[fx.Node, Any] = {}

    def run(self) -> Any:
        """The output's Ref, or what is none where problems were found."""
        try:
            recorded = _Tracer().trace(self._module)
        except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError, LookupError) as problem:
            self._problems.append(
                f"forward: it cannot be followed without data ({' '.join(str(problem).split())}). What it computes"
                " must not depend on values: no if, while, len or conversion to numbers on a tensor."
            )
            return _BAD
        for node in recorded.nodes:
            result = self._node(node)
            if node.op == "output":
                return result
            self._results[node] = result
        return _BAD

    def _node(self, node: fx.Node) -> Any:
        arguments = map_aggregate((node.args, dict(node.kwargs)), self._resolve)
        try:
            self._check_known(node)
            if _has_bad(arguments):
                return _BAD
            return getattr(self, f"_{node.op}")(node, *arguments)
        except Unsupported as problem:
            self._problems.append(f"{_describe(node)}: {problem}")
        except (TypeError, ValueError, IndexError, KeyError):
            self._problems.append(f"{_describe(node)}: it is called in a way that is not supported.")
        return _BAD

    def _resolve(self, argument: Any) -> Any:
        return self._results[argument] if isinstance(argument, fx.Node) else argument

    def _placeholder(self, node: fx.Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return Ref(0) if not self._results else self._default(args)

    def _default(self, args: tuple[Any, ...]) -> Any:
        if not args:
            raise Unsupported("forward must take one tensor. Put everything a row carries into it.")
        return args[0]

    def _get_attr(self, node: fx.Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if node.target not in self._builder.parameters:
            raise Unsupported("it is no parameter, and only parameters travel. Use plain numbers in forward.")
        return Parameter(str(node.target))

    def _call_module(self, node: fx.Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        path = str(node.target)
        layer = self._module.get_submodule(path)
        values = (*args, *kwargs.values())
        if type(layer) not in CONVERT:  # refused by the scan; what follows a normalisation can still be looked at
            return values[0] if "Norm" in type(layer).__name__ else _BAD
        if len(values) != 1 or not isinstance(values[0], Ref):
            raise Unsupported("A layer takes one value computed from the model's input.")
        return CONVERT[type(layer)](self._builder, path, layer, values[0])

    def _call_function(self, node: fx.Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return FUNCTIONS[node.target](self._builder, *args, **kwargs)  # type: ignore[index] # checked before

    def _call_method(self, node: fx.Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return METHODS[str(node.target)](self._builder, *args, **kwargs)

    def _check_known(self, node: fx.Node) -> None:
        unknown = (node.op == "call_function" and node.target not in FUNCTIONS) or (
            node.op == "call_method" and node.target not in METHODS
        )
        if unknown:
            raise Unsupported("it is not in the list of allowed calls. Use the layers of torch.nn that are.")

    def _output(self, node: fx.Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not isinstance(args[0], Ref):
            raise Unsupported("forward must return one tensor that was computed from its input.")
        return args[0]


def _has_bad(arguments: Any) -> bool:
    bad = []
    map_aggregate(arguments, lambda part: bad.append(part) if part is _BAD else part)
    return bool(bad)


def _describe(node: fx.Node) -> str:
    if node.op == "call_module":
        return f"layer {node.target}"
    if node.op == "call_function":
        return f"call of {getattr(node.target, '__name__', node.target)}"
    return {"call_method": "call of the method", "get_attr": "attribute"}.get(node.op, node.op) + f" {node.target}"
