"""Where a data owner decides. Used by the command line, the notebook and the agent.

A decision counts once it is in the state database. Syft's job states and the researcher's copy follow from it at the
agent's next look; nobody else writes into Syft's tree.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from datasites.approval.enforcement import Enforcement, latest_end
from datasites.approval.excerpts import hand_over
from datasites.approval.packet import Packet
from datasites.approval.packet.changes import compare
from datasites.approval.packet.earlier import nearest_approved
from datasites.approval.submissions import BadSubmission, Submission, decision_document, find, read_submission
from datasites.approval.vault import Vault
from datasites.audit.entry import Kind
from datasites.catalog.registry import Registry
from datasites.home import DatasiteHome
from datasites.state import State, now
from datasites.wire.canonical import sha256
from datasites.wire.decision import BY_POLICY, FILE, REASON_LENGTH, Decision, GateNoise, SignedDecision, Verdict
from datasites.wire.dictionary import Dictionary
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest
from datasites.wire.peers import PinnedPeers
from datasites.wire.quiet import quiet
from policies.errors import InvalidInput, Refused, WardroundError
from policies.policy import Policy

_SYFT_STATUS = {"approved": "approved", "denied": "rejected", "revoked": "rejected"}


class Office:
    """The submissions of one datasite, and the owner's decisions on them."""

    def __init__(self, home: DatasiteHome, identity: Identity, jobs: Any, state: State) -> None:
        self.home = home
        self.identity = identity
        self.peers = PinnedPeers(home.peers)
        self.vault = Vault(home.approved)
        self.registry = Registry(home.datasets)
        self.state = state
        self.enforcement = Enforcement(home, state)
        self._jobs = jobs  # Syft's JobClient

    # looking

    def received(self) -> list[Submission | BadSubmission]:
        with self.home.syft_tree(), quiet():
            jobs = [job for job in self._jobs.jobs if job.datasite_owner_email == self.identity.email]
            return [read_submission(job, self.peers) for job in jobs]

    def submissions(self) -> list[Submission]:
        return [s for s in self.received() if isinstance(s, Submission)]

    def pending(self) -> list[Submission]:
        return [s for s in self.submissions() if self.state.decision(s.digest) is None]

    def find(self, study: str) -> Submission:
        return find(self.submissions(), study)

    def problems(self, manifest: Manifest) -> list[str]:
        """Why this datasite could not run the study as it stands."""
        try:
            dictionary = self.registry.get(manifest.dataset).dictionary
        except WardroundError as error:
            return [str(error)]
        unknown = [c for c in manifest.columns if c not in dictionary.columns]
        found = [f"It asks for columns that the table does not have: {', '.join(unknown)}."] if unknown else []
        if manifest.dictionary != dictionary.digest:
            found.append("It was written for another version of the table's dictionary; it must be submitted again.")
        if manifest.gossip and manifest.gossip.hospitals.get(self.identity.email) != self.identity.public.fingerprint:
            found.append("Hospitals would train without a centre, and this one, with its keys, is not among them.")
        if manifest.asked and self.state.ledger.closed(manifest.dataset):
            found.append("Its table's privacy budget is closed, as a backup was put back.")
        return found + (manifest.asked.problems(dictionary) if manifest.asked else [])

    def note(self, submission: Submission) -> bool:
        """Enters the submission's arrival in the audit log; whether it was new there."""
        manifest = submission.manifest
        return self.state.audit.record_once(
            Kind.STUDY_RECEIVED,
            study=submission.digest,
            name=manifest.name,
            researcher=manifest.researcher,
            files=len(submission.files),
            bytes=sum(map(len, submission.files.values())),
        )

    def packet(self, study: str) -> Packet:
        """All that a person needs to decide on a study."""
        submission = self.find(study)
        manifest, files = submission.manifest, submission.files
        earlier = nearest_approved(manifest, self.state, self.vault)
        return Packet(
            submission=submission,
            fingerprint=self.peers.require(manifest.researcher).fingerprint,
            dictionary=self._dictionary(manifest.dataset),
            problems=self.problems(manifest),
            ruling=self.enforcement.ruling(manifest, files),
            history=[signed.decision for signed in self.state.decisions(submission.digest)],
            changes=compare(earlier, manifest, files) if earlier else None,
            spent=self.state.ledger.spent_by_others(manifest.dataset, manifest.digest),
        )

    def _dictionary(self, dataset: str) -> Dictionary | None:
        try:
            return self.registry.get(dataset).dictionary
        except WardroundError:
            return None

    # deciding

    def approve(
        self,
        study: str,
        *,
        rounds: int | None = None,
        expires_at: datetime | None = None,
        days: int | None = None,
        by: str = "",
        reason: str = "",
    ) -> SignedDecision:
        """Approves exactly the bytes that are there now, for at most `rounds` rounds, until `expires_at` (UTC).

        Without `expires_at` it ends after `days`, or as soon as the policy says. Raises Refused when the study cannot
        run here or the policy in force does not allow it, InvalidInput for limits that make no sense.
        """
        submission = self.find(study)
        manifest = submission.manifest
        allowed = manifest.rounds if rounds is None else rounds
        if not 1 <= allowed <= manifest.rounds:
            raise InvalidInput(f"The study asks for {manifest.rounds} rounds.", f"Allow 1 to {manifest.rounds}.")
        if expires_at and expires_at <= now():
            raise InvalidInput("The approval would have expired already.", "Give a time in the future.")
        if problems := self.problems(manifest):
            raise Refused(f"This study cannot run here: {' '.join(problems)}")
        policy = self.enforcement.ruling(manifest, submission.files, allowed).require()
        end = _end(policy, expires_at, days)
        self.vault.keep(manifest, submission.signature, submission.files)
        return self._record(submission, "approved", by, reason, allowed, end, policy)

    def approve_repetition(self, submission: Submission, days: int) -> SignedDecision | None:
        """Approves what only repeats a study that a person approved here, if the policy in force lets it pass without
        one; within that approval's limits. None where a person must decide, or somebody has. For the agent alone."""
        manifest = submission.manifest
        earlier = self.state.decision(manifest.first)
        if manifest.repetition == 1 or earlier is None or self.state.decision(submission.digest):
            return None
        person = earlier.decision
        ruling = self.enforcement.ruling(manifest, submission.files, min(manifest.rounds, person.rounds))
        policy = ruling.policy
        if person.expires_at is None or policy is None or not policy.approves(ruling.request):
            return None
        if self.problems(manifest):
            return None
        self.vault.keep(manifest, submission.signature, submission.files)
        return self._record(
            submission,
            "approved",
            f"{BY_POLICY}{policy.digest[:12]}",
            f"It repeats study {manifest.first[:12]}, which {person.decided_by or 'a person'} approved on "
            f"{person.decided_at:%Y-%m-%d}.",
            rounds=ruling.request.rounds,
            expires_at=min(person.expires_at, _end(policy, None, days)),
            policy=policy,
        )

    def deny(self, study: str, *, reason: str, by: str = "") -> SignedDecision:
        """The researcher will read `reason`."""
        submission = self.find(study)
        current = self.state.decision(submission.digest)
        if current and current.decision.verdict == "approved":
            raise InvalidInput("This study is approved.", "Use revoke to stop it.")
        return self._record(submission, "denied", by, reason)

    def revoke(self, study: str, *, reason: str, by: str = "") -> SignedDecision:
        """Takes effect before the next round, and stops one that is running. The researcher will read `reason`."""
        submission = self.find(study)
        current = self.state.decision(submission.digest)
        if current is None or current.decision.verdict != "approved":
            raise InvalidInput("This study is not approved.", "There is nothing to revoke.")
        return self._record(submission, "revoked", by, reason)

    def take_back(self, standing: Decision, *, reason: str, by: str = "") -> SignedDecision:
        """Revokes an approval in force, whatever has become of its submission and its researcher's keys."""
        revoked = Decision(
            study=standing.study,
            hospital=self.identity.email,
            number=standing.number + 1,
            verdict="revoked",
            reason=reason,
            decided_by=by,
            decided_at=now(),
        )
        signed = SignedDecision.sign(revoked, self.identity)
        self.state.record_decision(signed)
        return signed

    def _record(
        self,
        submission: Submission,
        verdict: Verdict,
        by: str,
        reason: str,
        rounds: int = 0,
        expires_at: datetime | None = None,
        policy: Policy | None = None,
    ) -> SignedDecision:
        if len(reason) > REASON_LENGTH:
            raise InvalidInput(f"The reason has {len(reason):,} characters.", f"Write at most {REASON_LENGTH:,}.")
        earlier = self.state.decision(submission.digest)
        decision = Decision(
            study=submission.digest,
            hospital=self.identity.email,
            number=earlier.decision.number + 1 if earlier else 1,
            verdict=verdict,
            rounds=rounds,
            expires_at=expires_at,
            reason=reason,
            decided_by=by,
            decided_at=now(),
            noise=_noise(policy, submission.manifest) if policy else None,
            least_patients=policy.data.min_patients if policy else None,
        )
        signed = SignedDecision.sign(decision, self.identity)
        self.note(submission)  # the agent may not have looked yet
        self.state.record_decision(signed, self.enforcement.digest(submission.manifest.dataset))
        return signed

    # Syft's own view

    def follow(self, submission: Submission) -> bool:
        """Makes Syft's job state and the researcher's copies of the decision and of log excerpts agree with what was
        recorded; says whether they did not. For the agent alone."""
        signed = self.state.decision(submission.digest)
        if signed is None:
            return False
        document = decision_document(signed).encode()
        target = submission.job.job_review_path / FILE
        with self.home.syft_tree():
            told = target.exists() and target.read_bytes() == document
            if not told:  # no file aside and renamed: after a crash Syft would send that too; the next look writes it
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(document)
            told = hand_over(self.state, submission.digest, target.parent) and told
            return self._set_status(submission.job, self._status(signed.decision), signed.decision) or not told

    def reject_bad(self, bad: BadSubmission) -> None:
        """Tells the sender of a job that is no study, through Syft's own job state."""
        if bad.job.status in ("received", "pending"):
            job = sha256(f"{bad.job.submitted_by}/{bad.job.name}".encode())
            self.state.audit.record_once(Kind.STUDY_REFUSED, message=job, peer=str(bad.job.submitted_by))
            with self.home.syft_tree(), quiet():
                bad.job.reject(bad.why)

    def _status(self, decision: Decision) -> str:
        if decision.verdict != "approved":
            return _SYFT_STATUS[decision.verdict]
        trained, _ = self.state.used(decision.study)
        if trained >= decision.rounds:
            return "done"
        return "running" if trained else "approved"

    def _set_status(self, job: Any, status: str, decision: Decision) -> bool:
        state = job._state  # Syft's own actions only allow its own transitions (there is no revoking)
        reason = f"revoked: {decision.reason}" if decision.verdict == "revoked" else decision.reason
        if state.status.value == status and (state.review_reason or "") == reason:
            return False
        changes: dict[str, Any] = {"status": type(state.status)(status), "review_reason": reason or None}
        if decision.verdict == "approved":
            changes |= {"approved_by": self.identity.email, "approved_at": decision.decided_at}
        else:
            changes |= {"rejected_by": self.identity.email, "rejected_at": decision.decided_at}
        if status == "done":
            changes |= {"completed_at": now(), "return_code": 0}
        job._client.manager.write_state(job._ref, state.model_copy(update=changes))
        return True


def _noise(policy: Policy, manifest: Manifest) -> GateNoise | None:
    """What the gate adds to the study's rounds, for its researcher to know."""
    release = policy.release
    if manifest.asked is not None or release.gate_noise is None or release.max_update_norm is None:
        return None
    return GateNoise(distance=release.max_update_norm, multiple=release.gate_noise)


def _end(policy: Policy, expires_at: datetime | None, days: int | None) -> datetime:
    """When an approval given now ends. Raises Refused for a later end than the policy allows."""
    latest = latest_end(policy, now())
    if expires_at is None:
        return latest if days is None else min(latest, now() + timedelta(days=days))
    if expires_at > latest:
        raise Refused(
            f"The policy {policy.title!r} lets an approval be valid for at most {policy.approval.days:,} days.",
            f"Give an end not after {latest:%Y-%m-%d %H:%M} UTC, and approve it again then.",
        )
    return expires_at
