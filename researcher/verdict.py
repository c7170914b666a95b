"""Whether hospitals need models of their own, or one is enough for all.

one = wr.Rounds(first).run()                    # the same study, submitted twice
many = wr.IfcaRounds(second, k=2).run()         # or ClusteredRounds(second).run()
print(wr.one_or_many(one, many))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from policies.errors import InvalidInput
from researcher.result import Result
from researcher.scoring import GREATER_IS_BETTER

_BAND = 2.0  # standard deviations
_LEAST_AUC, _LEAST_SHARE = 0.005, 0.01


@dataclass(frozen=True)
class OneOrMany:
    """`table`: by hospital, the metric of the one model, of its cluster's, the gain (above 0: the cluster's is better)
    and the standard deviation of the cluster's AUC for the choice of test patients, where it is known.

    `gain`: the mean over hospitals; `deviation`: of that mean, the greater of what the hospitals' spread and what their
    numbers of test patients say; `least`: a smaller gain is not worth a model for each cluster.
    """

    metric: str
    table: pd.DataFrame = field(repr=False)
    gain: float
    deviation: float
    least: float

    @property
    def one_is_enough(self) -> bool:
        """Unless the mean gain is worth it and beyond what chance gives."""
        return not (self.gain >= self.least and self.gain > _BAND * self.deviation)

    @property
    def worse(self) -> list[str]:
        """Hospitals whose cluster serves them worse than the one model, by more than `least`."""
        return [str(hospital) for hospital in self.table.index[self.table["gain"] < -self.least]]

    def __str__(self) -> str:
        verdict = "One model is enough" if self.one_is_enough else "A model for each cluster is better"
        said = (
            f"{verdict}: the clusters' models are better by {self.gain:.4f} {self.metric} over "
            f"{len(self.table)} hospitals, give or take {_BAND * self.deviation:.4f}; below {self.least:.4f} it would "
            "not be worth it."
        )
        return said + (f" They are worse at {', '.join(self.worse)}." if self.worse else "")

    def __repr__(self) -> str:
        return f"<OneOrMany: {self}>"

    def _repr_html_(self) -> str:
        return f"<p>{self}</p>" + str(self.table.round(4).to_html())


def one_or_many(
    one: Result, many: Result | Mapping[str, Result], metric: str = "auc", least: float | None = None
) -> OneOrMany:
    """Compares one model for all with the clusters' models, on the hospitals' own test patients.

    many: of `IfcaRounds`, or by cluster of `ClusteredRounds`. least: the smallest mean gain that is worth it (0.005 of
    an AUC, or 1% of another metric, when left out). Raises InvalidInput where fewer than two hospitals have both.
    """
    results = many if isinstance(many, Mapping) else {"": many}
    own = pd.concat([result.per_hospital(metric) for result in results.values()])
    clusters = {str(h): name for name, result in results.items() for h in result.per_hospital(metric).index}
    clusters |= getattr(many, "clusters", {})
    table = pd.DataFrame({"one": one.per_hospital(metric), "many": own}).dropna()
    if len(table) < 2:
        raise InvalidInput("Fewer than two hospitals were tested with both.", "Let the same hospitals take part.")
    table.insert(0, "cluster", [clusters.get(str(hospital), "") for hospital in table.index])
    sign = 1.0 if metric in GREATER_IS_BETTER else -1.0
    table["gain"] = sign * (table["many"] - table["one"])
    table["deviation"] = _deviations(results) if metric == "auc" else np.nan
    standard = _LEAST_AUC if metric == "auc" else _LEAST_SHARE * abs(float(table["one"].mean()))
    return OneOrMany(metric, table, float(table["gain"].mean()), _of_mean(table), standard if least is None else least)


def _deviations(results: Mapping[str, Result]) -> pd.Series[float]:
    return pd.concat([result.history.auc_deviations() for result in results.values()])


def _of_mean(table: pd.DataFrame) -> float:
    """The two models are tested on the same patients, so that their errors go together: their difference varies by no
    more than one of them alone as long as their scores correlate by a half or more."""
    between = float(table["gain"].std(ddof=1)) / len(table) ** 0.5
    within = float(np.sqrt((table["deviation"].fillna(0.0) ** 2).sum())) / len(table)
    return float(max(between, within))
