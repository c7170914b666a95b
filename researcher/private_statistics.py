"""How many patients hospitals have, by group, and what is usual among them: with noise, and charged.

asked = wr.PrivateStatistics("cohorts", "Who is there?", "readmissions", ["age", "time_in_hospital"], epsilon=0.2)
submission = federation.submit(asked, federation.rehearse(asked))
counts = wr.collect(submission)                       # once the hospitals have approved
counts.table()
wr.FedAvg(weights=counts.weights())                   # for a later study
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from datasites.wire.arrays import Arrays
from datasites.wire.canonical import digest_of
from datasites.wire.dictionary import Dictionary
from datasites.wire.manifest import Manifest
from datasites.wire.marginals import Marginals
from datasites.wire.outputs import OutputContract, private_outputs
from datasites.wire.preparation import CategoryInput, NumberInput
from datasites.wire.rehearsed import RehearsalReport
from datasites.wire.shown import Shown
from datasites.wire.statistics import STATISTICS, Statistics, statistic_of
from policies.errors import InvalidInput
from policies.privacy.accounting import epsilon as epsilon_of
from policies.privacy.plan import Plan
from researcher import privacy
from researcher.asking import ask_once
from researcher.cost import Cost, counts_event
from researcher.errors import unusable
from researcher.participation import ApprovedStudy
from researcher.secagg.exchange import SUM
from researcher.secagg.summed import LABEL, added_noise

_BAND = 1.96
_CLEAR = 5.0  # a count below so many standard deviations of its noise gives no mean


@dataclass(frozen=True, repr=False)
class PrivateStatistics(Shown):
    """To be rehearsed and submitted as a study is, and then collected with `collect`; hospitals answer it once.

    columns: of booleans and numbers the mean comes back, of categories how many encounters have each.
    encounters: the most of one patient that count, drawn at random. With 1, counts are of patients; with more they
    are of encounters, and the noise is so many times as wide.
    epsilon: of all of it together, at `delta`; or `noise_multiplier`. More columns mean more noise for each.
    secure_aggregation: hospitals show only the sum; with {"honest": H} they share its noise. See PrivateStudy.
    """

    name: str
    purpose: str
    dataset: str
    columns: Sequence[str]
    epsilon: float | None = None
    noise_multiplier: float | None = None
    delta: float = 1e-6
    encounters: int = 1
    seconds_per_round: int = 3600
    home: Path | None = None
    secure_aggregation: bool | Mapping[str, float] = False

    def __post_init__(self) -> None:
        if (self.epsilon is None) == (self.noise_multiplier is None):
            raise InvalidInput("Give either an epsilon or a noise multiplier.", "A small epsilon is 0.3.")

    def _facts(self) -> dict[str, object]:
        return {
            "name": self.name,
            "purpose": self.purpose,
            "dataset": self.dataset,
            "columns": ", ".join(self.columns),
            "epsilon": f"{self.epsilon:g} at delta {self.delta:g}" if self.epsilon else "",
            "noise multiplier": self.noise_multiplier,
        }

    def statistics(self, dictionary: Dictionary) -> Statistics | Marginals:
        """What hospitals are asked for. Raises InvalidInput."""
        self._check_columns(dictionary)
        inputs = tuple(statistic_of(dictionary.columns[name]) for name in self.columns)
        try:
            return Statistics(inputs=inputs, encounters=self.encounters, noise_multiplier=self._noise())
        except ValidationError as error:
            raise unusable(error) from None

    def cost(self) -> Cost:
        """Of all of it together."""
        noise = self._noise()
        counted = counts_event(self.secure_aggregation, noise)
        return Cost(epsilon_of([counted], self.delta), self.delta, noise, steps=0, evaluations=0)

    @property
    def initial(self) -> Arrays:
        """None: there is no model."""
        return {}

    def contract(self, dictionary: Dictionary) -> OutputContract:
        """What may leave: names, shapes and types."""
        return private_outputs(self.statistics(dictionary))

    def files(self) -> dict[str, bytes]:
        """None: it has no code."""
        return {}

    def manifest(
        self,
        researcher: str,
        dictionary: Dictionary,
        outputs: OutputContract,
        rehearsal: RehearsalReport | None = None,
    ) -> Manifest:
        """Raises InvalidInput, naming every field that cannot be used."""
        statistics = self.statistics(dictionary)
        try:
            return Manifest(
                name=self.name,
                purpose=self.purpose,
                researcher=researcher,
                dataset=self.dataset,
                dictionary=dictionary.digest,
                columns=statistics.columns,
                files={},
                config={},
                rounds=1,
                seconds_per_round=self.seconds_per_round,
                outputs=outputs,
                tier="private",
                statistics=statistics,
                rehearsal=rehearsal,
            )
        except ValidationError as error:
            raise unusable(error) from None

    def fingerprint(self, dictionary: Dictionary) -> str:
        """A digest of all that a rehearsal depends on."""
        return digest_of([self.statistics(dictionary).model_dump(mode="json"), dictionary.digest])

    def _check_columns(self, dictionary: Dictionary) -> None:
        if unknown := [name for name in self.columns if name not in dictionary.columns]:
            raise InvalidInput(f"The dataset {self.dataset!r} has no column {', '.join(unknown)}.")

    def _noise(self) -> float:
        if self.epsilon is None:
            return float(self.noise_multiplier or 0)
        alone = Plan(1, (counts_event(self.secure_aggregation, 1.0),))
        return privacy.noise_for(self.epsilon, self.delta, alone, self.home)


@dataclass(frozen=True)
class Counts:
    """What hospitals answered: each a row of sums (see `Statistics`) with noise. `label` names them.

    noises: the variance of a row's noise over that of one hospital's own; 1 where it is not given. Of hospitals that
    show their sum alone there is one row, "the sum"."""

    statistics: Statistics
    rows: Mapping[str, NDArray[np.float64]] = field(repr=False)
    label: Mapping[str, str] = field(default_factory=dict, repr=False)
    noises: Mapping[str, float] = field(default_factory=dict, repr=False)

    def table(self) -> pd.DataFrame:
        """One row per hospital (and for all together) and number: value, and the band that holds 95 of 100 times what
        stands in the table. Bands are of the noise alone, not of which patients there might have been.

        A mean is empty where too few are left to tell it through the noise; a count may be below 0.
        """
        found = [
            one
            for name, row in self.rows.items()
            for one in self._told(self.label.get(name, name), row, self._noise(name))
        ]
        if len(self.rows) > 1:
            found += self._told("all", np.sum(list(self.rows.values()), axis=0), sum(map(self._noise, self.rows)))
        return pd.DataFrame(found, columns=["hospital", "column", "what", "value", "low", "high"])

    def weights(self) -> dict[str, float]:
        """For `FedAvg`: by hospital's address, how many encounters count there; at least 1. It costs nothing more."""
        if SUM in self.rows:
            raise InvalidInput("A sum tells nothing of one hospital.", "Ask without secure_aggregation.")
        return {hospital: max(1.0, float(row[0])) for hospital, row in self.rows.items()}

    def _noise(self, name: str) -> float:
        return self.noises.get(name, 1.0)

    def table_one(self) -> pd.DataFrame:
        """Rows: patients, and each number and category; columns: hospitals, and all together. Values are with noise:
        `table` has their bands. There is no standard deviation, median or correlation: nobody was asked for one."""
        table = self.table()
        table["told"] = table["column"].where(table["column"] == "", table["column"] + ": ") + table["what"]
        order, names = table["told"].unique(), table["hospital"].unique()
        wide = table.pivot(index="told", columns="hospital", values="value").reindex(index=order, columns=names)
        return wide.rename(columns={"all": "overall"}).rename_axis(columns=None)

    def _told(self, hospital: str, row: NDArray[np.float64], noises: float) -> list[tuple[object, ...]]:
        deviation = self.statistics.deviation * noises**0.5
        of = "patients" if self.statistics.encounters == 1 else "encounters"
        found: list[tuple[object, ...]] = [(hospital, "", of, *_band(float(row[0]), deviation))]
        at = 1
        for one in self.statistics.inputs:
            part = row[at : at + one.width]
            if isinstance(one, CategoryInput):
                named = zip(one.categories, part, strict=True)
                found += [(hospital, one.column, name, *_band(float(count), deviation)) for name, count in named]
            else:
                found.append((hospital, one.column, "mean", *_mean(one, float(row[0]), part, deviation)))
                if one.indicator:
                    found.append((hospital, one.column, "missing", *_band(float(part[1]), deviation)))
            at += one.width
        return found

    def __repr__(self) -> str:
        named = ", ".join(one.column for one in self.statistics.inputs)
        return f"<Counts: {named}; with noise; of {', '.join(self.label.get(name, name) for name in self.rows)}>"

    def _repr_html_(self) -> str:
        return str(self.table().round(2).to_html(index=False))


