"""What the worker imports ahead: libraries that the study will, so that no call waits for them.

Only installed libraries by name: not a line of the study's code is imported, or parsed as Python, in the worker itself.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_LIBRARIES = ("numpy", "pandas", "scipy", "sklearn", "torch", "monai")
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)


def preload(code: Path) -> None:
    """Imports those libraries that the study's files name. What fails will fail again, and be told, in the study."""
    text = "\n".join(path.read_text("utf-8", "replace") for path in code.rglob("*.py") if path.is_file())
    wanted = {name for name in _IMPORT.findall(text) if name.split(".")[0] in _LIBRARIES and not _shadowed(name, code)}
    if "torch" in text and re.search(r"\boptim\b", text):
        wanted.add("torch._dynamo")  # every optimizer imports it when it is made, which takes a second
    for name in sorted(wanted):
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _shadowed(name: str, code: Path) -> bool:
    top = name.split(".")[0]
    return (code / top).exists() or (code / f"{top}.py").exists()


def warm_up() -> None:
    """A first step of training, slow once a process. With a GPU only in the process of a call: PyTorch then starts
    threads for it, which a fork does not copy."""
    if (torch := sys.modules.get("torch")) is None:
        return
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), fused=True) if "torch._dynamo" in sys.modules else None
    target = torch.ones(4, 1)
    for _ in range(2):
        torch.nn.functional.binary_cross_entropy_with_logits(model(torch.rand(4, 4)), target).backward()
        if optimizer is not None:
            optimizer.step()


def reseed() -> None:
    """New random numbers in each call: forked processes would otherwise all draw the same ones, noise included."""
    np.random.seed()
    if (torch := sys.modules.get("torch")) is not None:
        torch.seed()


def keep_process_groups() -> None:
    """For ranks, before the study's code: the groups it makes stay until the process ends.

    PyTorch 2.13 ends a gloo group's threads when its last reference goes, and waits for them. If that is in Python, as
    at the end of a function with a DistributedDataParallel in it, they may be waiting for Python themselves, for ever.
    """
    if (torch := sys.modules.get("torch")) is None:
        return
    distributed, kept = torch.distributed, []

    def keeping(make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(make)
        def made(*given: Any, **named: Any) -> Any:
            group = make(*given, **named)
            kept.append(group or distributed.group.WORLD)
            return group

        return made

    distributed.init_process_group = keeping(distributed.init_process_group)
    distributed.new_group = keeping(distributed.new_group)
