"""What a strategy is: a frozen value of settings. What it must remember from round to round is kept outside it, with
the study's checkpoint, so that a study that was stopped goes on where it stopped."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

from datasites.wire.arrays import Arrays
from datasites.wire.shown import facts, heading
from policies.errors import InvalidInput


@dataclass(frozen=True)
class Update:
    """A hospital's trained parameters and the number of examples they were trained on. Not to be changed in place."""

    hospital: str
    parameters: Arrays
    num_examples: int


class Aggregation(Protocol):
    """One round's aggregation under way."""

    def add(self, update: Update) -> None:
        """Takes one hospital's update into account. Raises InvalidInput where it does not fit the model."""

    def result(self) -> tuple[Arrays, Arrays]:
        """The next global state, with the names, shapes and dtypes of the current one, and the strategy's own memory.

        Raises RoundFailed where there are too few updates, or no usable state comes of them.
        """


class Strategy(Protocol):
    """A server strategy, as a frozen dataclass whose fields (numbers) are its settings.

    `name` is what plots and reports call it. `min_updates`: a round with fewer updates fails. Only strategies that
    have to see all updates together keep them: the others' memory does not grow with the number of hospitals.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """What plots and reports call it."""

    @property
    def min_updates(self) -> int:
        """A round with fewer updates fails."""

    def begin(self, current: Arrays, memory: Arrays) -> Aggregation:
        """Starts the aggregation of one round.

        current: the state that the hospitals trained from. memory: what the last round's `result` gave, which the
        study's checkpoint keeps; empty in the first round, and always where a strategy needs none.
        """


class Described:
    """A strategy shows its settings, and what it is."""

    def _repr_html_(self) -> str:
        settings = asdict(self)  # type: ignore[call-overload]  # a dataclass, as every strategy is
        said = " ".join((type(self).__doc__ or "").partition("\n\n")[0].split())
        return heading(type(self).__name__, said) + facts(settings)


def identity(strategy: Strategy) -> dict[str, Any]:
    """Name and settings, as JSON values: what a study that goes on must have in common with its beginning.

    Raises InvalidInput for a setting that could not be written down.
    """
    settings = asdict(strategy)
    if other := [name for name, value in settings.items() if not _writable(value)]:
        raise InvalidInput(f"{strategy.name}: {', '.join(other)} must be a number of Python's own, or None.")
    return {"name": strategy.name, "settings": settings}


def _writable(value: Any) -> bool:
    """Numbers, and numbers by name."""
    if isinstance(value, dict):
        return all(isinstance(name, str) and isinstance(number, int | float) for name, number in value.items())
    return isinstance(value, int | float | None)


def described(identity: dict[str, Any]) -> str:
    """As it is written in Python: `FedAvgM(learning_rate=1.0, momentum=0.9)`."""
    return f"{identity['name']}({', '.join(f'{name}={value}' for name, value in identity['settings'].items())})"
