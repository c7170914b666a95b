"""Access policies for a consortium's bucket: who may read, list, write and delete which names (`datasites.wire.keys`).

| store | what is made | how it is applied |
|---|---|---|
| aws | one policy for hospitals, one for researchers, where `${aws:username}` stands for who asks | to IAM groups |
| ceph | one bucket policy with statements for each participant (its gateway fills in no names) | `s3cmd setpolicy` |
| seaweedfs | identities with their keys; its actions know names by their beginnings alone | `weed s3 -config` |

In a pattern `*` also stands for slashes. So names with more components than ours have are refused to everybody: else
`p2p/A/inbox/B/inbox/ME/x` would be in ME's box by its end, and in B's by its beginning.

What no policy here holds: which researcher a study is of is in no name, so one researcher can overwrite or delete the
messages that wait for the hospitals of another's study, and read answers that are encrypted to the other. A hospital
can spoil what its neighbours send to it. In SeaweedFS, where a name's end does not count, that is so for all
participants in `rounds/`, and for all hospitals in `gossip/`. All of these are signed and encrypted: what is spoiled is
refused, and nothing is learned from it. Put the consortium's own front (`front`) before such stores.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from datasites.wire import keys

Kind = Literal["aws", "ceph", "seaweedfs"]
Role = Literal["hospital", "researcher"]
_VARIABLE = "${aws:username}"
# {who}: the participant's address, as `keys.encode` spells it
_WRITES: dict[Role, tuple[str, ...]] = {
    "hospital": (
        "participants/{who}/*",
        "own/{who}/*",
        "coll/{who}/*",
        "p2p/{who}/inbox/*",
        "p2p/{who}/outbox/*",
        "p2p/*/inbox/{who}/.peer",  # opens a box at a researcher it has accepted, though it never writes there
        "p2p/*/outbox/{who}/.peer",
        "rounds/*/up/*/{who}",
        "gossip/*/{who}/*",
    ),
    "researcher": (
        "participants/{who}/*",
        "own/{who}/*",
        "coll/{who}/*",
        "p2p/*/inbox/{who}/*",
        "p2p/*/outbox/{who}/.peer",
        "rounds/*/down/*",
    ),
}
_READS: dict[Role, tuple[str, ...]] = {
    "hospital": (*_WRITES["hospital"], "participants/*", "rounds/*/down/{who}/*"),
    "researcher": (
        *_WRITES["researcher"],
        "participants/*",
        "coll/*",
        "p2p/{who}/*",
        "p2p/*/outbox/{who}/*",
        "rounds/*/up/*",
    ),
}
# prefixes that are listed beside those of what is read
_LISTS: dict[Role, tuple[str, ...]] = {
    "hospital": ("p2p/{who}/inbox/", "p2p/{who}/outbox/"),
    "researcher": ("p2p/{who}/inbox/", "p2p/{who}/outbox/"),
}
_BOXES = ("inbox", "outbox")
_PIECE = "/*"  # behind the name of a large object, in parts/: digest and number
_DEEPEST = {"p2p": 5, "rounds": 5, "gossip": 5}  # components of the longest names
_PIECES = 2  # components behind such a name, in parts/


def policies(
    kind: Kind, bucket: str, hospitals: Iterable[str], researchers: Iterable[str], account: str = ""
) -> dict[str, Any]:
    """By file name, what to write. account: of AWS (12 digits), or the tenant of Ceph (may be empty)."""
    roles: dict[str, Role] = dict.fromkeys(hospitals, "hospital")
    roles |= dict.fromkeys(researchers, "researcher")
    if kind == "aws":
        return {
            f"{role}-policy.json": _document(_statements(bucket, role, _VARIABLE, None))
            for role in ("hospital", "researcher")
        }
    if kind == "ceph":
        principals = {email: f"arn:aws:iam::{account}:user/{email}" for email in roles}
        statements = [
            statement
            for email, role in roles.items()
            for statement in _statements(bucket, role, keys.encode(email), principals[email])
        ]
        return {"bucket-policy.json": _document(statements)}
    return {"identities.json": {"identities": [_identity(bucket, email, role, roles) for email, role in roles.items()]}}


def written(policy: Mapping[str, Any]) -> bytes:
    """The bytes of one file."""
    return (json.dumps(policy, indent=2) + "\n").encode()


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _statements(bucket: str, role: Role, who: str, principal: str | None) -> list[dict[str, Any]]:
    writes, reads = _with_parts(_WRITES[role]), _with_parts(_READS[role])
    # a folder is listed by its name with a slash, so a pattern that ends in one object's name is listed beneath it
    lists = sorted({one if one.endswith("*") else f"{one}/*" for one in (*reads, *_LISTS[role])} | set(_LISTS[role]))
    of_whom = {"Principal": {"AWS": [principal]}} if principal else {}

    def arns(patterns: Iterable[str]) -> list[str]:
        return [f"arn:aws:s3:::{bucket}/{pattern.format(who=who)}" for pattern in patterns]

    prefixes = [pattern.format(who=who) for pattern in lists]
    return [
        {"Effect": "Allow", **of_whom, "Action": ["s3:GetObject"], "Resource": arns(reads)},
        {"Effect": "Allow", **of_whom, "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": arns(writes)},
        {
            "Effect": "Allow",
            **of_whom,
            "Action": ["s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{bucket}"],
            "Condition": {"StringLike": {"s3:prefix": prefixes}},
        },
        {
            "Effect": "Deny",
            **of_whom,
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
            "Resource": arns(_too_deep()),
        },
    ]


def _with_parts(patterns: Iterable[str]) -> tuple[str, ...]:
    """The same names, and those of the parts of large objects under them."""
    given = tuple(patterns)
    parts = (f"parts/{one}" if one.endswith("*") else f"parts/{one}{_PIECE}" for one in given)
    return (*given, *parts)


def _too_deep() -> list[str]:
    return [
        pattern
        for folder, deepest in _DEEPEST.items()
        for pattern in (folder + "/*" * deepest, f"parts/{folder}" + "/*" * (deepest + _PIECES))
    ]


def _identity(bucket: str, email: str, role: Role, roles: Mapping[str, Role]) -> dict[str, Any]:
    who, own = keys.encode(email), f"{bucket}/"
    of_others: Role = "hospital" if role == "researcher" else "researcher"
    others = [keys.encode(other) for other, theirs in roles.items() if theirs == of_others]
    writes = [f"{top}/{who}/*" for top in ("participants", "own", "coll")]
    reads = ["participants/*"]
    if role == "hospital":
        writes += [f"p2p/{who}/*", *(f"p2p/{other}/{box}/{who}/.peer*" for other in others for box in _BOXES)]
        reads.append("rounds/*")
        writes.append("gossip/*")
    else:
        writes += [f"p2p/{other}/inbox/{who}/*" for other in others]
        writes += [f"p2p/{other}/outbox/{who}/.peer*" for other in others]
        reads += ["coll/*", "rounds/*", f"p2p/{who}/*", *(f"p2p/{other}/outbox/{who}/*" for other in others)]
    writes.append("rounds/*")
    actions = [f"{act}:{own}{top}{name}" for act in ("Write",) for name in writes for top in ("", "parts/")]
    actions += [
        f"{act}:{own}{top}{name}" for act in ("Read", "List") for name in (*reads, *writes) for top in ("", "parts/")
    ]
    credentials = [{"accessKey": email, "secretKey": secrets.token_hex(24)}]
    return {"name": email, "credentials": credentials, "actions": list(dict.fromkeys(actions))}