def collect(submission: ApprovedStudy, deadline: float = 600) -> Counts:
    """The answers of the hospitals that have approved; those that are silent for `deadline` seconds are left out.

    Asked again, hospitals give the answer that they gave, and charge nothing. Raises InvalidInput for another kind of
    study, and RoundFailed, saying why, where nobody answers.
    """
    asked = submission.manifest.statistics
    if asked is None:
        raise InvalidInput("This study trains a model.", "Run it with Rounds.")
    if isinstance(asked, Marginals):
        raise InvalidInput("This study asks for tables to make an anchor of.", "Use anchor(submission, dictionary).")
    return private_counts(submission, asked, deadline)


def private_counts(submission: ApprovedStudy, asked: Statistics, deadline: float) -> Counts:
    """As `collect`, of a study that asks for these."""
    answers = ask_once(submission, deadline)
    rows = {hospital: one.arrays[STATISTICS] for hospital, one in answers.items()}
    label = {hospital: LABEL if hospital == SUM else submission.label(hospital) for hospital in rows}
    noises = {hospital: added_noise(submission.manifest, one.hospitals) for hospital, one in answers.items()}
    return Counts(asked, rows, label, noises)


def _band(value: float, deviation: float) -> tuple[float, float, float]:
    return value, value - _BAND * deviation, value + _BAND * deviation


def _mean(one: NumberInput, total: float, part: NDArray[np.float64], noise: float) -> tuple[float, float, float]:
    """The mean of those that are there. Its deviation: of a ratio of independent sums, to first order."""
    count = total - (float(part[1]) if one.indicator else 0.0)
    spread = noise * 2**0.5 if one.indicator else noise  # of the count
    if count < _CLEAR * spread:
        return (float("nan"),) * 3
    scaled = float(np.clip(part[0] / count, -1, 1))
    deviation = one.scale * (noise**2 + (scaled * spread) ** 2) ** 0.5 / count
    return _band(one.center + one.scale * scaled, deviation)
