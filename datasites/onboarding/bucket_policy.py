"""Access policies for a consortium's bucket, generated from the rules of who may do what (`access`).

| store | what is made | how it is applied |
|---|---|---|
| aws | one policy for hospitals, one for researchers, where `${aws:username}` stands for who asks | to IAM groups |
| ceph | one bucket policy with statements for each participant (its gateway fills in no names) | `s3cmd setpolicy` |
| seaweedfs | identities with their keys; its actions know names by their beginnings alone | `weed s3 -config` |

In a pattern `*` also stands for slashes. So names with more components than ours have are refused to everybody: else
`p2p/A/inbox/B/inbox/ME/x` would be in ME's box by its end, and in B's by its beginning.

What no policy here holds: which researcher a study is of is in no name, so a researcher who knows the digest of
another's study (no list that it gets tells one) can overwrite, delete and read the messages that wait there. In
SeaweedFS, where a name's end does not count, that is so for all participants in `rounds/`, whose lists tell digests,
and for all hospitals in `gossip/`. All of these are signed and encrypted: what is spoiled is refused, and nothing is
learned from it. Put the consortium's own front (`front`) before such stores.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from datasites.onboarding import access
from datasites.onboarding.access import Role
from datasites.wire import keys, parts

Kind = Literal["aws", "ceph", "seaweedfs"]
_VARIABLE = "${aws:username}"
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
    writes = _spelt(access.written(role), who)
    reads = [*writes, *_spelt(access.read(role), who)]
    lists = _spelt((f"{folder}/*" for folder, _ in access.listed(role)), who)
    folders = _spelt((f"{folder}/" for folder in access.FOLDERS[role]), who)
    of_whom = {"Principal": {"AWS": [principal]}} if principal else {}

    def allowed(actions: list[str], names: list[str]) -> dict[str, Any]:
        resources = [f"arn:aws:s3:::{bucket}/{name}" for name in names]
        return {"Effect": "Allow", **of_whom, "Action": actions, "Resource": resources}

    def listing(prefixes: list[str], condition: dict[str, Any]) -> dict[str, Any]:
        condition = {"StringLike": {"s3:prefix": prefixes}, **condition}
        resources = [f"arn:aws:s3:::{bucket}"]
        return {
            "Effect": "Allow",
            **of_whom,
            "Action": ["s3:ListBucket"],
            "Resource": resources,
            "Condition": condition,
        }

    made = [
        allowed(["s3:GetObject"], reads),
        allowed(["s3:PutObject", "s3:DeleteObject"], writes),
        listing(lists, {}),
    ]
    if folders:
        made.append(listing(folders, {"StringEquals": {"s3:delimiter": "/"}}))
    deny = allowed(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], _too_deep())
    return [*made, {**deny, "Effect": "Deny"}]


def _spelt(patterns: Iterable[str], who: str) -> list[str]:
    """As Amazon's policies write them, where one star stands for any number of components."""
    return list(dict.fromkeys(one.replace(access.REST, access.ANY).replace(access.WHO, who) for one in patterns))


def _too_deep() -> list[str]:
    return [
        pattern
        for folder, deepest in _DEEPEST.items()
        for pattern in (folder + "/*" * deepest, f"parts/{folder}" + "/*" * (deepest + _PIECES))
    ]


def _identity(bucket: str, email: str, role: Role, roles: Mapping[str, Role]) -> dict[str, Any]:
    others = [keys.encode(other) for other, theirs in roles.items() if theirs != role]
    who = keys.encode(email)
    writes = [one for pattern in access.written(role) for one in _beginnings(pattern, who, others)]
    reads = [one for pattern in access.read(role) for one in _beginnings(pattern, who, others)]
    actions = [f"Write:{bucket}/{name}" for name in writes]
    actions += [f"{act}:{bucket}/{name}" for act in ("Read", "List") for name in (*reads, *writes)]
    credentials = [{"accessKey": email, "secretKey": secrets.token_hex(24)}]
    return {"name": email, "credentials": credentials, "actions": list(dict.fromkeys(actions))}


def _beginnings(pattern: str, who: str, others: Iterable[str]) -> Iterator[str]:
    """What a name begins with, of this pattern. A box at another participant is told for each of the others."""
    pattern = pattern.replace(access.WHO, who)
    at_others = pattern.removeprefix(f"{parts.FOLDER}/").startswith("p2p/*/")
    for one in [pattern.replace("p2p/*/", f"p2p/{other}/", 1) for other in others] if at_others else [pattern]:
        yield one.partition(access.ANY)[0] + "*"
