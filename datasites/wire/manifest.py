"""What a researcher asks for, completely: the manifest names every byte and parameter, and its digest is the study.

Two hospitals that see the same digest were asked for the same thing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from datasites.wire.canonical import canonical_json, sha256
from datasites.wire.gossip.network import Network
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.marginals import Marginals
from datasites.wire.outputs import OutputContract, pipeline_of, private_outputs
from datasites.wire.rehearsed import RehearsalReport
from datasites.wire.secagg.terms import SecureAggregation
from datasites.wire.shown import facts, heading
from datasites.wire.statistics import Statistics
from datasites.wire.training import Training
from datasites.wire.values import Digest, Email, Frozen, Identifier, Line, Name
from datasites.wire.work import Work
from policies.errors import InvalidInput
from policies.privacy.events import MOST_STEPS, Event, Gaussian, SharedGaussian
from policies.privacy.plan import grouped
from policies.privacy.sharing import Sharing

CONTEXT = "study-manifest"
ENTRY = "study.py"
MANIFEST_FILE, SIGNATURE_FILE = "manifest.json", "manifest.sig"
_FILE_PATH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,60}/){0,5}[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}")


class CodeFile(Frozen):
    sha256: Digest
    size: Annotated[int, Field(ge=0)]


class Manifest(Frozen):
    """See the module. `config` is passed to the study's functions as it stands; it is part of what is approved.

    reviewed: the study's own code, in `files`. private: no code; the hospital's own, told by `training` what to train,
    or by `statistics` what to count.
    repetition: the very same work may be asked for again, as number 2, 3, ...; `first` is what they have in common.
    state_compression: how the global state is coded on its way to hospitals; empty: as it is. What they are sent is
    then what can be read of it, at both ends.
    secure_aggregation: who adds up what leaves; nobody then sees what one hospital adds.
    gossip: the hospitals that train without a centre, and which of them send each other their models.
    processes: in how many the study's code runs at each hospital, as under `torchrun`.
    """

    version: Literal[1] = 1
    name: Name
    purpose: Line
    researcher: Email
    dataset: Identifier
    dictionary: Digest
    columns: tuple[Identifier, ...] = Field(strict=False, min_length=1, max_length=2000)
    files: dict[str, CodeFile]
    config: dict[str, JsonValue]
    rounds: Annotated[int, Field(ge=1, le=100_000)]
    seconds_per_round: Annotated[int, Field(ge=1, le=7 * 24 * 3600)]
    outputs: OutputContract
    tier: Literal["private", "reviewed"] = "reviewed"
    training: Training | None = None
    statistics: Statistics | Marginals | None = None
    repetition: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    rehearsal: RehearsalReport | None = None
    state_compression: str = ""
    secure_aggregation: SecureAggregation | None = None
    gossip: Network | None = None
    processes: Annotated[int, Field(ge=1, le=64)] = 1

    def __repr__(self) -> str:
        return f"<Manifest: {self.job_name}; {self.tier} tier; of {self.researcher}; digest {self.digest[:12]}>"

    def _repr_html_(self) -> str:
        told = {
            "purpose": self.purpose,
            "researcher": self.researcher,
            "dataset": self.dataset,
            "tier": self.tier,
            "columns": ", ".join(self.columns),
            "files": ", ".join(self.files),
            "rounds": self.rounds,
            **({"processes that train together": self.processes} if self.processes > 1 else {}),
            "config": ", ".join(f"{name}={value}" for name, value in self.config.items()),
            "leaves in a round, at most": f"{self.max_bytes:,} bytes",
            "digest": self.digest,
        }
        return heading(self.job_name) + facts(told)

    @model_validator(mode="after")
    def _of_its_tier(self) -> Self:
        if (self.training is not None) + (self.statistics is not None) != (self.tier == "private"):
            raise ValueError("a private study has a training or statistics, and a reviewed one has neither")
        asked = self.asked
        if asked is None:
            if ENTRY not in self.files:
                raise ValueError(f"the code must hold a {ENTRY}")
        elif self.files or self.config or self.processes > 1:
            raise ValueError("a private study has no code, no config and one process")
        elif sorted(self.columns) != sorted(asked.columns):
            raise ValueError("the columns are not those that the hospital's own program is to read")
        elif self.outputs != private_outputs(asked, self.outputs.compression):
            raise ValueError("the outputs are not those of the hospital's own program")
        elif isinstance(asked, Training) and self.rounds * asked.steps > MOST_STEPS:
            raise ValueError(f"the study has more than {MOST_STEPS:,} steps")
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for path in self.files:
            if not _FILE_PATH.fullmatch(path) or path in (MANIFEST_FILE, SIGNATURE_FILE):
                raise ValueError("file names must be plain relative paths")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("a column is named twice")
        if len({path.lower() for path in self.files}) != len(self.files):
            raise ValueError("two file names differ only in case")
        if self.state_compression:
            if pipeline_of(self.state_compression).delta:
                raise ValueError("hospitals keep no state that a change could be told of: use no delta")
            if not self.outputs.parameters:
                raise ValueError("there is no state to compress")
        return self

    def canonical(self) -> bytes:
        """The bytes that the digest is of."""
        content = self.model_dump(mode="json")
        for name in ("state_compression", "secure_aggregation", "gossip"):
            if not content[name]:  # as before there was the field
                del content[name]
        if self.processes == 1:
            del content["processes"]
        return canonical_json(content)

    @model_validator(mode="after")
    def _can_be_added(self) -> Self:
        if self.secure_aggregation is None:
            return self
        if self.outputs.compression:
            raise ValueError("numbers of a secure sum are masked and cannot be compressed: leave out compression")
        if isinstance(self.statistics, Marginals):
            raise ValueError(
                "a secure sum is of models, score histograms and counts by column, not of pairs of columns"
            )
        terms, arrays = self.secure_aggregation, self.outputs.evaluate_arrays
        floats = {name for name, spec in arrays.items() if spec.dtype.startswith("float")}
        if self.tier == "private":
            if terms.tables or terms.sums:
                raise ValueError("the hospital's own program knows what it adds up: leave out tables and sums")
        elif unknown := sorted(floats.symmetric_difference(terms.sums)):
            raise ValueError(f"arrays of a test must be counts or sums to be added up: {', '.join(unknown)}")
        if wrong := [name for name in terms.tables if name not in arrays or name in floats]:
            raise ValueError(f"there is no table of counts {', '.join(wrong)}")
        return self

    @model_validator(mode="after")
    def _can_be_shared(self) -> Self:
        if self.sharing is None:
            return self
        shared = [event for event in self.plan(self.rounds) if isinstance(event, SharedGaussian)]
        if not shared:
            raise ValueError("there is no noise of counts to be shared: leave out honest")
        asked = self.statistics or (self.training and self.training.evaluation)
        try:
            if asked and not isinstance(asked, Marginals):
                self.sharing.deviation(asked.noise_multiplier, asked.sensitivity / asked.grid, asked.width)
        except InvalidInput as problem:
            raise ValueError(str(problem)) from None
        return self

    @model_validator(mode="after")
    def _can_be_mixed(self) -> Self:
        if self.gossip is None:
            return self
        if self.secure_aggregation is not None:
            raise ValueError("hospitals that mix models read each of them: leave out secure_aggregation or gossip")
        if self.outputs.compression or self.state_compression:
            raise ValueError("models go between hospitals as they are: leave out compression or gossip")
        if self.statistics is not None or not self.outputs.parameters:
            raise ValueError("there is no model to mix")
        return self

    @property
    def sharing(self) -> Sharing | None:
        """How hospitals share the noise of counts; None where each adds all of it."""
        return self.secure_aggregation.sharing if self.secure_aggregation else None

    @property
    def work(self) -> Work | None:
        """Of the hospital's own program; None where the study brings code of its own."""
        return Work(asked=self.asked, sharing=self.sharing) if self.asked else None

    def events(self, fit: bool, evaluate: bool) -> tuple[Event, ...]:
        """What a message to the hospital's own program releases; nothing where the study brings code of its own."""
        return self._charged(self.asked.events(fit, evaluate)) if self.asked else ()

    def plan(self, rounds: int) -> tuple[Event, ...]:
        """What the hospital's own program releases in so many rounds. Raises InvalidInput for too many."""
        return self._charged(self.asked.plan(rounds)) if self.asked else ()

    def _charged(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Steps of training have all their noise from this hospital; counts may share it."""
        sharing = self.sharing
        if sharing is None:
            return events
        return grouped(sharing.event(one) if isinstance(one, Gaussian) else one for one in events)

    @property
    def max_bytes(self) -> int:
        """Worst-case payload of one round: to the researcher and, without a centre, to each neighbour."""
        if self.gossip:
            return self.outputs.max_bytes + self.gossip.greatest_degree * self.outputs.parameter_bytes
        if self.secure_aggregation is None:
            return self.outputs.max_bytes
        withheld = [self.outputs.evaluate_arrays[name] for name in self.secure_aggregation.tables]
        return 8 * (self.outputs.numbers + sum(math.prod(spec.shape) + 1 for spec in withheld))

    @property
    def asked(self) -> Training | Statistics | Marginals | None:
        """Of the hospital's own program; None where the study brings code of its own."""
        return self.training or self.statistics

    @property
    def digest(self) -> str:
        """The study's identity, hex SHA-256."""
        return sha256(self.canonical())

    @property
    def first(self) -> str:
        """The digest with repetition 1: what repetitions of the same work, to the last byte, have in common."""
        return self.digest if self.repetition == 1 else self.model_copy(update={"repetition": 1}).digest

    @property
    def job_name(self) -> str:
        """The name of the Syft job that carries it."""
        return f"{self.name}-{self.digest[:12]}"


def describe_files(files: Mapping[str, bytes]) -> dict[str, CodeFile]:
    return {path: CodeFile(sha256=sha256(data), size=len(data)) for path, data in sorted(files.items())}


def sign_manifest(manifest: Manifest, identity: Identity) -> str:
    return identity.sign(CONTEXT, manifest.canonical())


def verify_manifest(data: bytes, signature: str, researcher: PublicIdentity) -> Manifest:
    """The manifest, if `data` is its canonical form, signed by the researcher it names. Raises ValueError."""
    manifest = Manifest.model_validate_json(data)
    if manifest.canonical() != data:
        raise ValueError("the manifest is not in its canonical form")
    if manifest.researcher != researcher.email or not researcher.signed(CONTEXT, data, signature):
        raise ValueError("the manifest is not signed by the researcher it names")
    return manifest


def code_problems(manifest: Manifest, files: Mapping[str, bytes]) -> list[str]:
    """Every way in which the bytes differ from what the manifest names."""
    problems = [f"{path} is missing" for path in sorted(manifest.files.keys() - files.keys())]
    problems += [f"{path} is not named in the manifest" for path in sorted(files.keys() - manifest.files.keys())]
    for path in sorted(manifest.files.keys() & files.keys()):
        if describe_files({path: files[path]})[path] != manifest.files[path]:
            problems.append(f"{path} has other bytes than the manifest says")
    return problems
