"""Every attack in `outbox` works against stock Syft and comes to nothing here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from datasites.wire import limits
from tests.attacks.outbox import ATTACKS, JOB, Attack, collection, news, show
from tests.attacks.world import HONEST, HOSTILE, Desk

MakeDesk = Callable[[bool], Desk]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_stock_syft_falls(attack: Attack, new_desk: MakeDesk) -> None:
    desk = new_desk(False)
    happened = attack.act(desk)
    desk.sync()
    assert happened()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_ours_stands(attack: Attack, new_desk: MakeDesk) -> None:
    desk = new_desk(True)
    happened = attack.act(desk)
    show(desk.honest, desk, news(HONEST, f"{JOB}/letter.txt", "good"))
    desk.sync()
    assert desk.seen(HONEST, f"{JOB}/letter.txt").read_text() == "good"
    assert not happened()
    if attack.reason:
        assert attack.reason in desk.ann.reasons()[-1]


def test_a_refused_message_does_not_stop_the_same_hospitals_next(new_desk: MakeDesk) -> None:
    desk = new_desk(True)
    show(desk.hostile, desk, news(HONEST, f"{JOB}/x.txt"))
    show(desk.hostile, desk, news(HOSTILE, f"{JOB}/y.txt", "good"))
    for _ in range(3):
        desk.sync()
    assert desk.seen(HOSTILE, f"{JOB}/y.txt").read_text() == "good"
    assert desk.ann.reasons() == ["speaks for another datasite"]


# what only our own layout of objects could suffer from


@pytest.mark.parametrize("description", [b"[" * 50_000, b"[]", b"null", b"\xff", b'{"tag": 1}', b" " * 100_000])
def test_a_dataset_whose_description_cannot_be_read_stops_nobody(new_desk: MakeDesk, description: bytes) -> None:
    desk = new_desk(True)
    collection(desk, "odd", description=description)
    show(desk.honest, desk, news(HONEST, f"{JOB}/letter.txt", "good"))
    desk.sync()
    assert desk.seen(HONEST, f"{JOB}/letter.txt").exists()


def test_a_twin_larger_than_any_may_be_is_not_loaded(new_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TWIN_BYTES", 1000)
    desk = new_desk(True)
    collection(desk, "large", data=bytes(1001))
    show(desk.honest, desk, news(HONEST, f"{JOB}/letter.txt", "good"))
    desk.sync()
    assert desk.seen(HONEST, f"{JOB}/letter.txt").exists()
    assert desk.seen(HOSTILE, "public/syft_datasets/large/twin.csv").read_bytes() == b""
