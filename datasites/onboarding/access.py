"""Who may read, list, write and delete which names in a consortium's store (`datasites.wire.keys`).

The one list of rules: bucket policies (`bucket_policy`) and the front (`front`) are both generated from it. In a rule
`{who}` is the participant's own address, `*` any one component, and `**` at the end any number of them, at least one.
Whoever may use a name may use the parts of a large object under it (`datasites.wire.parts`). What may be written may be
deleted and read, too. What no rule names is refused.

A rule speaks of addresses and roles alone, so it holds for whoever joins later, and nothing has to be told to a store
that knows participants by name.
"""

from __future__ import annotations

from typing import Literal

from datasites.wire.parts import FOLDER

Role = Literal["hospital", "researcher"]
ROLES: tuple[Role, ...] = ("hospital", "researcher")
WHO, ANY, REST = "{who}", "*", "**"
WRITES: dict[Role, tuple[str, ...]] = {
    "hospital": (
        "participants/{who}/**",
        "own/{who}/**",
        "coll/{who}/**",
        "p2p/{who}/inbox/*/*",
        "p2p/{who}/outbox/*/*",
        "p2p/*/inbox/{who}/.peer",  # opens a box at a researcher it has accepted, though it never writes there
        "p2p/*/outbox/{who}/.peer",
        "rounds/*/up/*/{who}",
        "gossip/*/{who}/*/*",
    ),
    "researcher": (
        "participants/{who}/**",
        "own/{who}/**",
        "coll/{who}/**",
        "p2p/*/inbox/{who}/*",
        "p2p/*/outbox/{who}/.peer",
        "rounds/*/down/*/*",
        "rounds/*/up/*/{who}",  # a regional aggregator answers a nation as hospitals answer it
    ),
}
# beside what is written
READS: dict[Role, tuple[str, ...]] = {
    "hospital": ("participants/**", "rounds/*/down/{who}/*", "gossip/*/*/{who}/*"),
    "researcher": (
        "participants/**",
        "coll/**",
        "p2p/{who}/inbox/*/*",
        "p2p/{who}/outbox/*/*",
        "p2p/*/outbox/{who}/*",
        "rounds/*/up/*/*",
    ),
}
# Folders of which the names of folders in them are listed, and nothing beneath those: after a backup was restored, a
# hospital looks for rounds that it has answered since, and learns of no other participant by it.
FOLDERS: dict[Role, tuple[str, ...]] = {"hospital": ("rounds/*/up",), "researcher": ()}
_MARK = "/.peer"  # of two bytes, never in parts
_PIECE = "*/*"  # behind the name of a large object, beneath parts/: digest and number


def written(role: Role) -> tuple[str, ...]:
    """Patterns of all names that may be written, deleted and read."""
    return _with_parts(WRITES[role])


def read(role: Role) -> tuple[str, ...]:
    """Patterns of all names that may be read, not written."""
    return _with_parts(READS[role])


def listed(role: Role) -> tuple[tuple[str, int | None], ...]:
    """(folder, deeper): folders beneath which all may be read, so that they may be listed, and how many levels of
    folders in them; None: any number."""
    found: dict[str, int | None] = {}
    for pattern in (*written(role), *read(role)):
        parts = pattern.split("/")
        left = len(parts)
        while parts[left - 1] in (ANY, REST):
            left -= 1
        if left < len(parts):
            found["/".join(parts[:left])] = None if parts[-1] == REST else len(parts) - left - 1
    return tuple(sorted(found.items()))


def _with_parts(patterns: tuple[str, ...]) -> tuple[str, ...]:
    large = (one for one in patterns if not one.endswith(_MARK))
    parts = (f"{FOLDER}/{one}" if one.endswith(REST) else f"{FOLDER}/{one}/{_PIECE}" for one in large)
    return (*patterns, *parts)
