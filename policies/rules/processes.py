"""In how many processes that train together a study's code may run, and what of their code that makes harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING

from policies.code import Finding
from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.policy import Policy
    from policies.request import StudyRequest

_TOGETHER = "torch.distributed"


def check(policy: Policy, request: StudyRequest) -> list[Violation]:
    most, asked = policy.running.most_processes, request.processes
    if asked == 1:
        return []
    if request.tier == "private":
        return [Violation("processes", "The private tier trains in one process.", "Ask for one process.")]
    if 1 <= asked <= most:
        return []
    reason = f"It would run in {asked:,} processes that train together."
    change = f"Ask for at most {most:,}." if most > 1 else "Ask for one process: the policy allows no more."
    return [Violation("processes", reason, change)]


def unexplained(policy: Policy, request: StudyRequest) -> list[Finding]:
    """The findings of the study's code, but for PyTorch's own way for its processes to speak with each other, where the
    policy allows several: they have a network of their own with nothing else on it."""
    if request.processes == 1 or check(policy, request):
        return request.findings
    return [one for one in request.findings if one.kind != "network" or not _together(one.what)]


def _together(what: str) -> bool:
    return what == _TOGETHER or what.startswith(_TOGETHER + ".")
