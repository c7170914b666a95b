"""How many bytes may leave in one round, and how long a configuration may be that a person is to read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest

LONGEST_CONFIG = 10_000  # characters of JSON; a packet shows all of it


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    most, found = policy.running.bytes_per_round, []
    if not 0 <= request.max_bytes <= most:
        reason = f"Up to {request.max_bytes:,} bytes would leave each round."
        found.append(Violation("size", reason, f"Use a smaller model or smaller arrays: at most {most:,} bytes."))
    length = len(json.dumps(request.config))
    if length > LONGEST_CONFIG:
        reason = f"The configuration has {length:,} characters, more than a person reads."
        found.append(Violation("size", reason, f"Use at most {LONGEST_CONFIG:,}."))
    return found
