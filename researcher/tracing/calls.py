"""The functions and methods that `forward` may call, by what torch.fx records of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from datasites.wire.graph import layers, pointwise
from researcher.tracing import functions as f
from researcher.tracing.builder import ROWS, Builder, Parameter, Ref, Unsupported

Call = Callable[..., Any]


def _activation(op: str) -> Call:
    def call(b: Builder, input: Ref, inplace: bool = False) -> Ref:
        _not_in_place(inplace)
        return b.add(pointwise.Activation, input, op=op)

    return call


def _not_in_place(inplace: bool) -> None:
    if inplace:
        raise Unsupported("It changes a value in place. Use inplace=False.")


def _combine(op: str) -> Call:
    def call(b: Builder, input: Any, other: Any, *, alpha: float = 1) -> Any:
        if not isinstance(input, Ref) and not isinstance(other, Ref):
            return _static(op, input, other)
        if alpha != 1:
            raise Unsupported("alpha is not supported. Multiply first.")
        return b.combine(op, input, other)

    return call


def _static(op: str, left: Any, right: Any) -> Any:
    """Arithmetic of sizes."""
    if not all(isinstance(part, int | float) and not isinstance(part, bool) for part in (left, right)):
        raise Unsupported("Only values of the same record and plain numbers can be combined.")
    return {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "divide": operator.truediv}[op](
        left, right
    )


def _floor_divide(b: Builder, left: Any, right: Any) -> Any:
    if not isinstance(left, int) or not isinstance(right, int):
        raise Unsupported("Only sizes can be divided without remainder.")
    return left // right


def _dropout(b: Builder, input: Ref, p: float = 0.5, training: bool = True, inplace: bool = False) -> Ref:
    _not_in_place(inplace)
    if training is not b.training:
        raise Unsupported("It must be active while training and only then. Use training=self.training or nn.Dropout.")
    return b.add(pointwise.Dropout, input, probability=float(p))


def _named(parameter: Any, what: str) -> str | None:
    if parameter is not None and not isinstance(parameter, Parameter):
        raise Unsupported(f"Its {what} is not a parameter of the model.")
    return None if parameter is None else parameter.name


def _linear(b: Builder, input: Ref, weight: Any, bias: Any = None) -> Ref:
    return b.add(layers.Linear, input, weight=_named(weight, "weight"), bias=_named(bias, "bias"))


def _convolution(axes: int) -> Call:
    def call(
        b: Builder, input: Ref, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1,
    ) -> Ref:  # fmt: skip
        names = {"weight": _named(weight, "weight"), "bias": _named(bias, "bias")}
        kernel = b.parameters[weight.name][2:] if isinstance(weight, Parameter) else ()
        if len(kernel) != axes:
            raise Unsupported(f"Its weight has not the {axes + 2} axes that it needs.")
        return f.convolution(b, input, names, kernel, stride, padding, dilation, groups)

    return call


def _embedding(b: Builder, input: Ref, weight: Any, padding_idx: int | None = None, **options: Any) -> Ref:
    if any(value not in (None, False) for name, value in options.items() if name != "norm_type"):
        raise Unsupported("max_norm, scale_grad_by_freq and sparse mix records. Leave them out.")
    return b.add(layers.Embedding, input, weight=_named(weight, "weight"), padding_index=padding_idx)


def _layer_norm(
    b: Builder, input: Ref, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Ref:
    names = {"weight": _named(weight, "weight"), "bias": _named(bias, "bias")}
    return b.add(layers.LayerNorm, input, shape=tuple(normalized_shape), epsilon=eps, **names)


def _group_norm(
    b: Builder, input: Ref, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Ref:
    names = {"weight": _named(weight, "weight"), "bias": _named(bias, "bias")}
    return b.add(layers.GroupNorm, input, groups=num_groups, epsilon=eps, **names)


def _leaky_relu(b: Builder, input: Ref, negative_slope: float = 0.01, inplace: bool = False) -> Ref:
    _not_in_place(inplace)
    return b.add(pointwise.LeakyReLU, input, slope=float(negative_slope))


def _elu(b: Builder, input: Ref, alpha: float = 1.0, inplace: bool = False) -> Ref:
    _not_in_place(inplace)
    return b.add(pointwise.ELU, input, alpha=float(alpha))


def _softplus(b: Builder, input: Ref, beta: float = 1, threshold: float = 20) -> Ref:
    return b.add(pointwise.Softplus, input, beta=float(beta), threshold=float(threshold))


def _clamp(b: Builder, input: Ref, min: float | None = None, max: float | None = None) -> Ref:
    if min is None or max is None:
        raise Unsupported("It needs two numbers, min and max.")
    return b.add(pointwise.Clamp, input, low=float(min), high=float(max))


def _softmax(op: str) -> Call:
    def call(b: Builder, input: Ref, dim: int | None = None, _stacklevel: int = 3, dtype: None = None) -> Ref:
        if dtype is not None:
            raise Unsupported("dtype is not supported. Leave it out.")
        return f.softmax(b, op, input, dim)

    return call


def _gelu(b: Builder, input: Ref, approximate: str = "none") -> Ref:
    return f.gelu(b, input, approximate)


def _pool(op: str, axes: int) -> Call:
    def call(b: Builder, input: Ref, kernel_size: Any, stride: Any = None, padding: Any = 0, **options: Any) -> Ref:
        return f.pool(b, op, axes, input, kernel_size, stride, padding, **options)

    return call


def _adaptive(op: str, axes: int) -> Call:
    def call(b: Builder, input: Ref, output_size: Any, return_indices: bool = False) -> Ref:
        if return_indices:
            raise Unsupported("return_indices is not supported. Leave it out.")
        return f.adaptive_pool(b, op, axes, input, output_size)

    return call


def _reduce(op: str) -> Call:
    return lambda b, input, dim=None, keepdim=False: f.reduce(b, op, input, dim, keepdim)


def _convert(kind: str) -> Call:
    return lambda b, input: b.add(pointwise.Convert, input, kind=kind)


def _negative(b: Builder, input: Ref) -> Ref:
    return b.combine("multiply", input, -1)


def _same(b: Builder, input: Ref) -> Ref:
    return input


def _size(b: Builder, input: Ref, dim: int | None = None) -> Any:
    sizes = (ROWS, *b.shape(input))
    return sizes if dim is None else sizes[dim]


def _attribute(b: Builder, input: Any, name: str) -> Any:
    if not isinstance(input, Ref) or name != "shape":
        raise Unsupported(f"The attribute {name} of a value is not known while tracing.")
    return _size(b, input)


def _getitem(b: Builder, input: Any, key: Any) -> Any:
    return f.index(b, input, key) if isinstance(input, Ref) else input[key]


_ACTIVATIONS: dict[str, tuple[Call, ...]] = {
    "relu": (torch.relu, F.relu),
    "relu6": (F.relu6,),
    "selu": (torch.selu, F.selu),
    "silu": (F.silu,),
    "mish": (F.mish,),
    "tanh": (torch.tanh, F.tanh),
    "sigmoid": (torch.sigmoid, F.sigmoid),
    "hardswish": (F.hardswish,),
    "hardsigmoid": (F.hardsigmoid,),
    "softsign": (F.softsign,),
    "log_sigmoid": (F.logsigmoid,),
}
FUNCTIONS: dict[Call, Call] = {
    **{function: _activation(op) for op, those in _ACTIVATIONS.items() for function in those},
    **dict.fromkeys((operator.add, torch.add), _combine("add")),
    **dict.fromkeys((operator.sub, torch.sub, torch.subtract), _combine("subtract")),
    **dict.fromkeys((operator.mul, torch.mul, torch.multiply), _combine("multiply")),
    **dict.fromkeys((operator.truediv, torch.div, torch.divide, torch.true_divide), _combine("divide")),
    operator.floordiv: _floor_divide,
    torch.maximum: _combine("maximum"),
    torch.minimum: _combine("minimum"),
    **dict.fromkeys((operator.neg, torch.neg, torch.negative), _negative),
    operator.getitem: _getitem,
    getattr: _attribute,
    F.linear: _linear,
    F.conv1d: _convolution(1),
    F.conv2d: _convolution(2),
    F.embedding: _embedding,
    F.layer_norm: _layer_norm,
    F.group_norm: _group_norm,
    F.gelu: _gelu,
    F.leaky_relu: _leaky_relu,
    F.elu: _elu,
    F.softplus: _softplus,
    **dict.fromkeys((torch.clamp, torch.clip), _clamp),
    **dict.fromkeys((torch.softmax, F.softmax), _softmax("softmax")),
    **dict.fromkeys((torch.log_softmax, F.log_softmax), _softmax("log_softmax")),
    F.dropout: _dropout,
    torch.flatten: f.flatten,
    torch.unflatten: f.unflatten,
    torch.reshape: f.reshape,
    torch.permute: f.permute,
    **dict.fromkeys((torch.transpose, torch.swapaxes), f.transpose),
    torch.unsqueeze: f.unsqueeze,
    torch.squeeze: f.squeeze,
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), f.concatenate),
    torch.stack: f.stack,
    torch.chunk: f.chunk,
    torch.split: f.split,
    torch.mean: _reduce("mean"),
    torch.sum: _reduce("sum"),
    torch.amax: _reduce("greatest"),
    torch.amin: _reduce("least"),
    torch.avg_pool1d: _pool("average_pool", 1),
    F.avg_pool2d: _pool("average_pool", 2),
    F.max_pool1d: _pool("max_pool", 1),
    F.max_pool2d: _pool("max_pool", 2),
    F.adaptive_avg_pool1d: _adaptive("adaptive_average_pool", 1),
    F.adaptive_avg_pool2d: _adaptive("adaptive_average_pool", 2),
    F.adaptive_max_pool1d: _adaptive("adaptive_max_pool", 1),
    F.adaptive_max_pool2d: _adaptive("adaptive_max_pool", 2),
}
METHODS: dict[str, Call] = {
    **{op: _activation(op) for op in ("relu", "tanh", "sigmoid")},
    "add": _combine("add"),
    "sub": _combine("subtract"),
    "mul": _combine("multiply"),
    "div": _combine("divide"),
    "neg": _negative,
    **dict.fromkeys(("clamp", "clip"), _clamp),
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "size": _size,
    "flatten": f.flatten,
    "unflatten": f.unflatten,
    **dict.fromkeys(("view", "reshape"), f.reshape),
    "permute": f.permute,
    **dict.fromkeys(("transpose", "swapaxes"), f.transpose),
    "unsqueeze": f.unsqueeze,
    "squeeze": f.squeeze,
    "chunk": f.chunk,
    "split": f.split,
    "mean": _reduce("mean"),
    "sum": _reduce("sum"),
    "amax": _reduce("greatest"),
    "amin": _reduce("least"),
    "contiguous": _same,
    **dict.fromkeys(("long", "int"), _convert("int64")),
    "float": _convert("float32"),
}
