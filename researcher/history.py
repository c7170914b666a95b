"""The record of a study: one row for each hospital and message, and one for each round over all hospitals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from datasites.wire.outputs import OutputContract
from policies.errors import InvalidInput
from researcher.exchange import Answer
from researcher.metrics import SCORE_HISTOGRAM, auc_deviation, auc_from_histogram, federated_auc, weighted_mean


def record_of(
    hospital: str, answer: Answer | None, message: int, round_before: int, fit: bool, silence: str
) -> dict[str, Any]:
    """What the journal keeps of a hospital's answer (or, in the words of `silence`, of none) to one message; JSON."""
    record: dict[str, Any] = {
        "message": message,
        "evaluated_round": round_before,
        "trained_round": round_before + 1 if fit else None,
        "hospital": hospital,
        "problem": answer.problem if answer else silence,
        "seconds": answer.reply.seconds if answer and answer.reply else None,
        "fit": None,
        "evaluate": None,
        "histogram": None,
    }
    if answer and answer.hospitals > 1:
        record["summed"] = answer.hospitals
    if answer and answer.usable and answer.reply:
        record["fit"] = answer.reply.fit.model_dump() if answer.reply.fit else None
        record["evaluate"] = answer.reply.evaluate.model_dump() if answer.reply.evaluate else None
        if SCORE_HISTOGRAM in answer.metrics:
            record["histogram"] = answer.metrics[SCORE_HISTOGRAM].tolist()
    return record


