"""Every model on every hospital's patients: how far each hospital's own model carries, and whom the global one serves.

local = wr.LocalModels()
result = wr.Rounds(submission, observer=local, evaluate=False).run()
crossed = wr.cross_site(submission, {"global": result.parameters, **local.models(submission.label)})
crossed.matrix("auc")
crossed.plot()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from datasites.wire.arrays import Arrays
from datasites.wire.contract import array_problems
from datasites.wire.manifest import Manifest
from datasites.wire.shown import Shown
from policies.errors import InvalidInput
from researcher.errors import RoundFailed
from researcher.history import metric_of
from researcher.participation import ApprovedStudy
from researcher.plots import Plot, plot_matrix
from researcher.scoring import score
from researcher.strategies import Update


class LocalModels(Shown):
    """Keeps what each hospital's training made of the state it was sent, last: `Rounds(..., observer=local)`.

    After one round of many local epochs these are models of each hospital alone.
    """

    def __init__(self) -> None:
        self._last: dict[str, Arrays] = {}

    def _facts(self) -> dict[str, object]:
        return {"models of": ", ".join(sorted(self._last)) or "nobody yet"}

    def begin(self, current: Arrays) -> None:
        """A round begins."""

    def see(self, update: Update) -> None:
        """Keeps a hospital's last update."""
        self._last[update.hospital] = update.parameters

    def models(self, label: Callable[[str], str] = str) -> dict[str, Arrays]:
        """By hospital; give `submission.label` for short names."""
        return {label(hospital): parameters for hospital, parameters in sorted(self._last.items())}


@dataclass(frozen=True)
class CrossSite:
    """`records`: one for each model and hospital, as in a study's history, with the model's name as `model`."""

    records: list[dict[str, Any]] = field(repr=False)
    labels: Mapping[str, str] = field(repr=False)

    def matrix(self, metric: str = "auc") -> pd.DataFrame:
        """Rows: models. Columns: hospitals whose test patients it met. Empty where there is none, or it failed: see
        `problems`. An AUC that the code does not report follows from its score histogram."""
        models = list(dict.fromkeys(record["model"] for record in self.records))
        table = pd.DataFrame(np.nan, index=pd.Index(models, name="model"), columns=list(self.labels.values()))
        for record in self.records:
            table.loc[record["model"], self.labels[record["hospital"]]] = metric_of(record, metric)
        if table.isna().all(axis=None):
            raise InvalidInput(f"No hospital reported {metric!r}.", "Ask for a metric of the study's evaluation.")
        return table.rename_axis(columns="hospital")

    @property
    def problems(self) -> pd.DataFrame:
        """What failed: model, hospital, and why."""
        rows = [(r["model"], self.labels[r["hospital"]], r["problem"]) for r in self.records if r["problem"]]
        return pd.DataFrame(rows, columns=["model", "hospital", "problem"])

    def plot(self, metric: str = "auc") -> Plot:
        """The matrix as a heat map."""
        return plot_matrix(self.matrix(metric), metric)

    def __repr__(self) -> str:
        models = dict.fromkeys(record["model"] for record in self.records)
        return f"<CrossSite: models {', '.join(models)}; tested at {', '.join(self.labels.values())}>"

    def _repr_html_(self) -> str:
        return str(self.matrix().round(3).to_html())


def cross_site(submission: ApprovedStudy, models: Mapping[str, Arrays], deadline: float = 600) -> CrossSite:
    """Asks every hospital that has approved to evaluate each of the models, named as they are to be called.

    It is the evaluation that they approved, and each model counts as one: a study of n rounds has n + 1, of which
    training with `evaluate=True` uses all. Asked again of the same models, nothing is sent: their record is kept with
    the study. Raises InvalidInput where the study has none to give, and RoundFailed where nobody answers.
    """
    manifest, journal = submission.manifest, submission.journal
    _check(manifest, models)
    with journal.alone():
        hospitals = submission.participants()
        chosen = score(submission, models, hospitals, deadline)
    if not any(record["evaluate"] for record in chosen):
        why = " ".join(f"{submission.label(r['hospital'])}: {r['problem']}" for r in chosen)
        raise RoundFailed(f"No hospital has evaluated a model. {why}", "See Submission.status().")
    order = list(models)
    return CrossSite(
        sorted(chosen, key=lambda record: (order.index(record["model"]), record["hospital"])),
        {hospital: submission.label(hospital) for hospital in hospitals},
    )


def _check(manifest: Manifest, models: Mapping[str, Arrays]) -> None:
    outputs = manifest.outputs
    if manifest.tier == "private":
        raise InvalidInput(
            "A private study's evaluations are paid for one by one from the hospitals' budgets, and none is left over "
            "for other models.",
            "Evaluate them with a reviewed study of the same network.",
        )
    if not (outputs.evaluate_metrics or "score_histogram" in outputs.evaluate_arrays):
        raise InvalidInput("This study's evaluation reports no metric.", "There is nothing to compare models by.")
    if not models:
        raise InvalidInput("There is no model to evaluate.", "Give models by name.")
    for name, model in models.items():
        if problems := array_problems(model, outputs.parameters):
            raise InvalidInput(f"The model {name!r} is not one of this study: {'; '.join(problems)}.")
