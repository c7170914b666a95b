"""Which packages code may use. A study's own modules need no permission."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from policies.code import Finding
from policies.rules.base import Violation, listed

if TYPE_CHECKING:
    from policies.sections import Code


def judge(code: Code, findings: Iterable[Finding]) -> list[Violation]:
    used = [finding for finding in findings if finding.kind == "import"]
    return [_violation(code, finding) for finding in used if finding.what.split(".")[0] not in code.imports]


def _violation(code: Code, finding: Finding) -> Violation:
    reason = (
        f"{finding.path}, line {finding.line}: the package {finding.what.split('.')[0]!r} is not among those allowed."
    )
    change = f"Do without it; allowed are: {listed(code.imports)}. A folder of the study's own needs an __init__.py."
    return Violation("imports", reason, change)
