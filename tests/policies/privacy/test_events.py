from __future__ import annotations

import math

import pytest

from policies.errors import InvalidInput
from policies.privacy import Event, Gaussian, Laplace, Plan, SampledGaussian, gate_noise
from policies.privacy.events import from_json, to_json, told
from policies.privacy.plan import grouped

EVENTS: list[Event] = [SampledGaussian(1.1, 0.05, 20), Gaussian(3, 2, "hospital"), Laplace(2.5, 1, "record")]


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_stored_is_what_is_read(event: Event) -> None:
    assert from_json(to_json(event)) == event
    assert to_json(Gaussian(3)) == to_json(Gaussian(3.0))
    assert f"noise {event.noise_multiplier:g}, by {event.unit}" in told(event)


@pytest.mark.parametrize(
    "change",
    [
        {"noise_multiplier": 0.0}, {"noise_multiplier": -1.0}, {"noise_multiplier": math.nan},
        {"noise_multiplier": math.inf}, {"noise_multiplier": True}, {"noise_multiplier": "1"}, {"sampling_rate": 0.0},
        {"sampling_rate": 1.5}, {"sampling_rate": math.nan}, {"steps": 0}, {"steps": 1.0}, {"steps": True},
        {"steps": 10**8}, {"unit": "row"}, {"event": "gaussian"}, {"event": "exponential"}, {"event": []}, {"more": 1},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        from_json({**to_json(EVENTS[0]), **change})


def test_gate_noise_is_halved_as_updates_may_be_opposite() -> None:
    assert gate_noise(4.0) == Gaussian(2.0, 1, "hospital")


def test_equal_mechanisms_are_counted_together_and_others_never() -> None:
    mixed = [EVENTS[0], EVENTS[1], SampledGaussian(1.1, 0.05, 5), SampledGaussian(1.1, 0.05, 5, "record")]
    assert set(grouped(mixed)) == {
        SampledGaussian(1.1, 0.05, 25),
        SampledGaussian(1.1, 0.05, 5, "record"),
        Gaussian(3, 2, "hospital"),
    }
    assert grouped(mixed) == grouped(reversed(mixed))
    assert Plan(3, (EVENTS[0], EVENTS[1])).events == grouped([*EVENTS[:2]] * 3)
    with pytest.raises(InvalidInput, match="number of rounds"):
        Plan(0, ())
