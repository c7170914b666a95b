"""The bytes that may leave in a round, evaluation and training together; and those that may stay for the next one."""

from __future__ import annotations

from datasites.release.layout import leaving_bytes
from datasites.release.rules.base import Result, Violation
from datasites.release.terms import Terms
from datasites.wire.reasons import Reason


def check(result: Result, terms: Terms) -> list[Violation]:
    if terms.rules is None:
        return []
    most, bytes_ = terms.rules.bytes_per_round, result.spent + leaving_bytes(result.task, terms.contract)
    text = f"the round would let out {bytes_:,} bytes; at most {most:,} are allowed"
    found = [text] if bytes_ > most else []
    kept, most_kept = terms.contract.stays_bytes, terms.rules.kept_bytes
    if result.task == "fit" and kept > most_kept:
        found.append(f"{kept:,} bytes would be kept for the next round; at most {most_kept:,} are allowed")
    return [Violation(Reason.OUTPUTS, text) for text in found]
