"""Which policy a datasite applies to which table, and a submitted study in the terms that policies speak of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from datasites.home import DatasiteHome
from datasites.wire.decision import SignedDecision
from datasites.wire.dictionary_rules import is_name
from datasites.wire.files import write_atomically
from datasites.wire.manifest import Manifest
from policies.errors import InvalidInput
from policies.examples import STANDARD, example_text
from policies.policy import Policy, read_text
from policies.request import StudyRequest


def request_of(
    manifest: Manifest,
    files: Mapping[str, bytes],
    approved_digests: Iterable[str] = (),
    *,
    rounds: int | None = None,
    patients: int | None = None,
    protections: Iterable[str] = (),
) -> StudyRequest:
    """What the study asks for. What is left out is unknown, and refused by policies that ask for it.

    rounds: fewer than it asks for, where the owner allows only those. patients: how many the table has.
    protections: those that this hospital will apply ("secure_aggregation", "gate_noise").
    approved_digests: of studies that a person approved here and whose approval is in force.
    """
    outputs = manifest.outputs
    return StudyRequest(
        researcher=manifest.researcher,
        purpose=manifest.purpose,
        dataset=manifest.dataset,
        columns=manifest.columns,
        tier=manifest.tier,
        rounds=manifest.rounds if rounds is None else rounds,
        seconds_per_round=manifest.seconds_per_round,
        max_bytes=manifest.max_bytes,
        kept_bytes=outputs.stays_bytes,
        processes=manifest.processes,
        fit_metrics=outputs.fit_metrics,
        evaluate_metrics=outputs.evaluate_metrics,
        evaluate_arrays={name: spec.shape for name, spec in outputs.evaluate_arrays.items()},
        files=texts(files),
        config=manifest.config,
        digest=manifest.digest,
        first=manifest.first,
        pseudonyms=manifest.tier == "reviewed",  # whose table view always has the pseudonym column
        patients=patients,
        rounds_asked=manifest.rounds,
        events=manifest.plan(manifest.rounds),
        protections=frozenset(protections),
        summed=manifest.secure_aggregation.tables if manifest.secure_aggregation else None,
        neighbours=tuple(sorted(manifest.gossip.hospitals)) if manifest.gossip else (),
        approved_digests=frozenset(approved_digests),
    )


def texts(files: Mapping[str, bytes]) -> dict[str, str]:
    """Code as text to review; bytes that are no text become U+FFFD, at which the review stops."""
    return {path: data.decode("utf-8", errors="replace") for path, data in files.items()}


class PolicyBook:
    """A datasite's policies: `policies/DATASET.toml` (0600) in its home, as their author wrote them."""

    def __init__(self, home: DatasiteHome) -> None:
        self.folder = home.path / "policies"

    def get(self, dataset: str) -> Policy:
        """The table's policy; the example `standard` where none was set. Raises InvalidInput if it is damaged."""
        return Policy.from_toml(self.text(dataset))

    def text(self, dataset: str) -> str:
        """The policy's file, comments and all."""
        return read_text(self._path(dataset)) if self.is_set(dataset) else example_text(STANDARD)

    def stamp(self, dataset: str) -> str:
        """Differs whenever what `get` returns or raises does."""
        try:
            return self.text(dataset)
        except InvalidInput as problem:
            return problem.message

    def is_set(self, dataset: str) -> bool:
        """Whether the owner has set a policy for the table, so that it is not `standard` by default."""
        path = self._path(dataset)
        return path.exists() or path.is_symlink()  # a broken link is a damaged policy, not none

    def read(self, dataset: str, policy: str | Path) -> tuple[Policy, str]:
        """The policy in a file, or the ready one of that name, for a table; and its text.

        Raises InvalidInput naming every problem.
        """
        self._path(dataset)
        text = policy_text(policy)
        return Policy.from_toml(text), text

    def put(self, dataset: str, text: str) -> None:
        """Replaces the table's policy. `Datasite.set_policy` enters it in the audit log first."""
        write_atomically(self._path(dataset), text.encode())

    def _path(self, dataset: str) -> Path:
        if not is_name(dataset):
            raise InvalidInput(f"{dataset!r} is not the name of a table.", "Give the name in the table's dictionary.")
        return self.folder / f"{dataset}.toml"


def policy_text(policy: str | Path) -> str:
    """A policy file's text; strict, standard and teaching are the ready ones, unless there is a file of that name."""
    path = Path(policy)
    return read_text(path) if path.exists() or path.suffix else example_text(str(policy))


def approved_before(decisions: Iterable[SignedDecision], at: datetime) -> frozenset[str]:
    """The studies, of those whose decision in force is given, that a person's approval allows at that time."""
    given = (signed.decision for signed in decisions)
    return frozenset(decision.study for decision in given if decision.in_force(at) and not decision.automatic)
