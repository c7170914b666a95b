"""A study that was sent to hospitals, and their data owners' decisions on it."""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from datasites.wire import protocol
from datasites.wire.decision import FILE, Decision, SignedDecision
from datasites.wire.excerpt import FILES, Excerpt, SignedExcerpt
from datasites.wire.files import write_atomically
from datasites.wire.keys import rounds_down
from datasites.wire.manifest import ENTRY, MANIFEST_FILE, SIGNATURE_FILE, Manifest, code_problems, sign_manifest
from datasites.wire.pace import Pace
from datasites.wire.parts import folder
from datasites.wire.quiet import quiet
from datasites.wire.shown import heading
from datasites.wire.store import Store
from policies.errors import InvalidInput, Unavailable
from researcher.exchange import Exchange, StoreExchange
from researcher.journal import Journal
from researcher.noise import paragraphs, told
from researcher.progress import bar
from researcher.secagg.summed import refuse_single

if TYPE_CHECKING:
    from datasites.wire.arrays import Arrays
    from researcher.federation import Federation

_LOOK_SECONDS = 1.0  # a look for hospitals that join costs a sync with the store
_LOOK_SHARE = 20  # and not more than a 20th of the time goes into such looks
Signed = TypeVar("Signed", SignedDecision, SignedExcerpt)


