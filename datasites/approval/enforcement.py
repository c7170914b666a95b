"""The policy in force for a study's table, held against the study: before a person decides, and before each round.

There is no way around a policy but to change its file, which is audited. What cannot be read refuses everything.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from datasites.approval.policy import PolicyBook, approved_before, request_of
from datasites.approval.vault import Vault
from datasites.catalog.registry import Registry
from datasites.home import DatasiteHome
from datasites.state import State, now
from datasites.wire.decision import Decision
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason
from policies.code.finding import printable
from policies.errors import Refused, WardroundError
from policies.policy import Policy
from policies.request import StudyRequest
from policies.rules import Violation

log = logging.getLogger(__name__)
_APPLIED = ("gate_noise",)  # a policy that demands another protection refuses every study
_TOLD = 30  # violations in one message; a hostile study can have thousands


@dataclass(frozen=True)
class Ruling:
    """What the policy in force says of a study. `policy` is None when it cannot be used, for the reason `damage`."""

    policy: Policy | None
    request: StudyRequest
    damage: str = ""

    @property
    def violations(self) -> list[Violation]:
        return self.policy.check(self.request) if self.policy else []

    @property
    def allowed(self) -> bool:
        return self.policy is not None and not self.violations

    def require(self) -> Policy:
        """The policy, if it allows the study. Raises Refused naming every violation and what to change."""
        change = f"Have the study changed, or the policy: wardround policy set {self.request.dataset} FILE"
        if self.policy is None:
            raise Refused(f"The policy of this table cannot be used, so nothing is allowed: {self.damage}", change)
        if found := self.violations:
            listing = "".join(f"\n- {printable(str(violation), 600)}" for violation in found[:_TOLD])
            more = f"\n- and {len(found) - _TOLD:,} more." if len(found) > _TOLD else ""
            raise Refused(f"The policy {self.policy.title!r} does not allow this study:{listing}{more}\n", change)
        return self.policy


class Enforcement:
    """The policies of one datasite, applied."""

    def __init__(self, home: DatasiteHome, state: State) -> None:
        self.book = PolicyBook(home)
        self._registry = Registry(home.datasets)
        self._state = state

    def ruling(self, manifest: Manifest, files: Mapping[str, bytes], rounds: int | None = None) -> Ruling:
        """rounds: as many as the owner would allow, where these are fewer than asked for."""
        approved = approved_before(self._state.current_decisions(), now())
        patients = self._registry.patients(manifest.dataset)
        applied = (*_APPLIED, "secure_aggregation") if manifest.secure_aggregation else _APPLIED
        request = request_of(manifest, files, approved, rounds=rounds, patients=patients, protections=applied)
        try:
            return Ruling(self.book.get(manifest.dataset), request)
        except WardroundError as problem:
            return Ruling(None, request, problem.message)

    def digest(self, dataset: str) -> str | None:
        """Of the policy in force; None when it cannot be used."""
        try:
            return self.book.get(dataset).digest
        except WardroundError:
            return None


class PolicyWatch:
    """Whether the policy in force still allows one approved study; asked before each round and while one runs.

    Each question reads two small files. The study is judged again only when they, or the owner's decision, differ.
    """

    def __init__(self, home: DatasiteHome, state: State, manifest: Manifest) -> None:
        self._rules = Enforcement(home, state)
        self._registry, self._vault = Registry(home.datasets), Vault(home.approved)
        self._state, self._manifest = state, manifest
        self._last: tuple[object, Ruling] | None = None
        self._told = ""

    def refusal(self, decision: Decision) -> Reason | None:
        """Why the study that `decision` approves may not run now, or None if it may."""
        try:
            ruling = self._ruling(decision)
        except Refused as problem:  # the approved copy was changed; the worker would not start on it either
            self._tell(str(problem))
            return Reason.HOSPITAL
        policy = ruling.policy
        if policy is None or not ruling.allowed:
            self._tell(ruling.damage or f"the policy does not allow it: {ruling.violations[0]}")
            return Reason.POLICY
        if now() >= latest_end(policy, decision.decided_at):
            return Reason.POLICY
        if decision.automatic and not self._still_repeats(policy, ruling.request):
            return Reason.POLICY
        return None

    def _ruling(self, decision: Decision) -> Ruling:
        dataset = self._manifest.dataset
        key = (self._rules.book.stamp(dataset), self._registry.patients(dataset), decision.rounds)
        last = self._last
        if last is None or last[0] != key:
            files = self._vault.files(self._manifest.digest)
            last = self._last = (key, self._rules.ruling(self._manifest, files, decision.rounds))
        return last[1]

    def _still_repeats(self, policy: Policy, request: StudyRequest) -> bool:
        """An automatic approval holds as long as the person's approval that it repeats, and the policy's permission."""
        approved = approved_before(self._state.current_decisions(), now())
        return policy.approves(replace(request, approved_digests=approved))

    def _tell(self, why: str) -> None:
        if why != self._told:
            log.warning("study %s may not run: %s", self._manifest.digest[:12], why)
        self._told = why


def latest_end(policy: Policy, decided_at: datetime) -> datetime:
    """The latest moment at which an approval of that time may end."""
    return decided_at + timedelta(days=policy.approval.days)
