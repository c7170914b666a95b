from __future__ import annotations

import json
from typing import Any

import pytest

from datasites.wire.card import Card, sign_card, verify_card
from datasites.wire.identity import Identity
from policies.errors import Refused

CARD: dict[str, Any] = {
    "hospital": "do@ward.org",
    "hospital_name": "Ward",
    "dataset": "stays",
    "title": "Stays",
    "dictionary": "a" * 64,
    "twin": "b" * 64,
}


def test_a_card_survives_the_store(ward: Identity) -> None:
    card = Card(**CARD)
    assert verify_card(sign_card(card, ward).encode(), ward.public) == card


@pytest.mark.parametrize("field", CARD)
def test_a_changed_field_is_noticed(ward: Identity, field: str) -> None:
    content = json.loads(sign_card(Card(**CARD), ward))
    content["card"][field] = "c" * 64 if field in ("dictionary", "twin") else "other"
    with pytest.raises(Refused, match="not signed by them"):
        verify_card(json.dumps(content).encode(), ward.public)


def test_nobody_makes_a_card_for_another(ward: Identity, ada: Identity) -> None:
    with pytest.raises(Refused):
        verify_card(sign_card(Card(**CARD), ada).encode(), ada.public)
    with pytest.raises(Refused):
        verify_card(sign_card(Card(**CARD), ada).encode(), ward.public)


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"[]", b"{}", b'{"card": {}, "signature": ""}', b"null", b"[" * 100_000]
)
def test_what_is_no_card_is_refused(ward: Identity, text: bytes) -> None:
    with pytest.raises(Refused):
        verify_card(text, ward.public)
