"""Ready policies. `standard` applies to every table whose owner has written down no other."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from policies.errors import InvalidInput

if TYPE_CHECKING:
    from policies.policy import Policy

NAMES = ("strict", "standard", "teaching")
STANDARD = "standard"


def example_text(name: str) -> str:
    """The TOML file, with its comments. Raises InvalidInput."""
    if name not in NAMES:
        raise InvalidInput(f"There is no example policy {name!r}.", f"There are: {', '.join(NAMES)}.")
    return files(__name__).joinpath(f"{name}.toml").read_text(encoding="utf-8")


def example(name: str) -> Policy:
    """The policy of that name. Raises InvalidInput."""
    from policies.policy import Policy  # not above: help and completion name the examples, and must not wait for it

    return Policy.from_toml(example_text(name))
