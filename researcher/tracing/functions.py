"""How the functions that layers and `forward` call are written in a graph."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from datasites.wire.graph import layers, pointwise, shaping
from researcher.tracing.builder import ROWS, Builder, Ref, Unsupported

POOL_DEFAULTS: dict[str, Any] = {
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
    "dilation": 1,
    "return_indices": False,
}


def pair(value: Any, axes: int) -> tuple[int, ...]:
    """An option for each of `axes` axes, given one for all or one each."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def convolution(
    b: Builder,
    x: Ref,
    names: dict[str, Any],
    kernel: Sequence[int],
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Ref:
    axes = len(kernel)
    steps, spread = pair(stride, axes), pair(dilation, axes)
    if padding == "valid":
        padding = 0
    if padding == "same":
        margins = [d * (k - 1) for d, k in zip(spread, kernel, strict=True)]
        if any(margin % 2 for margin in margins):
            raise Unsupported("padding='same' needs an odd kernel. Use one, or a number as padding.")
        padding = tuple(margin // 2 for margin in margins)
    options = {"stride": steps, "padding": pair(padding, axes), "dilation": spread, "groups": groups}
    return b.add(layers.Convolution, x, **names, **options)


def gelu(b: Builder, x: Ref, approximate: str) -> Ref:
    return b.add(pointwise.Activation, x, op="gelu" if approximate == "none" else "gelu_tanh")


def softmax(b: Builder, op: str, x: Ref, dim: int | None) -> Ref:
    if dim is None:
        raise Unsupported("Which axis is meant is not said. Give dim, from 1.")
    return b.add(pointwise.Softmax, x, op=op, axis=b.axis(x, dim))


def pool(b: Builder, op: str, axes: int, x: Ref, kernel: Any, stride: Any, padding: Any, **options: Any) -> Ref:
    for name, value in options.items():
        if pair_free(value) != POOL_DEFAULTS[name]:
            raise Unsupported(f"{name}={value} is not supported. Leave it out.")
    sizes = {"kernel": pair(kernel, axes), "stride": pair(stride or kernel, axes), "padding": pair(padding, axes)}
    return b.add(shaping.Pool, x, op=op, **sizes)


def pair_free(value: Any) -> Any:
    """(1, 1) as 1."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def adaptive_pool(b: Builder, op: str, axes: int, x: Ref, size: Any) -> Ref:
    wanted = (size,) * axes if size is None or isinstance(size, int) else tuple(size)
    own = b.shape(x)[1:]
    if len(own) != axes:
        raise Unsupported(f"An input {b.shape(x)} of one record does not have channels and {axes} axes.")
    shape = tuple(o if w is None else w for w, o in zip(wanted, own, strict=True))
    return b.add(shaping.AdaptivePool, x, op=op, shape=shape)


def flatten(b: Builder, x: Ref, start_dim: int = 0, end_dim: int = -1) -> Ref:
    start, end, shape = b.axis(x, start_dim), b.axis(x, end_dim), b.shape(x)
    return b.reshape(x, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(b: Builder, x: Ref, dim: int, sizes: Sequence[int]) -> Ref:
    axis, shape = b.axis(x, dim), b.shape(x)
    return b.reshape(x, (*shape[:axis], *_resolve(tuple(sizes), shape[axis]), *shape[axis + 1 :]))


def reshape(b: Builder, x: Ref, *sizes: Any) -> Ref:
    """`view` and `reshape`: the first axis must stay the rows, so -1 may stand there only if the rest is one record."""
    wanted = tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes
    size = math.prod(b.shape(x))
    if not wanted or not all(isinstance(part, int) for part in wanted[1:]):
        raise Unsupported("The sizes must be whole numbers, after the number of rows.")
    rest = wanted[1:]
    if wanted[0] is not ROWS and not (wanted[0] == -1 and -1 not in rest and math.prod(rest) == size):
        raise Unsupported(
            f"{wanted} does not keep the records apart. Use x.flatten(1), or x.size(0) as the first size."
        )
    return b.reshape(x, _resolve(rest, size))


def _resolve(sizes: tuple[int, ...], total: int) -> tuple[int, ...]:
    """The sizes with -1 replaced, if there is one."""
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or known == 0 or total % known:
        raise Unsupported(f"{total} elements cannot be arranged as {sizes}.")
    return tuple(total // known if size == -1 else size for size in sizes)


def permute(b: Builder, x: Ref, *dims: Any) -> Ref:
    order = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], tuple | list) else dims
    if not order or order[0] != 0:
        raise Unsupported("The first axis is that of the records and must stay first.")
    return b.add(shaping.Permute, x, axes=b.axes(x, order[1:]))


def transpose(b: Builder, x: Ref, dim0: int, dim1: int) -> Ref:
    order = list(range(len(b.shape(x))))
    first, second = b.axis(x, dim0), b.axis(x, dim1)
    order[first], order[second] = order[second], order[first]
    return b.add(shaping.Permute, x, axes=tuple(order))


def unsqueeze(b: Builder, x: Ref, dim: int) -> Ref:
    axis, shape = b.axis(x, dim, extra=1), b.shape(x)
    return b.reshape(x, (*shape[:axis], 1, *shape[axis:]))


def squeeze(b: Builder, x: Ref, dim: int | None = None) -> Ref:
    if dim is None:
        raise Unsupported("Which axis is meant is not said, and a batch of one row would lose its own. Give dim.")
    axis, shape = b.axis(x, dim), b.shape(x)
    return b.reshape(x, shape[:axis] + shape[axis + 1 :] if shape[axis] == 1 else shape)


def reduce(b: Builder, op: str, x: Ref, dim: Any = None, keepdim: bool = False) -> Ref:
    if dim is None:
        raise Unsupported("Over everything, it mixes the records. Give dim, from 1.")
    axes, shape = b.axes(x, dim), b.shape(x)
    reduced = b.add(shaping.Reduce, x, op=op, axes=axes)
    return reduced if keepdim else b.reshape(reduced, [s for axis, s in enumerate(shape) if axis not in axes])


def concatenate(b: Builder, tensors: Sequence[Ref], dim: int = 0) -> Ref:
    if not tensors or not isinstance(tensors[0], Ref):
        raise Unsupported("There is nothing to put together.")
    return b.add(shaping.Concatenate, *tensors, axis=b.axis(tensors[0], dim))


def stack(b: Builder, tensors: Sequence[Ref], dim: int = 0) -> Ref:
    return concatenate(b, [unsqueeze(b, ref, dim) for ref in tensors], dim)


def chunk(b: Builder, x: Ref, chunks: int, dim: int = 0) -> tuple[Ref, ...]:
    axis = b.axis(x, dim)
    return split(b, x, math.ceil(b.shape(x)[axis] / chunks), dim)


def split(b: Builder, x: Ref, split_size_or_sections: Any, dim: int = 0) -> tuple[Ref, ...]:
    axis, sizes = b.axis(x, dim), split_size_or_sections
    total = b.shape(x)[axis]
    if isinstance(sizes, int):
        sizes = [min(sizes, total - start) for start in range(0, total, sizes)]
    if sum(sizes) != total:
        raise Unsupported(f"{sizes} do not add up to {total}.")
    return tuple(narrow(b, x, axis, sum(sizes[:place]), size) for place, size in enumerate(sizes))


def narrow(b: Builder, x: Ref, axis: int, start: int, length: int) -> Ref:
    return b.add(shaping.Narrow, x, axis=axis, start=start, length=length)


def index(b: Builder, x: Ref, key: Any) -> Ref:
    """x[:, ...]: plain numbers and ranges on the axes of one record."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if keys.count(...) > 1 or not all(k is None or k is ... or isinstance(k, int | slice) for k in keys):
        raise Unsupported("Only plain numbers and ranges can select. Use x[:, 3] or x[:, 2:5].")
    axes = len(b.shape(x)) + 1
    missing = [slice(None)] * (axes - sum(k is not None and k is not ... for k in keys))
    place = keys.index(...) if ... in keys else len(keys)
    keys[place : place + 1] = missing
    if keys[0] != slice(None):
        raise Unsupported("The first axis is that of the records, which must stay apart. Use x[:, ...].")
    axis, shape = 0, []
    for one in keys[1:]:
        if one is None:
            shape.append(1)
            continue
        x, kept = _select(b, x, axis, one)
        shape += kept
        axis += 1
    return b.reshape(x, shape)


def _select(b: Builder, x: Ref, axis: int, key: int | slice) -> tuple[Ref, list[int]]:
    """The selected places of one axis, and the sizes that stand for it in the result."""
    if axis >= len(b.shape(x)):
        raise Unsupported("It has more indices than axes.")
    size = b.shape(x)[axis]
    if isinstance(key, int):
        return narrow(b, x, axis, key % size if -size <= key < size else size, 1), []
    start, stop, step = key.indices(size)
    if step != 1:
        raise Unsupported("Ranges must take every place. Use a step of one.")
    return (x if (start, stop) == (0, size) else narrow(b, x, axis, start, max(stop - start, 0))), [
        max(stop - start, 0)
    ]
