"""Every attack in `outbox` works against stock Syft and comes to nothing here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.outbox import ATTACKS, Attack, news, show
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
    show(desk.honest, desk, news(HONEST, "public/letter.txt", "good"))
    desk.sync()
    assert desk.seen(HONEST, "public/letter.txt").read_text() == "good"
    assert not happened()
    if attack.reason:
        assert attack.reason in desk.ann.reasons()[-1]


def test_a_refused_message_does_not_stop_the_same_hospitals_next(new_desk: MakeDesk) -> None:
    desk = new_desk(True)
    show(desk.hostile, desk, news(HONEST, "public/x.txt"))
    show(desk.hostile, desk, news(HOSTILE, "public/y.txt", "good"))
    for _ in range(3):
        desk.sync()
    assert desk.seen(HOSTILE, "public/y.txt").read_text() == "good"
    assert desk.ann.reasons() == ["speaks for another datasite"]
