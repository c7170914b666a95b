"""What a module holds that cannot be carried as data: seen before anything of it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from researcher.tracing.modules import CONVERT


def problems(module: nn.Module) -> list[str]:
    """Every one, naming the layer's path and class, why, and what to use instead."""
    found: list[str] = []
    for path, layer in module.named_modules():
        found += [f"{_where(path, layer)}: {text}" for text in _layer_problems(layer)]
    return found + _parameter_problems(module)


def is_layer(module: nn.Module) -> bool:
    """True for PyTorch's own layers, which are translated or refused as a whole; False where `forward` is followed."""
    own = type(module).__module__.startswith("torch.") and type(module) not in _FOLLOWED
    return own and not parametrize.is_parametrized(module)


_FOLLOWED = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def _where(path: str, layer: nn.Module) -> str:
    return f"layer {path or '(the model itself)'} ({type(layer).__name__})"


def _layer_problems(layer: nn.Module) -> Iterator[str]:
    kind = type(layer)
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks:
        yield "it has hooks, which are code. Remove them."
    if parametrize.is_parametrized(layer):
        yield "its parameters are computed from others. Use parametrize.remove_parametrizations."
    if getattr(layer, "track_running_stats", False) and kind in (nn.InstanceNorm1d, nn.InstanceNorm2d):
        yield f"it keeps statistics of other records. Use {kind.__name__}(..., track_running_stats=False)."
    elif is_layer(layer) and kind not in CONVERT:
        yield _instead(layer)
    elif next(layer.buffers(recurse=False), None) is not None:
        names = ", ".join(name for name, _ in layer.named_buffers(recurse=False))
        yield f"it keeps the buffer {names}, and only parameters travel. Use plain numbers in forward."
    if getattr(layer, "inplace", False):
        yield "it changes a value in place. Use inplace=False."


def _instead(layer: Any) -> str:
    name = type(layer).__name__
    if "BatchNorm" in name:
        n = getattr(layer, "num_features", "n")
        groups = next((g for g in (32, 16, 8, 4, 2) if isinstance(n, int) and n % g == 0 and n > g), 1)
        plain = f"LayerNorm({n})" if name == "BatchNorm1d" else f"GroupNorm({groups}, {n})"
        other = f"GroupNorm({groups}, {n})" if name == "BatchNorm1d" else f"GroupNorm(1, {n})"
        return f"it mixes the records of a batch. Use {plain} or {other} instead."
    for part, text in _INSTEAD.items():
        if part in name:
            return text
    return f"it is not in the list of allowed layers. Use {', '.join(sorted(kind.__name__ for kind in CONVERT))}."


_INSTEAD = {
    "Lazy": "its shape is not known yet. Use the layer without Lazy, with its sizes.",
    "RNN": "recurrent layers are not supported. Use Conv1d over the sequence, or summaries of it as features.",
    "LSTM": "recurrent layers are not supported. Use Conv1d over the sequence, or summaries of it as features.",
    "GRU": "recurrent layers are not supported. Use Conv1d over the sequence, or summaries of it as features.",
    "Attention": "attention is not supported. Use Conv1d over the sequence and pooling.",
    "Transformer": "attention is not supported. Use Conv1d over the sequence and pooling.",
    "NonDynamicallyQuantizableLinear": "it is part of an attention layer, which is not supported.",
    "RMSNorm": "it is not supported. Use LayerNorm with the same shape.",
    "LocalResponseNorm": "it is not supported. Use GroupNorm.",
    "InstanceNorm3d": "three axes are not supported. Use InstanceNorm2d.",
    "EmbeddingBag": "it is not supported. Use Embedding, followed by a mean over the axis of the items.",
    "Dropout": "it drops whole channels or changes the others. Use Dropout.",
    "ConvTranspose": "it is not supported. Use Conv1d or Conv2d.",
    "Conv3d": "three axes are not supported. Use Conv2d.",
    "Bilinear": "it is not supported. Use Linear of both inputs side by side (torch.cat).",
}


def _parameter_problems(module: nn.Module) -> list[str]:
    found: list[str] = []
    names: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            continue  # said of its layer
        if parameter.dtype != torch.float32:
            found.append(f"parameter {name}: it is {parameter.dtype}. Use module.float().")
        if not parameter.requires_grad:
            found.append(f"parameter {name}: it is frozen, but every parameter is trained. Use requires_grad=True.")
        if parameter.numel() == 0:
            found.append(f"parameter {name}: it has no elements.")
        first = names.setdefault(id(parameter), name)
        if first != name:
            text = f"parameter {name}: it is tied to {first}. Use the same layer twice, or a parameter of its own."
            found.append(text)
    return found
