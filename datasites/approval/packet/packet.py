"""What a data owner looks at before deciding: facts, the code that would run, and what the policy says of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from datasites.approval.enforcement import Ruling
from datasites.approval.packet.changes import Changes
from datasites.approval.packet.document import Document
from datasites.approval.packet.page import article, fragment, page
from datasites.approval.packet.privacy import standing
from datasites.approval.packet.sections import sections
from datasites.approval.packet.summary import summary, total_bytes
from datasites.approval.submissions import Submission
from datasites.wire.decision import Decision
from datasites.wire.dictionary import Dictionary
from datasites.wire.manifest import ENTRY, Manifest
from policies.code import Finding
from policies.privacy.events import Event
from policies.rules.privacy import planned


@dataclass(frozen=True, repr=False)
class Packet:
    """Made by `Office.packet`. The digest is that of the bytes that would run.

    fingerprint: of the researcher's keys, as pinned here. dictionary: the table's, None where there is no such table.
    problems: why the study could not run here. history: this study's decisions, oldest first. changes: against the last
    approved version, None where there is none. spent: of the table's privacy budget by other studies.
    """

    submission: Submission
    fingerprint: str
    dictionary: Dictionary | None
    problems: list[str]
    ruling: Ruling
    history: list[Decision]
    changes: Changes | None
    spent: tuple[Event, ...] = ()

    def __repr__(self) -> str:
        policy = "the policy allows it" if self.ruling.allowed else "the policy does not allow it"
        return f"<Packet: {self.manifest.job_name}; {self.decision}; {policy}; digest {self.digest[:12]}>"

    @property
    def manifest(self) -> Manifest:
        return self.submission.manifest

    @property
    def hospital(self) -> str:
        """The address of the hospital that is asked."""
        return str(self.submission.job.datasite_owner_email)

    @property
    def digest(self) -> str:
        return self.submission.digest

    @property
    def decision(self) -> str:
        """The verdict in force."""
        return self.history[-1].verdict if self.history else "waiting"

    @property
    def summary(self) -> str:
        """One paragraph in plain words, built from facts alone."""
        return summary(self)

    @property
    def findings(self) -> list[Finding]:
        """What the code imports, opens, starts, evaluates or changes, with file and line."""
        return self.ruling.request.findings

    @property
    def planned(self) -> tuple[Event, ...]:
        """What the whole study would release with noise."""
        return planned(self.ruling.policy, self.ruling.request) if self.ruling.policy else ()

    @property
    def document(self) -> Document:
        return Document(f"Study {self.manifest.job_name}", sections(self))

    def code(self) -> dict[str, str]:
        """The text of every file that would run: the entry first, then Python, then the rest."""
        listed = sorted(
            self.submission.files.items(), key=lambda item: (item[0] != ENTRY, item[0][-3:] != ".py", item[0])
        )
        return {path: data.decode(errors="replace") for path, data in listed}

    def html(self) -> str:
        """One self-contained page: no script, nothing from elsewhere."""
        return page(self.document, self.digest[:12])

    def article(self) -> str:
        """The same for a page around it, which brings `page.stylesheet`."""
        return article(self.document, self.digest[:12])

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        policy, changes = self.ruling.policy, self.changes
        verdicts = policy.verdicts(self.ruling.request) if policy else {}
        return {
            "summary": self.summary,
            "digest": self.digest,
            "decision": self.decision,
            "fingerprint": self.fingerprint,
            "bytes": {"round": self.manifest.max_bytes, "total": total_bytes(self.manifest)},
            "privacy": standing(self),
            "problems": self.problems,
            "policy": {
                "title": policy.title if policy else None,
                "digest": policy.digest if policy else None,
                "damage": self.ruling.damage,
                "allowed": self.ruling.allowed,
                "verdicts": {rule: [asdict(one) for one in found] for rule, found in verdicts.items()},
            },
            "findings": [asdict(finding) for finding in self.findings],
            "changes": changes
            and {
                "since": changes.earlier.manifest.digest,
                "repetition": changes.repetition,
                "asked": changes.asked,
                "files": changes.diffs,
            },
            "history": [decision.model_dump(mode="json") for decision in self.history],
            "manifest": self.manifest.model_dump(mode="json"),
            "files": self.code(),
        }

    def _repr_html_(self) -> str:
        return fragment(self.document, self.digest[:12])
