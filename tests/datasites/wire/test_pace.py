from __future__ import annotations

import math
import time

import pytest

from datasites.wire.calls import Calls
from datasites.wire.pace import Pace
from datasites.wire.store import Store


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds it is; waiting moves it."""
    at = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    return at


def looks(pace: Pace, clock: list[float], seconds: float) -> int:
    """How often one looks in so many seconds in which nothing comes."""
    pace.came()
    end, count = clock[0] + seconds, 0
    while clock[0] < end:
        count += 1
        clock[0] += pace.wait()
    return count


@pytest.mark.parametrize(("seconds", "most"), [(1, 70), (60, 155), (600, 200)])
def test_a_round_costs_few_looks_however_long_it_takes(clock: list[float], seconds: float, most: int) -> None:
    found = looks(Pace(longest=30), clock, seconds)
    assert found <= most
    assert found == pytest.approx((1 + math.log(0.05 * seconds / 0.005)) / 0.05, rel=0.05)  # as its docstring says


def test_a_silent_month_costs_one_look_in_each_longest_wait(clock: list[float]) -> None:
    month = 30 * 86_400
    assert looks(Pace(longest=30), clock, month) == pytest.approx(month / 30, rel=0.01)


def test_what_comes_is_late_by_a_small_share_and_the_next_look_is_quick(clock: list[float]) -> None:
    pace = Pace(longest=30)
    clock[0] += 100
    assert pace.wait() == pytest.approx(5)
    pace.came()
    assert pace.wait() == 0.005


def test_a_longest_wait_below_the_quickest_is_the_quickest(clock: list[float]) -> None:
    pace = Pace(longest=0.1, quick=1.0)
    clock[0] += 1000
    assert pace.wait() == 1.0


def test_every_request_is_counted_with_its_bytes() -> None:
    store = Store("memory:///counted")
    store.put("box/a", b"1234")
    store.get("box/a")
    store.get("box/none")
    store.names("box")
    store.folders("box")
    store.exists("box/a")
    store.delete("box/a", "box/none")
    made = {"put": 1, "get": 2, "list": 2, "head": 1, "delete": 2}
    assert store.calls.seen() == {**made, "sent": 4, "received": 4}


@pytest.mark.parametrize(("names", "pages"), [(0, 1), (1, 1), (1000, 1), (1001, 2)])
def test_a_listing_is_as_many_requests_as_it_has_pages(names: int, pages: int) -> None:
    calls = Calls()
    calls.count("list", names=names)
    assert calls.seen()["list"] == pages
