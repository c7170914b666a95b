"""What code may do beyond computing: files, processes, networks, and tricks that a reader cannot follow.

Static review is advice, not a wall; the sandbox is the wall. But code that needs such things is no plain study.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from policies.code import MEANING, Finding, Kind
from policies.rules.base import Violation

if TYPE_CHECKING:
    from policies.sections import Code

_CHANGE: dict[Kind, str] = {
    "file": "Work with the table and the parameters that your functions are given.",
    "process": "Do the work in the process that calls your functions.",
    "network": "There is no network where it runs; take it out.",
    "evaluation": "Write the code out, with names that stand in the text.",
    "monkeypatch": "Call other packages as they are, without changing them.",
    "reflection": "Use the package's public functions.",
    "unreadable": "Write plain UTF-8 source in lines of at most 200 characters, and nothing encoded.",
}


def judge(code: Code, findings: Iterable[Finding]) -> list[Violation]:
    free = {"import", *code.allow}  # packages have a rule of their own
    return [_violation(finding) for finding in findings if finding.kind not in free]


def _violation(finding: Finding) -> Violation:
    reason = f"{finding.path}, line {finding.line}: {finding.what} {MEANING[finding.kind]}."
    return Violation("calls", reason, _CHANGE[finding.kind])
