"""Exactly the arrays and metrics that were approved, and those to keep: names, shapes and dtypes."""

from __future__ import annotations

from datasites.release.rules.base import Result, Violation
from datasites.release.terms import Terms
from datasites.wire.contract import differences
from datasites.wire.reasons import Reason


def check(result: Result, terms: Terms) -> list[Violation]:
    contract, outcome = terms.contract, result.outcome
    fit = result.task == "fit"
    found = differences(outcome.parameters, contract.parameters if fit else {})
    found += differences(outcome.arrays, {} if fit else contract.evaluate_arrays)
    found += [f"kept {text}" for text in differences(outcome.kept, contract.kept if fit else {})]
    metrics = set(contract.fit_metrics if fit else contract.evaluate_metrics)
    # one that is absent is no difference: an AUC, say, may be undefined at a hospital
    found += [f"metric {name!r} is not in the contract" for name in sorted(outcome.metrics.keys() - metrics)]
    return [Violation(Reason.CONTRACT, text) for text in found]