class History:
    """Round 0 is the initial state; the metrics of round n are those of the state after n rounds of training."""

    def __init__(self, records: list[dict[str, Any]], label: Callable[[str], str] = str) -> None:
        self._records = records
        self._label = label

    def hospitals(self) -> pd.DataFrame:
        """One row per hospital and evaluated state, and per hospital and message that failed."""
        rows = []
        for record in self._records:
            row = {
                "round": record["evaluated_round"],
                "hospital": self._label(record["hospital"]),
                "problem": record["problem"],
                "seconds": record["seconds"],
                "train_examples": record["fit"]["num_examples"] if record["fit"] else None,
                "test_examples": record["evaluate"]["num_examples"] if record["evaluate"] else None,
            }
            row.update({f"train_{name}": v for name, v in (record["fit"] or {}).get("metrics", {}).items()})
            row.update((record["evaluate"] or {}).get("metrics", {}))
            row.update({name: record[name] for name in ("staleness", "distance", "cluster", "heard") if name in record})
            rows.append(row)
        return pd.DataFrame(rows)

    def rounds(self) -> pd.DataFrame:
        """One row per evaluated state: `federated_auc` over the union of all test patients (where the code returns
        score histograms), and each metric's mean weighted by test examples (`mean_...`)."""
        return pd.DataFrame([self._round(number) for number in self._evaluated_rounds()])

    def last_auc(self) -> float | None:
        """The federated AUC of the newest evaluated state, if there is one."""
        evaluated = self._evaluated_rounds()
        return self._round(evaluated[-1]).get("federated_auc") if evaluated else None

    def histograms(self) -> list[NDArray[np.int64]]:
        """The hospitals' score histograms of the newest evaluated state, where they returned some."""
        last = max(self._evaluated_rounds(), default=None)
        newest = {
            r["hospital"]: r["histogram"] for r in self._records if r["evaluated_round"] == last and r["histogram"]
        }
        return [np.asarray(histogram, np.int64) for histogram in newest.values()]

    def summed(self) -> int:
        """How many hospitals are added up in each score histogram of the newest evaluated state."""
        last = max(self._evaluated_rounds(), default=None)
        found = [r.get("summed", 1) for r in self._records if r["evaluated_round"] == last and r["histogram"]]
        return int(found[-1]) if found else 1

    def score_histograms(self, number: int | None = None) -> dict[str, NDArray[np.int64]]:
        """By hospital: its score histogram of the state after `number` rounds (the newest evaluated one, when left
        out), where it returned one."""
        number = max(self._evaluated_rounds(), default=0) if number is None else number
        return {
            self._label(r["hospital"]): np.asarray(r["histogram"], np.int64)
            for r in self._records
            if r["evaluated_round"] == number and r["histogram"]
        }

    def per_hospital(self, metric: str, number: int | None = None) -> pd.Series[float]:
        """A metric of the state after `number` rounds (the newest evaluated one, when left out) by hospital; NaN where
        the hospital did not report it. Raises InvalidInput when no hospital did."""
        number = max(self._evaluated_rounds(), default=0) if number is None else number
        found = {
            self._label(r["hospital"]): metric_of(r, metric)
            for r in self._records
            if r["evaluated_round"] == number and r["evaluate"]
        }
        if not any(value == value for value in found.values()):
            raise InvalidInput(f"No hospital reported {metric!r} of the state after {number} rounds.", "See hospitals.")
        return pd.Series(found, name=metric, dtype=float).rename_axis("hospital").sort_index()

    def auc_deviations(self, number: int | None = None) -> pd.Series[float]:
        """By hospital: the standard deviation of its AUC for the choice of its test patients, where it returned a score
        histogram; of the state as in `per_hospital`."""
        number = max(self._evaluated_rounds(), default=0) if number is None else number
        found = {
            self._label(r["hospital"]): auc_deviation(np.asarray(r["histogram"], np.int64))
            for r in self._records
            if r["evaluated_round"] == number and r["histogram"]
        }
        return pd.Series(found, name="deviation", dtype=float).rename_axis("hospital").sort_index()

    def consensus(self) -> pd.Series[float]:
        """By round of gossip: the root mean square of hospitals' distances to the mean model after it."""
        squares: dict[int, list[float]] = {}
        for record in self._records:
            if "distance" in record:
                squares.setdefault(record.get("mixed_round", record["trained_round"]), []).append(
                    record["distance"] ** 2
                )
        found = {number: math.sqrt(sum(values) / len(values)) for number, values in squares.items()}
        return pd.Series(found, name="consensus distance", dtype=float).rename_axis("round")

    def traffic(self, contract: OutputContract) -> tuple[int, int]:
        """Bytes of arrays that were sent to hospitals, and that came back: where these are compressed, at most."""
        state = sum(spec.nbytes for spec in contract.parameters.values())
        metrics = sum(spec.nbytes for spec in contract.evaluate_arrays.values())
        down = sum(state for record in self._records if record.get("asked", True))
        up = sum(
            contract.parameter_bytes * record.get("models", bool(record["fit"])) + metrics * bool(record["evaluate"])
            for record in self._records
        )
        return down, up

    def _evaluated_rounds(self) -> list[int]:
        return sorted({r["evaluated_round"] for r in self._records if r["evaluate"]})

    def _round(self, number: int) -> dict[str, Any]:
        # after a failed message the same state is evaluated again: each hospital's last word counts
        evaluated = {r["hospital"]: r for r in self._records if r["evaluated_round"] == number and r["evaluate"]}
        records = list(evaluated.values())
        weights = [r["evaluate"]["num_examples"] for r in records]
        row: dict[str, Any] = {"round": number, "hospitals": len(records), "test_examples": sum(weights)}
        if histograms := [np.asarray(r["histogram"], np.int64) for r in records if r["histogram"]]:
            row["federated_auc"] = federated_auc(histograms)
        names = {name for r in records for name in r["evaluate"]["metrics"]}
        for name in sorted(names):
            having = [
                (r["evaluate"]["metrics"][name], w)
                for r, w in zip(records, weights, strict=True)
                if name in r["evaluate"]["metrics"]
            ]
            row[f"mean_{name}"] = weighted_mean(*zip(*having, strict=True))
        return row


def metric_of(record: Mapping[str, Any], metric: str) -> float:
    """Of one record; NaN where there is none. An AUC that the code does not report follows from its score histogram."""
    if not record["evaluate"]:
        return math.nan
    told = record["evaluate"]["metrics"].get(metric)
    if told is None and metric == "auc" and record["histogram"]:
        return auc_from_histogram(np.asarray(record["histogram"], np.int64))
    return math.nan if told is None else float(told)
