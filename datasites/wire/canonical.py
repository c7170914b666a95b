"""Canonical JSON and digests, so that every party computes the same identity for the same content.

Keys sorted by code point, no white space, UTF-8, numbers as Python writes them. NaN and infinity are refused.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """The one byte string that stands for `value`. Raises ValueError for NaN, infinity and unknown types."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(data: bytes) -> str:
    """Hex digest."""
    return hashlib.sha256(data).hexdigest()


def digest_of(value: Any) -> str:
    """Hex SHA-256 of the canonical JSON of `value`."""
    return sha256(canonical_json(value))
