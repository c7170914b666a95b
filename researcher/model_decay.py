"""Whether a model still does at each hospital what it did: discrimination and calibration of one model, evaluated anew.

decay = wr.decay({"at training": trained, "March": (march, 0)})  # round 0: before anything was trained again
decay.alarms
decay.plot()
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from policies.errors import InvalidInput
from researcher.plots import Plot, plot_decay
from researcher.result import Result

Evaluation = Result | tuple[Result, int]
Matrix = NDArray[np.float64]
DROP, RATIO = 0.05, 1.25
_CHANCE = 0.01  # of any alarm at all, where nothing has changed
_COLUMNS = ["when", "hospital", "examples", "auc", "auc_error", "ratio", "ratio_error"]


@dataclass(frozen=True)
class Decay:
    """`table`: one row a hospital and time: `auc`, and `ratio` of observed to expected outcomes (1: calibrated in the
    large), each with its standard error, and how far it is from the hospital's first. `alarms`: one row for each change
    that matters and that chance hardly makes; `problems`: what could not be looked at."""

    table: pd.DataFrame
    alarms: pd.DataFrame
    problems: tuple[str, ...]

    def plot(self) -> Plot:
        """Both by time, a line for each hospital; alarms are ringed."""
        return plot_decay(self.table, self.alarms)

    def _repr_html_(self) -> str:
        said = "".join(f"<p>{html.escape(problem)}</p>" for problem in self.problems)
        shown = self.alarms.round(3).to_html(index=False) if len(self.alarms) else "<p>No alarm.</p>"
        return f"{shown}{self.table.round(3).to_html(index=False)}{said}"


def decay(evaluations: Mapping[str, Evaluation], *, drop: float = DROP, ratio: float = RATIO) -> Decay:
    """Holds later evaluations of a model to each hospital's first.

    evaluations: by a name of their time, oldest first: a result, or one and the round whose state was evaluated (0:
    the state that the rounds began with). drop: from how much less AUC, and ratio: from which change of observed over
    expected outcomes, up or down, an alarm is given; if chance would make so much in fewer than one of a hundred looks
    at all hospitals and times. The errors suppose other test patients each time; with the same ones they are too large,
    and alarms come late. A score is known by its bin alone, which is the same error each time.

    Raises InvalidInput where there is nothing to compare.
    """
    if not (drop > 0 and ratio > 1):
        raise InvalidInput("drop must be above 0 and ratio above 1.", "Leave them out for 0.05 and 1.25.")
    if len(evaluations) < 2:
        raise InvalidInput("There is nothing to compare.", "Give at least two evaluations, the oldest first.")
    rows, problems = [], []
    for when, one in evaluations.items():
        found = _rows(when, *(one if isinstance(one, tuple) else (one, None)))
        rows += found
        if not found:
            problems.append("The evaluation named " + repr(when) + " has no score histogram of any hospital.")
    table = _changes(pd.DataFrame(rows, columns=_COLUMNS))
    if table["auc_change"].isna().all() and table["ratio_change"].isna().all():
        raise InvalidInput(
            "No hospital has two evaluations with score histograms.", "The study's evaluation must return them."
        )
    return Decay(table, _alarms(table, drop, ratio), tuple(problems))


def _rows(when: str, result: Result, number: int | None) -> list[tuple[str, str, float, float, float, float, float]]:
    edges, noise = _evaluation(result)
    found = []
    for hospital, histogram in result.history.score_histograms(number).items():
        bounds = np.linspace(0, 1, histogram.shape[1] + 1) if edges is None else np.array([0.0, *edges, 1.0])
        middles, counts = (bounds[1:] + bounds[:-1]) / 2, histogram.astype(np.float64)
        found.append((when, hospital, float(counts.sum()), *measured(counts, middles, noise)))
    return found


def _evaluation(result: Result) -> tuple[tuple[float, ...] | None, float]:
    """Edges between the bins (None: of equal width), and the standard deviation of the noise in each count."""
    training = result.manifest.training
    if training is None or training.evaluation is None:
        return None, 0.0
    evaluation = training.evaluation
    return evaluation.edges, evaluation.noise_multiplier * evaluation.encounters


def measured(counts: Matrix, middles: Matrix, noise: float = 0.0) -> tuple[float, float, float, float]:
    """AUC and its standard error, observed over expected outcomes and its; NaN where a class is absent.

    counts: [2, bins], negatives and positives by score. Errors by the delta method: each count varies as a Poisson
    number and by the noise, and what is measured with it along its gradient.
    """
    negatives, positives = counts
    n, p = negatives.sum(), positives.sum()
    expected = float((counts.sum(axis=0) * middles).sum())
    if min(n, p, expected) <= 0:
        return (math.nan,) * 4
    below = np.cumsum(negatives) - negatives / 2  # negatives that a positive of the bin is ranked above
    above = p - np.cumsum(positives) + positives / 2
    auc, ratio = float((positives * below).sum() / (n * p)), float(p / expected)
    along_auc = np.stack([above / (n * p) - auc / n, below / (n * p) - auc / p])
    along_ratio = (np.array([[0.0], [1.0]]) - ratio * middles) / expected
    variance = np.maximum(counts, 0) + noise**2
    errors = [float(np.sqrt((variance * along**2).sum())) for along in (along_auc, along_ratio)]
    return auc, errors[0], ratio, errors[1]


def _changes(table: pd.DataFrame) -> pd.DataFrame:
    """With `auc_change` (a difference) and `ratio_change` (a factor) from the hospital's first evaluation, and how many
    standard errors each is away from none; NaN in the first."""
    first: pd.DataFrame = table.groupby("hospital").transform("first")
    later = table["hospital"].duplicated()
    auc, ratio = table["auc"] - first["auc"], table["ratio"] - first["ratio"]
    return table.assign(
        auc_change=auc.where(later),
        auc_errors=(auc / np.hypot(table["auc_error"], first["auc_error"])).where(later),
        ratio_change=(table["ratio"] / first["ratio"]).where(later),
        ratio_errors=(ratio / np.hypot(table["ratio_error"], first["ratio_error"])).where(later),
    )


def _alarms(table: pd.DataFrame, drop: float, ratio: float) -> pd.DataFrame:
    looks = int(table[["auc_change", "ratio_change"]].notna().to_numpy().sum())
    bound = NormalDist().inv_cdf(1 - _CHANCE / max(looks, 1) / 2)
    worse = table[(table["auc_change"] <= -drop) & (table["auc_errors"] < -bound)]
    far = (table["ratio_change"] >= ratio) | (table["ratio_change"] <= 1 / ratio)
    off = table[far & (table["ratio_errors"].abs() > bound)]
    found = [
        worse.assign(what="discrimination", before=worse["auc"] - worse["auc_change"], now=worse["auc"]),
        off.assign(what="calibration", before=off["ratio"] / off["ratio_change"], now=off["ratio"]),
    ]
    return pd.concat(found)[["hospital", "when", "what", "before", "now"]].sort_index().reset_index(drop=True)
