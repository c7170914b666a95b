"""Names of objects in the store. Every name is written once, by the one participant who owns its prefix.

| prefix | writer | reader |
|---|---|---|
| participants/WHO/ | WHO | everybody: public keys, version, heads of audit logs (see `heads`, `reputation`) |
| p2p/DATASITE/inbox/PEER/ | PEER (DATASITE deletes what it has read) | DATASITE |
| p2p/DATASITE/outbox/PEER/ | DATASITE (PEER creates the box) | PEER |
| own/WHO/ | WHO | WHO: Syft's event log and checkpoints, encrypted to itself |
| coll/WHO/ | WHO | whom WHO shares a mock twin with |
| rounds/STUDY/down/HOSPITAL/ | the researcher | HOSPITAL |
| rounds/STUDY/up/ROUND/HOSPITAL | HOSPITAL | the researcher |
| gossip/STUDY/HOSPITAL/NEIGHBOUR/ | HOSPITAL | NEIGHBOUR: models of a study without a centre (see `gossip.messages`) |
| parts/NAME/ | the writer of NAME | the readers of NAME: the parts of a large object (see `parts`) |
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^A-Za-z0-9@._+-]")


def encode(part: str) -> str:
    """An injective spelling of `part` as one component of a name: no slash, never `.` or `..`."""
    text = _UNSAFE.sub(lambda m: "".join(f"={byte:02X}" for byte in m.group().encode()), part)
    text = text.replace("..", ".=2E")
    return f"={ord('.'):02X}" if text == "." else text or "="


def decode(part: str) -> str:
    """The inverse of `encode`. Raises ValueError for what `encode` never writes."""
    raw = re.sub(rb"=([0-9A-F]{2})", lambda m: bytes([int(m.group(1), 16)]), part.encode())
    text = "" if part == "=" else raw.decode()
    if encode(text) != part:
        raise ValueError("not an encoded name")
    return text


def last(key: str) -> str:
    """The decoded last component of a name; an undecodable one comes back as it is."""
    name = key.rsplit("/", 1)[-1]
    try:
        return decode(name)
    except ValueError:
        return name


def participant(email: str) -> str:
    return f"participants/{encode(email)}"


def box(datasite: str, direction: str, peer: str) -> str:
    return f"p2p/{encode(datasite)}/{direction}/{encode(peer)}"


def own(email: str) -> str:
    return f"own/{encode(email)}"


def collections(email: str) -> str:
    return f"coll/{encode(email)}"


def round_down(study: str, hospital: str, round_number: int) -> str:
    return f"{rounds_down(study, hospital)}/{round_number:06d}"


def rounds_down(study: str, hospital: str) -> str:
    return f"rounds/{encode(study)}/down/{encode(hospital)}"


def round_up(study: str, round_number: int, hospital: str) -> str:
    return f"{rounds_up(study, round_number)}/{encode(hospital)}"


def rounds_up(study: str, round_number: int) -> str:
    return f"{all_rounds_up(study)}/{round_number:06d}"


def all_rounds_up(study: str) -> str:
    return f"rounds/{encode(study)}/up"


def all_gossip(study: str, sender: str) -> str:
    """All that one hospital tells others."""
    return f"gossip/{encode(study)}/{encode(sender)}"


def gossip(study: str, sender: str, reader: str) -> str:
    """The box of all that one hospital tells another one."""
    return f"{all_gossip(study, sender)}/{encode(reader)}"


def gossip_model(study: str, sender: str, reader: str, round_number: int) -> str:
    return f"{gossip(study, sender, reader)}/{round_number:06d}"


def gossip_presence(study: str, sender: str, reader: str) -> str:
    """Sorts behind all models."""
    return f"{gossip(study, sender, reader)}/presence"
