"""A dataset's card: the hospital's signed word on which dictionary and mock twin are its own.

Twins lie in the store in clear, so without it whoever runs the store could exchange them.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from datasites.wire.canonical import canonical_json
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.values import Digest, Email, Frozen, Identifier
from policies.errors import Refused

CONTEXT = "dataset-card"
TWIN_FILE, DICTIONARY_FILE, CARD_FILE = "twin.csv", "dictionary.json", "card.json"


class Card(Frozen):
    version: Literal[1] = 1
    hospital: Email
    hospital_name: Annotated[str, Field(max_length=200)]
    dataset: Identifier
    title: Annotated[str, Field(max_length=500)]
    dictionary: Digest
    twin: Digest


def sign_card(card: Card, identity: Identity) -> str:
    content = card.model_dump(mode="json")
    return json.dumps({"card": content, "signature": identity.sign(CONTEXT, canonical_json(content))}, indent=1)


def verify_card(text: bytes, hospital: PublicIdentity) -> Card:
    """Raises Refused unless `hospital` signed the card and is named on it."""
    try:
        content = json.loads(text)
        card = Card.model_validate(content["card"])
        signed = hospital.signed(CONTEXT, canonical_json(card.model_dump(mode="json")), str(content["signature"]))
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        signed = False
    if not signed or card.hospital != hospital.email:
        raise Refused(f"The dataset shown for {hospital.email} is not signed by them.", "Ask them to publish it again.")
    return card
