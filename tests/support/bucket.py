"""Bucket policies, judged as Amazon judges them, by an evaluator of our own: no cloud is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from datasites.onboarding import bucket_policy

Allowed = Callable[[str, str, str], bool]  # who, what (see _ACTIONS), name or prefix
_ACTIONS = {
    "get": "s3:GetObject",
    "exists": "s3:GetObject",
    "put": "s3:PutObject",
    "delete": "s3:DeleteObject",
    "list": "s3:ListBucket",
    "folders": "s3:ListBucket",  # with a delimiter
}
_TENANT = "tenant"


def policies(kind: str, bucket: str, hospitals: Iterable[str], researchers: Iterable[str]) -> dict[str, list[Any]]:
    """By participant, the statements that hold for it."""
    of: Literal["aws", "ceph"] = "aws" if kind == "aws" else "ceph"
    hospitals, researchers = tuple(hospitals), tuple(researchers)
    made = bucket_policy.policies(of, bucket, hospitals, researchers, _TENANT)
    roles = dict.fromkeys(hospitals, "hospital") | dict.fromkeys(researchers, "researcher")
    if kind == "aws":
        return {who: made[f"{role}-policy.json"]["Statement"] for who, role in roles.items()}
    statements = made["bucket-policy.json"]["Statement"]
    assert "${" not in str(statements)  # it fills in no names
    return {
        who: [s for s in statements if s["Principal"]["AWS"] == [f"arn:aws:iam::{_TENANT}:user/{who}"]] for who in roles
    }


def by_statements(kind: str, statements: dict[str, list[Any]]) -> Allowed:
    """What is allowed by a statement, and denied by none."""

    def allowed(who: str, what: str, name: str) -> bool:
        return {one["Effect"] for one in statements[who] if _holds(one, who, what, name)} == {"Allow"}

    return allowed


def _holds(statement: dict[str, Any], who: str, what: str, name: str) -> bool:
    if _ACTIONS[what] not in statement["Action"]:
        return False
    listed = what in ("list", "folders")
    asked = {"s3:prefix": name, "s3:delimiter": "/" if what == "folders" else ""} if listed else {}
    for operator, condition in statement.get("Condition", {}).items():
        for key, wanted in condition.items():
            patterns = [wanted] if isinstance(wanted, str) else wanted
            if operator == "StringEquals" and asked[key] not in patterns:
                return False
            if operator == "StringLike" and not any(_like(one, who, asked[key]) for one in patterns):
                return False
    resource = statement["Resource"][0].removeprefix("arn:aws:s3:::").partition("/")[0]
    arn = f"arn:aws:s3:::{resource}" + ("" if listed else f"/{name}")
    return any(_like(one, who, arn) for one in statement["Resource"])


def _like(pattern: str, who: str, text: str) -> bool:
    pattern = pattern.replace("${aws:username}", who)
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) is not None
