from __future__ import annotations

import json
import uuid

import pytest

from datasites.wire import keys, protocol
from datasites.wire.identity import Identity
from datasites.wire.protocol import LEAST, MOST, Speaks
from datasites.wire.store import Store
from policies.errors import Refused


@pytest.fixture
def store() -> Store:
    return Store(f"memory:///{uuid.uuid4().hex}")


def speaking(least: int, most: int, release: str = "") -> Speaks:
    return Speaks(who="do@ward.org", least=least, most=most, release=release)


def test_what_is_shown_is_read(ward: Identity, store: Store) -> None:
    protocol.publish(store, ward)
    said = protocol.of(store, ward.public)
    assert (said.who, said.least, said.most) == (ward.email, LEAST, MOST)
    assert protocol.agreed(said) == MOST


def test_who_shows_nothing_speaks_the_first(ward: Identity, stranger: Identity, ada: Identity, store: Store) -> None:
    assert protocol.agreed(protocol.of(store, ada.public)) == 1
    protocol.publish(store, stranger)  # by other keys than ada's
    assert protocol.of(store, ada.public).most == 1
    protocol.publish(store, ada)
    key = f"{keys.participant(ada.email)}/protocol.json"
    said = json.loads(store.get(key) or b"")
    for changed in (
        {**said, "speaks": {**said["speaks"], "most": 9}},
        {**said, "speaks": {**said["speaks"], "more": 1}},
        {**said, "more": 1},
        [],
    ):
        store.put(key, json.dumps(changed).encode())
        assert protocol.of(store, ada.public).most == 1
    for rubbish in (b"", b"[" * 70_000, b"\xff", b"x" * 100_000):
        store.put(key, rubbish)
        assert protocol.of(store, ada.public).most == 1


def test_the_highest_that_both_speak_is_spoken() -> None:
    assert protocol.agreed(speaking(1, 1)) == 1
    assert protocol.agreed(speaking(MOST, MOST + 5)) == MOST
    assert protocol.agreed(speaking(1, MOST + 5)) == MOST


def test_who_has_to_upgrade_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Refused, match=f"speaks protocol {MOST + 1} to {MOST + 2}, and this release") as error:
        protocol.agreed(speaking(MOST + 1, MOST + 2, "9.1.0"))
    assert error.value.hint == "Upgrade Wardround here to 9.1.0 or newer."
    monkeypatch.setattr(protocol, "LEAST", 2)
    with pytest.raises(Refused, match="speaks protocol 1, and this release 2") as error:
        protocol.agreed(speaking(1, 1))
    assert "Ask them to upgrade" in error.value.hint
