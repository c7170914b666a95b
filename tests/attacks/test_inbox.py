"""Every attack in `inbox` works against stock Syft and comes to nothing here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from datasites.wire import keys
from tests.attacks.inbox import content, forged, poison, refused
from tests.attacks.inbox.attack import Attack
from tests.attacks.world import EVE, OWNER, Ward

ATTACKS = [*forged.ATTACKS, *poison.ATTACKS, *content.ATTACKS]
MakeWard = Callable[[bool], Ward]


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_stock_syft_falls(attack: Attack, new_ward: MakeWard) -> None:
    ward = new_ward(False)
    happened = attack.act(ward)
    ward.sync()
    assert happened()


@pytest.mark.parametrize("attack", refused.ATTACKS, ids=str)
def test_stock_syft_stands_too(attack: Attack, new_ward: MakeWard) -> None:
    ward = new_ward(False)
    happened = attack.act(ward)
    ward.sync()
    assert not happened()


@pytest.mark.parametrize("attack", [*ATTACKS, *refused.ATTACKS], ids=str)
def test_ours_stands(attack: Attack, new_ward: MakeWard) -> None:
    ward = new_ward(True)
    happened = attack.act(ward)
    before = ward.files()
    assert ward.honest_job_arrives()  # in the very sync that meets the attack
    assert not happened()
    assert ward.files() == before
    if attack.reason:
        assert attack.reason in ward.owner.reasons()[-1]
        assert len(list(ward.owner.home.quarantine.glob("*.message"))) == len(ward.owner.reasons())
    assert all(key.endswith("/.peer") for key in ward.eve.store.names(keys.box(OWNER, "inbox", EVE)))