class Submission:
    """Made by `Federation.submit`; found again after a restart by `Federation.submission`.

    least_patients: set it, and only hospitals take part that have attested, with their signed approval, that their
    table has at least so many patients. What they attest is the least that their own policy demands.
    """

    def __init__(self, federation: Federation, manifest: Manifest, folder: Path) -> None:
        self.federation = federation
        self.manifest = manifest
        self.folder = folder
        self.journal = Journal(folder)
        self._looked, self._look_seconds = 0.0, _LOOK_SECONDS
        self.least_patients = 0

    @cached_property
    def digest(self) -> str:
        """The study's identity: hospitals can compare it with each other and with you."""
        return self.manifest.digest

    @classmethod
    def create(cls, federation: Federation, manifest: Manifest, files: dict[str, bytes], initial: Arrays) -> Submission:
        """Writes the study's folder on this machine."""
        folder = federation.home.path / "studies" / manifest.digest
        submission = cls(federation, manifest, folder)
        for path, data in files.items():
            write_atomically(folder / "code" / path, data)
        submission.journal.start(initial)
        write_atomically(folder / MANIFEST_FILE, manifest.canonical())  # last: from now on `reopen` finds it
        return submission

    @classmethod
    def reopen(cls, federation: Federation, study: str) -> Submission:
        """A study submitted before, by its name or digest. Raises InvalidInput where there is not exactly one."""
        found = []
        for path in sorted((federation.home.path / "studies").glob(f"*/{MANIFEST_FILE}")):
            manifest = Manifest.model_validate_json(path.read_bytes())
            if study in (manifest.name, manifest.job_name) or (len(study) >= 8 and manifest.digest.startswith(study)):
                found.append(cls(federation, manifest, path.parent))
        if len(found) == 1:
            return found[0]
        several = ", ".join(s.manifest.job_name for s in found)
        raise InvalidInput(
            f"{study!r} stands for several studies: {several}." if found else f"There is no study {study!r} here.",
            "Give the longer name." if found else "Submit it first.",
        )

    def send(self, hospitals: list[str]) -> None:
        """Sends the study as a Syft job to each hospital that has not answered to it yet. Raises Refused, and sends it
        to none, where the release of one and this one do not understand each other."""
        decided = self.decisions()
        for hospital in hospitals:
            if hospital not in decided:
                protocol.agreed(protocol.of(self.federation.store, self.federation.peers.require(hospital)))
        with tempfile.TemporaryDirectory(prefix="wardround-submit-") as scratch:
            package = Path(scratch) / "code"
            # Syft takes no job without a Python file; that of a study without code is taken out again below
            for path, data in {ENTRY: b"", **self._package()}.items():
                target = package / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            for hospital in hospitals:
                if hospital not in decided:
                    self._send_one(hospital, package)

    def sent_to(self, hospital: str) -> bool:
        """Whether it was sent there, or may have been."""
        return (self.folder / "jobs" / hospital).exists()

    def decisions(self) -> dict[str, Decision]:
        """The decision in force at each hospital that has decided, as last synced; signatures are checked."""
        found = {}
        for hospital in self.federation.emails:
            signed = self._read_decision(hospital)
            if signed is not None:
                found[hospital] = signed.decision
        return found

    def excerpts(self) -> list[Excerpt]:
        """The lines of the study's log that hospitals chose to show, as last synced; signatures are checked."""
        found = []
        for hospital in self.federation.emails:
            public = self.federation.peers.public(hospital)
            for path in self._told(hospital, FILES) if public else ():
                signed = _parsed(SignedExcerpt, path)
                if signed and public and signed.verified(public) and signed.excerpt.study == self.digest:
                    found.append(signed.excerpt)
        return found

    def participants(self) -> list[str]:
        """Hospitals (addresses) whose approval is in force, and attests `least_patients`."""
        self.federation.sync()
        now = datetime.now(UTC)
        return sorted(
            email
            for email, d in self.decisions().items()
            if d.in_force(now) and (d.least_patients or 0) >= self.least_patients
        )

    def sweep(self) -> int:
        """Removes what this study's rounds left in the hospitals' boxes, when it was cut off and is not to go on: its
        messages, and parts of those that were never sent whole. Returns how many objects. Raises InvalidInput while
        rounds of it are running."""
        store, removed = self.federation.store, 0
        with self.journal.alone():
            for hospital in self.federation.emails:
                box = rounds_down(self.digest, hospital)
                names = [*store.names(box), *store.names(folder(box))]
                store.delete(*names)
                removed += len(names)
        return removed

    def joined(self) -> list[str]:
        """Hospitals that may have approved meanwhile, or nobody: a cheap look, to be had before each round."""
        if time.monotonic() - self._looked < self._look_seconds:
            return []
        self._looked = began = time.monotonic()
        approved = {hospital for hospital, d in self.decisions().items() if d.verdict == "approved"}
        if approved >= set(self.federation.emails):
            return []
        try:
            return self.participants()
        except Unavailable:  # who comes is seen at the next look
            return []
        finally:
            self._look_seconds = max(_LOOK_SECONDS, _LOOK_SHARE * (time.monotonic() - began))

    def label(self, hospital: str) -> str:
        """A hospital's short name."""
        return self.federation.label(hospital)

    def exchange(self) -> Exchange:
        """The way to the hospitals, one by one. Raises InvalidInput where they show only their sum, or train without a
        centre."""
        refuse_single(self.manifest)
        if self.manifest.gossip is not None:
            raise InvalidInput("This study's hospitals train without a centre.", "Use Gossiping(submission).run().")
        federation = self.federation
        return StoreExchange(self.manifest, federation.identity, federation.peers, federation.store, self.journal.spool)

    def status(self) -> pd.DataFrame:
        """One row per hospital: its decision, limits and reason."""
        self.federation.sync()
        decisions = self.decisions()
        rows = []
        for hospital in self.federation.emails:
            decision = decisions.get(hospital)
            rows.append(
                {
                    "hospital": self.federation.label(hospital),
                    "decision": decision.verdict if decision else "waiting",
                    "rounds": decision.rounds if decision else None,
                    "patients": f"at least {decision.least_patients:,}" if decision and decision.least_patients else "",
                    "expires": decision.expires_at.date().isoformat() if decision and decision.expires_at else "",
                    "reason": decision.reason if decision else "",
                }
            )
        return pd.DataFrame(rows).astype({"rounds": "Int64"})  # which has a word for "not yet"

    def noise(self) -> list[str]:
        """What noise the hospitals that have approved add to each round, and what to expect of it; empty for none."""
        approved = {e: one for e, one in self.decisions().items() if one.verdict == "approved"}
        return told(self.manifest, {self.federation.label(email): one.noise for email, one in approved.items()})

    def wait(self, hospitals: int | None = None, timeout: float = 3600) -> pd.DataFrame:
        """Waits until `hospitals` have approved (all, when left out) and returns `status()`.

        Raises Unavailable when that has not happened in `timeout` seconds, or can't happen any more.
        """
        total = len(self.federation.emails)
        needed, until = hospitals or total, time.monotonic() + timeout
        pace = patient(self.federation.store)
        with bar(f"approvals of {self.manifest.name}", needed) as advance_to:
            while True:
                approved = len(self.participants())
                against = {e: d for e, d in self.decisions().items() if d.verdict != "approved"}
                advance_to(min(approved, needed), "")
                if approved >= needed:
                    return self.status()
                if total - len(against) < needed:
                    names = ", ".join(f"{self.federation.label(e)} ({d.reason})" for e, d in against.items())
                    raise Unavailable(f"Too few hospitals are left: {names} did not approve.", "Read their reasons.")
                if time.monotonic() > until:
                    raise Unavailable(f"{approved} of {needed} hospitals have approved so far.", "Wait again later.")
                time.sleep(pace.wait())

    def __repr__(self) -> str:
        said = dict.fromkeys(self.federation.emails, "waiting")
        said |= {hospital: decision.verdict for hospital, decision in self.decisions().items()}
        told = ", ".join(f"{verdict} at {self.label(hospital)}" for hospital, verdict in said.items())
        return f"<Submission: {self.manifest.job_name}; digest {self.digest[:12]}; {told}>"

    def _repr_html_(self) -> str:
        title = heading(self.manifest.job_name, f"study {self.digest}")
        return title + str(self.status().to_html(index=False, na_rep="")) + paragraphs(self.noise())

    def _package(self) -> dict[str, bytes]:
        files = {path: (self.folder / "code" / path).read_bytes() for path in self.manifest.files}
        if problems := code_problems(self.manifest, files):
            raise InvalidInput(f"The study's folder was changed: {'; '.join(problems)}.", "Submit the study again.")
        files[MANIFEST_FILE] = self.manifest.canonical()
        files[SIGNATURE_FILE] = sign_manifest(self.manifest, self.federation.identity).encode()
        return files

    def _send_one(self, hospital: str, package: Path) -> None:
        """Sending the same job again is safe: the hospital refuses what it has already."""
        client = self.federation.client
        manager, whole = client.job_client.manager, self.folder / "jobs" / hospital
        folder = manager.submission_dir(manager.new_submission_ref(hospital, self.manifest.job_name))
        with quiet():
            if not whole.exists():  # else it was made before, and may have been sent
                shutil.rmtree(folder, ignore_errors=True)  # what was cut off
                client.job_client.submit_python_job(
                    hospital, str(package), job_name=self.manifest.job_name, entrypoint=ENTRY
                )
                if not self.manifest.files:
                    (folder / "code" / ENTRY).unlink(missing_ok=True)
                write_atomically(whole, b"")
            client.sync_engine.push_job_files(folder)

    def _read_decision(self, hospital: str) -> SignedDecision | None:
        public = self.federation.peers.public(hospital)
        for path in self._told(hospital, FILE) if public else ():
            signed = _parsed(SignedDecision, path)
            if signed and public and signed.verified(public) and signed.decision.study == self.digest:
                return signed
        return None

    def _told(self, hospital: str, name: str) -> list[Path]:
        """The files of that name that a hospital has put beside the study, for this researcher."""
        root = self.federation.home.syftbox / hospital / "app_data" / "job" / "review" / self.federation.email
        return sorted(root.glob(f"v*/{self.manifest.job_name}/{name}"))

    def describe(self) -> dict[str, Any]:
        """The manifest as JSON values."""
        return self.manifest.model_dump(mode="json")


def patient(store: Store) -> Pace:
    """For what waits on people: each look is a sync with every hospital."""
    return Pace(longest=10.0 if store.remote else 0.3, quick=0.3)


def _parsed(model: type[Signed], path: Path) -> Signed | None:
    """What a hospital wrote, or None where it cannot be read: it may be half written, or hostile."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def as_first_rehearsed(studies: Path, manifest: Manifest) -> Manifest:
    """A repetition with the report of its first submission's rehearsal, so that it repeats that to the last byte.

    It stays as it is where the first one was not submitted from this machine; then a person decides on it anew.
    """
    if manifest.repetition == 1:
        return manifest
    for path in sorted(studies.glob(f"*/{MANIFEST_FILE}")):
        first = Manifest.model_validate_json(path.read_bytes())
        again = manifest.model_copy(update={"rehearsal": first.rehearsal})
        if again.first == first.digest:
            return again
    return manifest
