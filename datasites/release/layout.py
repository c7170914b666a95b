"""How a result that may leave is written: numbers alone, at places that the contract fixes.

There is nothing to parse. Whoever writes it, the hospital's agent reads exactly the arrays that were approved, of their
approved shapes and dtypes, and that many metrics; every other number of bytes is refused. What the study keeps at the
hospital follows after what leaves, in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from datasites.runner.replies import Outcome, Task
from datasites.wire.arrays import Arrays
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.spool import Buffer
from policies.errors import InvalidInput

_NUMBER = 8


def released_bytes(task: Task, contract: OutputContract) -> int:
    """The size of what leaves of one result, before it is compressed."""
    names, specs = _places(task, contract)
    return _NUMBER * (1 + len(names)) + sum(spec.nbytes for spec in specs.values())


def leaving_bytes(task: Task, contract: OutputContract) -> int:
    """The most that leaves of one result, compressed where the study asks for that."""
    plain = released_bytes(task, contract)
    if task != "fit":
        return plain
    return plain - sum(spec.nbytes for spec in contract.parameters.values()) + contract.parameter_bytes


def written_bytes(task: Task, contract: OutputContract) -> int:
    """The size of what `write` returns: what leaves, and what is kept."""
    return released_bytes(task, contract) + (contract.kept_bytes if task == "fit" else 0)


def write(task: Task, outcome: Outcome, contract: OutputContract) -> bytes:
    """The number of examples, metrics in the order of their names (NaN: absent), arrays in the order of theirs, and
    of training what is kept, in the order of its names."""
    names, specs = _places(task, contract)
    arrays = outcome.parameters if task == "fit" else outcome.arrays
    numbers = np.array([outcome.metrics.get(name, np.nan) for name in names], np.float64)
    count = np.array([outcome.num_examples], np.int64)
    kept = [outcome.kept[name].tobytes() for name in sorted(contract.kept)] if task == "fit" else []
    return b"".join([count.tobytes(), numbers.tobytes(), *(arrays[name].tobytes() for name in specs), *kept])


def read(task: Task, data: Buffer, contract: OutputContract) -> Outcome:
    """Raises InvalidInput for what is no such result."""
    names, specs = _places(task, contract)
    if len(data) != written_bytes(task, contract):
        raise InvalidInput("The result has not the size that the contract fixes.")
    count = int.from_bytes(data[:_NUMBER], "little", signed=True)
    numbers = np.frombuffer(data, np.float64, len(names), _NUMBER).tolist()
    metrics = {name: value for name, value in zip(names, numbers, strict=True) if value == value}
    if not 1 <= count < 2**53 or any(abs(value) == np.inf for value in metrics.values()):
        raise InvalidInput("The result has a number that cannot be.")
    arrays = _arrays(data, _NUMBER * (1 + len(names)), specs)
    if task != "fit":
        return Outcome({}, count, metrics, arrays)
    kept = _arrays(data, released_bytes(task, contract), dict(sorted(contract.kept.items())))
    return Outcome(arrays, count, metrics, kept=kept)


def _places(task: Task, contract: OutputContract) -> tuple[list[str], Mapping[str, ArraySpec]]:
    names = contract.fit_metrics if task == "fit" else contract.evaluate_metrics
    specs = contract.parameters if task == "fit" else contract.evaluate_arrays
    return sorted(set(names)), dict(sorted(specs.items()))


def _arrays(data: Buffer, at: int, specs: Mapping[str, ArraySpec]) -> Arrays:
    arrays: Arrays = {}
    for name, spec in specs.items():
        arrays[name] = np.frombuffer(data[at : at + spec.nbytes], spec.dtype).reshape(spec.shape)
        at += spec.nbytes
    return arrays
