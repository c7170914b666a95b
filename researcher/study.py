"""What a researcher wants to do: a folder of code, a dataset, a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from datasites.wire.canonical import digest_of
from datasites.wire.dictionary import Dictionary
from datasites.wire.limits import SUBMISSION_FILE_BYTES, SUBMISSION_FILES
from datasites.wire.manifest import ENTRY, Manifest, describe_files
from datasites.wire.outputs import OutputContract
from datasites.wire.rehearsed import RehearsalReport
from datasites.wire.shown import Shown
from policies.errors import InvalidInput

if TYPE_CHECKING:
    from researcher.topology.neighbours import Neighbours

_IGNORED = {"__pycache__", ".ipynb_checkpoints", ".git", ".venv", ".DS_Store"}


@dataclass(frozen=True, repr=False)
class Study(Shown):
    """A study to be rehearsed, submitted and run.

    code: a folder with a `study.py` that defines `initialize(config)`, `fit(parameters, table, config)` and
    `evaluate(parameters, table, config)`; everything in the folder is part of what the data owner reads. Where `fit`
    returns a fourth value, a dictionary of arrays, these stay at the hospital, and the next round's `fit` and
    `evaluate` get them if they have an argument `kept`; it is empty before the first.
    repetition: the very same work may be asked for again, as number 2, 3, ...; a hospital's policy can let it pass
    without a person, if not a byte differs from what a person approved there.
    columns: what the code may see, in this order; all columns of the dictionary when left out.
    config: JSON values for the code. It is approved with the code and cannot be changed from round to round.
    compression: how models come back from hospitals, for instance "delta+feedback+topk(0.01)+int8+zstd";
    state_compression: how they are sent there, for instance "int8+zstd". See docs/compression.md; empty: as they are.
    secure_aggregation: hospitals show only the sum of their results; or its terms, for instance {"limit": 64,
    "most_examples": 100_000}. Arrays of a test must be counts; {"tables": [...]} names those in which hospitals
    withhold small cells, {"sums": [...]} arrays that are sums over patients. See docs/secure-aggregation.md.
    gossip: hospitals train without a centre, as `Neighbours` says. See docs/topologies.md.
    processes: each function runs in so many at a hospital, as under `torchrun`, and what rank 0 returns is the result.
    See docs/executors.md.
    """

    name: str
    purpose: str
    code: str | Path
    dataset: str
    rounds: int
    config: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | list[str] | None = None
    seconds_per_round: int = 3600
    repetition: int = 1
    compression: str = ""
    state_compression: str = ""
    secure_aggregation: bool | Mapping[str, Any] = False
    gossip: Neighbours | None = None
    processes: int = 1

    def _facts(self) -> dict[str, object]:
        return {
            "name": self.name,
            "purpose": self.purpose,
            "code": self.code,
            "dataset": self.dataset,
            "columns": "all" if self.columns is None else ", ".join(self.columns),
            "rounds": self.rounds,
            "config": ", ".join(f"{name}={value}" for name, value in self.config.items()),
            "compression": self.compression,
            "compression of the state": self.state_compression,
            "secure aggregation": "only the sum is seen" if self.secure_aggregation else "",
            "processes": self.processes if self.processes > 1 else None,
            "repetition": self.repetition if self.repetition > 1 else None,
        }

    def files(self) -> dict[str, bytes]:
        """The code's bytes by path. Raises InvalidInput for what a data owner could not read."""
        folder = Path(self.code)
        if not (folder / ENTRY).is_file():
            raise InvalidInput(f"There is no {ENTRY} in {folder}.", "It must define initialize, fit and evaluate.")
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not _IGNORED & set(path.relative_to(folder).parts) and path.suffix != ".pyc"
        }
        for name, data in found.items():
            _check_text(name, data)
        if len(found) > SUBMISSION_FILES - 4:
            raise InvalidInput(f"The folder {folder} holds {len(found)} files.", f"At most {SUBMISSION_FILES - 4}.")
        return found

    def columns_of(self, dictionary: Dictionary) -> tuple[str, ...]:
        """Raises InvalidInput for columns that the dictionary does not have."""
        wanted = tuple(self.columns) if self.columns is not None else tuple(dictionary.columns)
        if unknown := [c for c in wanted if c not in dictionary.columns]:
            raise InvalidInput(
                f"The dataset {self.dataset!r} has no column {', '.join(unknown)}.",
                f"It has: {', '.join(dictionary.columns)}.",
            )
        return wanted

    def manifest(
        self,
        researcher: str,
        dictionary: Dictionary,
        outputs: OutputContract,
        rehearsal: RehearsalReport | None = None,
    ) -> Manifest:
        """Raises InvalidInput, naming every field that cannot be used."""
        try:
            return Manifest(
                name=self.name,
                purpose=self.purpose,
                researcher=researcher,
                dataset=self.dataset,
                dictionary=dictionary.digest,
                columns=self.columns_of(dictionary),
                files=describe_files(self.files()),
                config=dict(self.config),
                rounds=self.rounds,
                seconds_per_round=self.seconds_per_round,
                outputs=outputs,
                repetition=self.repetition,
                rehearsal=rehearsal,
                state_compression=self.state_compression,
                processes=self.processes,
            )
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
            raise InvalidInput(f"The study cannot be submitted: {wrong}.") from None

    def fingerprint(self, dictionary: Dictionary) -> str:
        """A digest of all that a rehearsal depends on: code, configuration, columns and dictionary."""
        files = {path: spec.sha256 for path, spec in describe_files(self.files()).items()}
        try:
            told = [files, dict(self.config), list(self.columns_of(dictionary)), dictionary.digest, self.compression]
            return digest_of([*told, self.processes])
        except (ValueError, TypeError):
            raise InvalidInput("The study's config is not JSON.", "Use text, numbers and lists.") from None


def _check_text(name: str, data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{name} is not text.", "A study holds only files that its reviewers can read.") from None
    if "\r" in text or "\0" in text:
        raise InvalidInput(f"{name} has Windows line ends or NUL characters.", "Save it with plain line ends (LF).")
    if len(data) > SUBMISSION_FILE_BYTES:
        raise InvalidInput(f"{name} has {len(data):,} bytes.", f"At most {SUBMISSION_FILE_BYTES:,} are allowed.")
