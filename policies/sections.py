"""The sections of a policy, each a typed table of its TOML file.

Every entry must be written down, so that the file says all that is allowed; only limits that may be left off have a
default. Lists of names may use `*` for any text where they say so; an empty list allows nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from policies.code import Allowable


def _line(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > 500:
        raise PydanticCustomError("line", "must be one line of text")
    return value


def _identifier(value: str) -> str:
    if not value.isidentifier() or not value.isascii() or len(value) > 64:
        raise PydanticCustomError("identifier", "must be a name of letters, digits and underscores, without dots")
    return value


Line = Annotated[str, Strict(), AfterValidator(_line)]
Identifier = Annotated[str, Strict(), AfterValidator(_identifier)]
Lines = Annotated[tuple[Line, ...], Field(max_length=2_000)]
Positive = Annotated[int, Strict(), Field(ge=1, le=1_000_000_000)]
Tier = Literal["private", "reviewed"]


class Section(BaseModel):
    """A part of a policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Asking(Section):
    """Who may ask and what for. `researchers` are addresses (`*@university.org`), `purposes` as studies state them;
    both may use `*`, and upper case is as lower case."""

    researchers: Lines
    purposes: Lines


class Data(Section):
    """What code may see. `columns` may use `*`; `never_columns` wins over it. `pseudonyms`: whether code may tell which
    rows belong to one patient. `min_patients`: a table of fewer takes part in no study."""

    columns: Lines
    never_columns: Lines
    pseudonyms: StrictBool
    min_patients: Positive


class Running(Section):
    """How a study may run: in which tiers, and how much in each round. kept_megabytes: what study code may leave at the
    hospital for its next round, which does not leave; nothing where it is not given. processes: in how many a study's
    code may train together, on several graphics cards for instance; in one where it is not given."""

    tiers: tuple[Tier, ...]
    rounds: Annotated[int, Strict(), Field(ge=1, le=100_000)]
    minutes_per_round: Annotated[float, Strict(), Field(gt=0, le=7 * 24 * 60)]
    megabytes_per_round: Annotated[float, Strict(), Field(gt=0, le=10_000)]
    kept_megabytes: Annotated[float, Strict(), Field(gt=0, le=500)] | None = None
    processes: Annotated[int, Strict(), Field(ge=1, le=64)] | None = None

    @property
    def seconds_per_round(self) -> int:
        return int(self.minutes_per_round * 60)

    @property
    def bytes_per_round(self) -> int:
        """Of the result that leaves; a megabyte is a million bytes."""
        return int(self.megabytes_per_round * 1_000_000)

    @property
    def most_processes(self) -> int:
        """Of one study, that train together."""
        return self.processes or 1

    @property
    def kept_bytes(self) -> int:
        """Of what stays for the next round."""
        return int((self.kept_megabytes or 0) * 1_000_000)


class Code(Section):
    """What a study's code may use: top-level packages, and kinds of findings (see `policies.code`) that are no ground
    for refusal."""

    imports: Annotated[tuple[Identifier, ...], Field(max_length=500)]
    allow: tuple[Allowable, ...]


class Release(Section):
    """What the gate lets out.

    metrics: names of numbers that may leave. arrays: greatest shape of each other array that may leave.
    tables: the same, of arrays in which each row counts every patient at most once, as a frequency table by column
    does; cells of fewer than min_cohort (or min_cell) are withheld, and others to cover them.
    min_cohort: examples behind a released number. min_cell: no count from 1 to below this one leaves in an array.
    decimals: metrics are rounded to so many. max_update_norm: greatest L2 norm of what came back minus what was sent.
    gate_noise: standard deviation of noise added to each number of the update, as a multiple of max_update_norm; then
    the update is shortened to that norm, and nothing else leaves of study code.
    secure_aggregation: only sums over hospitals may be readable to anybody.
    neighbours: addresses (`*@hospitals.org`) of hospitals that may read this hospital's model by itself, where they
    train without a centre; all hospitals of such a study must be among them. None, where it is not given.
    hide_counts: the number of examples behind a result of study code does not leave: every hospital reports 1.
    """

    metrics: Annotated[tuple[Identifier, ...], Field(max_length=500)]
    arrays: dict[Identifier, Annotated[tuple[Positive, ...], Field(max_length=8)]]
    min_cohort: Positive
    min_cell: Positive
    decimals: Annotated[int, Strict(), Field(ge=0, le=10)]
    secure_aggregation: StrictBool
    max_update_norm: Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)] | None = None
    gate_noise: Annotated[float, Strict(), Field(ge=0.1, le=1e6)] | None = None
    hide_counts: StrictBool = False
    neighbours: Lines = ()
    tables: dict[Identifier, tuple[Positive, Positive]] = Field(default_factory=dict)

    @property
    def least_cell(self) -> int:
        """The smallest count, but 0, of a cell of `tables` that leaves."""
        return max(self.min_cohort, self.min_cell)

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if both := sorted(self.arrays.keys() & self.tables.keys()):
            raise PydanticCustomError("rule", "{name} is among the arrays and the tables", {"name": f"`{both[0]}`"})
        return self

    @model_validator(mode="after")
    def _noise_has_a_scale(self) -> Self:
        if self.gate_noise is not None and self.max_update_norm is None:
            raise PydanticCustomError("rule", "`gate_noise` is a multiple of `max_update_norm`, which is not given")
        return self


class Approval(Section):
    """`automatic`: "same-digest" approves without a person what repeats, to the last byte, a study that a person has
    approved and whose approval is in force. `days`: the longest that an approval is valid."""

    automatic: Literal["never", "same-digest"]
    days: Annotated[int, Strict(), Field(ge=1, le=3_650)]


class Budget(Section):
    """What may be spent of differential privacy, for one study, for one researcher and for all studies ever; of a
    patient.

    epsilon_per_researcher: for all studies of one researcher; no limit of its own where it is not given.
    one_row_per_person: whether a row is a person, so that what protects one row protects a patient.
    colluding_hospitals: noise may be shared with other hospitals (see docs/secure-aggregation.md) where the sum carries
    what is charged even if so many of them help the researcher. Not at all, where it is not given: then this hospital's
    own noise alone must carry it.
    """

    epsilon_per_study: Annotated[float, Strict(), Field(gt=0, le=1_000)]
    epsilon_total: Annotated[float, Strict(), Field(gt=0, le=1_000)]
    delta: Annotated[float, Strict(), Field(gt=0, lt=0.01)]
    epsilon_per_researcher: Annotated[float, Strict(), Field(gt=0, le=1_000)] | None = None
    one_row_per_person: StrictBool = False
    colluding_hospitals: Annotated[int, Strict(), Field(ge=0, le=500)] | None = None

    @model_validator(mode="after")
    def _one_fits_the_whole(self) -> Self:
        if self.epsilon_per_study > self.epsilon_total:
            raise PydanticCustomError("rule", "`epsilon_per_study` is above `epsilon_total`")
        if self.epsilon_per_researcher is not None and self.epsilon_per_researcher > self.epsilon_total:
            raise PydanticCustomError("rule", "`epsilon_per_researcher` is above `epsilon_total`")
        return self
