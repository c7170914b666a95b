"""What agent and gate say to each other over two pipes, a few frames for each result.

To the gate: the task, the terms, the state that was sent, and the worker's frame as it came. From the gate: one frame,
of which the agent parses nothing but a short text of reasons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from datasites.release import layout
from datasites.release.examine import Verdict
from datasites.runner.replies import Task
from datasites.wire.outputs import OutputContract
from datasites.wire.reasons import Reason
from datasites.wire.spool import Buffer
from policies.errors import InvalidInput

READY = b"ready"
REASON_BYTES = 32 * 1024
_RELEASED, _HELD = b"+", b"-"
_MOST_DETAILS, _DETAIL_LENGTH = 50, 400


def encode_verdict(task: Task, verdict: Verdict, contract: OutputContract) -> bytes:
    """The gate's answer."""
    if verdict.released is not None:
        return _RELEASED + layout.write(task, verdict.released, contract)
    shown = [text[:_DETAIL_LENGTH] for text in verdict.details[:_MOST_DETAILS]]
    return _HELD + json.dumps({"reason": verdict.reason, "details": shown}).encode()


def decode_verdict(task: Task, frame: Buffer, contract: OutputContract) -> Verdict:
    """Raises InvalidInput for anything that a gate in its right mind does not say."""
    kind, said = bytes(frame[:1]), frame[1:]
    if kind == _RELEASED:
        return Verdict(layout.read(task, said, contract))
    try:
        words = json.loads(bytes(said)) if kind == _HELD and len(said) <= REASON_BYTES else None
        if not isinstance(words, Mapping):
            raise TypeError
        return Verdict(None, Reason(words["reason"]), tuple(str(text) for text in words["details"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InvalidInput("The gate said what it never says.") from None
