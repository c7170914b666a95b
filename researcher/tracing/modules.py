"""How each allowed layer is written in a graph. It is known by its exact class: a subclass may compute anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from datasites.wire.graph import layers, pointwise
from researcher.tracing import functions
from researcher.tracing.builder import Builder, Ref, Unsupported

Convert = Callable[[Builder, str, Any, Ref], Ref]


def _names(path: str, module: nn.Module) -> dict[str, str | None]:
    """Full names of the weight and bias that the layer has."""
    own = {name for name, _ in module.named_parameters(recurse=False)}
    prefix = f"{path}." if path else ""
    return {name: f"{prefix}{name}" if name in own else None for name in ("weight", "bias")}


def _linear(b: Builder, path: str, m: nn.Linear, x: Ref) -> Ref:
    return b.add(layers.Linear, x, **_names(path, m))


def _convolution(b: Builder, path: str, m: nn.Conv1d | nn.Conv2d, x: Ref) -> Ref:
    if m.padding_mode != "zeros":
        raise Unsupported(f"Padding mode {m.padding_mode} is not supported. Use padding_mode='zeros'.")
    names = _names(path, m)
    return functions.convolution(b, x, names, m.kernel_size, m.stride, m.padding, m.dilation, m.groups)


def _embedding(b: Builder, path: str, m: nn.Embedding, x: Ref) -> Ref:
    if m.max_norm is not None or m.scale_grad_by_freq or m.sparse:
        raise Unsupported("max_norm, scale_grad_by_freq and sparse mix records. Leave them out.")
    return b.add(layers.Embedding, x, weight=_names(path, m)["weight"], padding_index=m.padding_idx)


def _layer_norm(b: Builder, path: str, m: nn.LayerNorm, x: Ref) -> Ref:
    return b.add(layers.LayerNorm, x, shape=tuple(m.normalized_shape), epsilon=m.eps, **_names(path, m))


def _group_norm(b: Builder, path: str, m: nn.GroupNorm, x: Ref) -> Ref:
    return b.add(layers.GroupNorm, x, groups=m.num_groups, epsilon=m.eps, **_names(path, m))


def _instance_norm(b: Builder, path: str, m: Any, x: Ref) -> Ref:
    if len(b.shape(x)) != (2 if isinstance(m, nn.InstanceNorm1d) else 3):
        raise Unsupported(f"An input {b.shape(x)} of one record is not one with channels first.")
    # over each channel of each record: as many groups as channels
    return b.add(layers.GroupNorm, x, groups=m.num_features, epsilon=m.eps, **_names(path, m))


def _prelu(b: Builder, path: str, m: nn.PReLU, x: Ref) -> Ref:
    return b.add(layers.PReLU, x, weight=_names(path, m)["weight"])


def _activation(op: str) -> Convert:
    return lambda b, path, m, x: b.add(pointwise.Activation, x, op=op)


def _gelu(b: Builder, path: str, m: nn.GELU, x: Ref) -> Ref:
    return functions.gelu(b, x, m.approximate)


def _leaky_relu(b: Builder, path: str, m: nn.LeakyReLU, x: Ref) -> Ref:
    return b.add(pointwise.LeakyReLU, x, slope=float(m.negative_slope))


def _elu(b: Builder, path: str, m: nn.ELU, x: Ref) -> Ref:
    return b.add(pointwise.ELU, x, alpha=float(m.alpha))


def _softplus(b: Builder, path: str, m: nn.Softplus, x: Ref) -> Ref:
    return b.add(pointwise.Softplus, x, beta=float(m.beta), threshold=float(m.threshold))


def _hardtanh(b: Builder, path: str, m: nn.Hardtanh, x: Ref) -> Ref:
    return b.add(pointwise.Clamp, x, low=float(m.min_val), high=float(m.max_val))


def _softmax(op: str) -> Convert:
    return lambda b, path, m, x: functions.softmax(b, op, x, m.dim)


def _dropout(b: Builder, path: str, m: nn.Dropout, x: Ref) -> Ref:
    return b.add(pointwise.Dropout, x, probability=float(m.p))


def _identity(b: Builder, path: str, m: nn.Module, x: Ref) -> Ref:
    return x


def _flatten(b: Builder, path: str, m: nn.Flatten, x: Ref) -> Ref:
    return functions.flatten(b, x, m.start_dim, m.end_dim)


def _unflatten(b: Builder, path: str, m: nn.Unflatten, x: Ref) -> Ref:
    return functions.unflatten(b, x, m.dim, m.unflattened_size)


def _pool(op: str, axes: int) -> Convert:
    def convert(b: Builder, path: str, m: Any, x: Ref) -> Ref:
        options = {name: getattr(m, name) for name in functions.POOL_DEFAULTS if hasattr(m, name)}
        return functions.pool(b, op, axes, x, m.kernel_size, m.stride, m.padding, **options)

    return convert


def _adaptive(op: str, axes: int) -> Convert:
    return lambda b, path, m, x: functions.adaptive_pool(b, op, axes, x, m.output_size)


CONVERT: dict[type[nn.Module], Convert] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.Embedding: _embedding,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.InstanceNorm1d: _instance_norm,
    nn.InstanceNorm2d: _instance_norm,
    nn.PReLU: _prelu,
    nn.ReLU: _activation("relu"),
    nn.ReLU6: _activation("relu6"),
    nn.SELU: _activation("selu"),
    nn.GELU: _gelu,
    nn.SiLU: _activation("silu"),
    nn.Mish: _activation("mish"),
    nn.Tanh: _activation("tanh"),
    nn.Sigmoid: _activation("sigmoid"),
    nn.Hardswish: _activation("hardswish"),
    nn.Hardsigmoid: _activation("hardsigmoid"),
    nn.Softsign: _activation("softsign"),
    nn.LogSigmoid: _activation("log_sigmoid"),
    nn.LeakyReLU: _leaky_relu,
    nn.ELU: _elu,
    nn.Softplus: _softplus,
    nn.Hardtanh: _hardtanh,
    nn.Softmax: _softmax("softmax"),
    nn.LogSoftmax: _softmax("log_softmax"),
    nn.Dropout: _dropout,
    nn.Identity: _identity,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.AvgPool1d: _pool("average_pool", 1),
    nn.AvgPool2d: _pool("average_pool", 2),
    nn.MaxPool1d: _pool("max_pool", 1),
    nn.MaxPool2d: _pool("max_pool", 2),
    nn.AdaptiveAvgPool1d: _adaptive("adaptive_average_pool", 1),
    nn.AdaptiveAvgPool2d: _adaptive("adaptive_average_pool", 2),
    nn.AdaptiveMaxPool1d: _adaptive("adaptive_max_pool", 1),
    nn.AdaptiveMaxPool2d: _adaptive("adaptive_max_pool", 2),
}
