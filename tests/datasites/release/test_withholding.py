"""Small cells: withheld by the gate so that nobody gets them back, whatever the study's code hands over."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import Any

import numpy as np
import pytest

from datasites.release.examine import examine
from datasites.release.terms import Cohort, Rules, Terms
from datasites.release.withholding import COVER, withheld
from datasites.runner.replies import encode_result
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from policies.sections import Release

LEAST = 4


def _released(row: tuple[int, ...]) -> tuple[int, ...]:
    table = np.array([row])
    marks = withheld(table, LEAST)
    return tuple(np.where(marks, marks, table)[0].tolist())


@pytest.mark.parametrize(("cells", "greatest"), [(2, 24), (3, 20), (4, 14)])
def test_who_knows_the_total_and_the_rule_cannot_narrow_a_small_cell_down(cells: int, greatest: int) -> None:
    """The strongest attacker: goes through every row of that total, and keeps those that would have left alike."""
    for total in range(LEAST, greatest):
        alike: dict[tuple[int, ...], list[tuple[int, ...]]] = defaultdict(list)
        for row in product(range(total + 1), repeat=cells):
            if sum(row) == total:
                alike[_released(row)].append(row)
        for released, rows in alike.items():
            possible = [{row[cell] for row in rows} for cell in range(cells)]
            for row in rows:
                for cell, count in enumerate(row):
                    if 0 < count < LEAST:
                        assert released[cell] in (-LEAST, COVER)
                        assert possible[cell] >= set(range(1, LEAST))


def test_rows_without_small_cells_leave_whole() -> None:
    assert _released((0, 4, 90)) == (0, 4, 90)
    assert _released((0, 90, 0, 3, 40, 50)) == (0, 90, 0, -LEAST, COVER, 50)


def terms(**release: Any) -> Terms:
    defaults: dict[str, Any] = {"metrics": (), "arrays": {}, "tables": {"t": (3, 3)}, "min_cohort": 10, "min_cell": 5}
    rules = Rules(
        release=Release(**{**defaults, "decimals": 4, "secure_aggregation": False, **release}),
        bytes_per_round=1000,
        kept_bytes=0,
        min_patients=1,
        cohort=Cohort(rows=100, patients=90),
        rounding_key="ab" * 32,
    )
    contract = OutputContract(
        parameters={},
        fit_metrics=(),
        evaluate_metrics=(),
        evaluate_arrays={"t": ArraySpec(shape=(2, 3), dtype="int64")},
    )
    return Terms(contract=contract, rules=rules)


def test_the_gate_withholds_what_hostile_code_hands_over_and_rounds_the_rest() -> None:
    frame = encode_result("evaluate", (100, {"t": np.array([[3, 97, 0], [33, 33, 34]])}))
    released = examine("evaluate", frame, {}, 0, terms()).released
    assert released
    assert released.arrays["t"][0].tolist() == [-10, -1, 0]
    assert (released.arrays["t"][1] % 5 == 0).all()
    alone = examine("evaluate", frame, {}, 0, terms(min_cell=1)).released
    assert alone
    assert alone.arrays["t"].tolist() == [[-10, -1, 0], [33, 33, 34]]
    small = examine("evaluate", frame, {}, 0, terms(min_cohort=1, min_cell=4)).released
    assert small
    assert small.arrays["t"][0].tolist() == [-4, -1, 0]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([[60, 41, 0], [0, 0, 0]], "counts more rows than the table has"),
        ([[-1, 0, 0], [0, 0, 0]], "counts below 0"),
    ],
)
def test_a_row_counts_every_patient_at_most_once_and_marks_are_the_gates_alone(rows: Any, text: str) -> None:
    verdict = examine("evaluate", encode_result("evaluate", (100, {"t": np.array(rows)})), {}, 0, terms())
    assert verdict.reason is Reason.OUTPUTS
    assert text in verdict.details[0]
    averages = examine("evaluate", encode_result("evaluate", (100, {"t": np.ones((2, 3))})), {}, 0, terms())
    assert averages.reason is not None
