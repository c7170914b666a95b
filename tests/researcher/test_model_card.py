"""A model's card tells what the study's record tells, and nothing more."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasites.wire.manifest import Manifest, describe_files
from datasites.wire.outputs import OutputContract
from policies.errors import InvalidInput
from researcher.history import History
from researcher.result import Result


def record(hospital: str, round_: int, problem: str = "", **metrics: float) -> dict[str, Any]:
    tested = {"num_examples": 1234, "metrics": metrics} if metrics else None
    return {
        "message": round_ + 1, "evaluated_round": round_, "trained_round": round_ + 1, "hospital": hospital,
        "problem": problem, "seconds": 0.5, "fit": {"num_examples": 40, "metrics": {"loss": 0.7}},
        "evaluate": tested, "histogram": None,
    }  # fmt: skip


RECORDS = [
    record("north", 0, auc=0.5, auc_women=0.5, auc_men=0.5),
    record("south", 0, "No answer within 5 seconds."),
    record("north", 1, auc=0.8125, auc_women=0.75, auc_men=0.875),
    record("south", 1, auc=0.6875, auc_women=0.7),
]


def result(records: list[dict[str, Any]] = RECORDS, **changes: Any) -> Result:
    fields = {
        "name": "demo", "purpose": "Plan calls", "researcher": "ada@uni.org", "dataset": "stays",
        "dictionary": "0" * 64, "columns": ("days",), "files": describe_files({"study.py": b"x = 1"}), "config": {},
        "rounds": 2, "seconds_per_round": 10,
        "outputs": OutputContract(parameters={}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={}),
    }  # fmt: skip
    manifest = Manifest.model_validate({**fields, **changes})
    return Result(manifest, "FedAvg", {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, 1, History(records))


def test_it_tells_what_the_record_tells(tmp_path: Path) -> None:
    trained = result()
    trained.save(tmp_path / "model.safetensors")
    card = trained.model_card(tmp_path / "MODEL_CARD.md", version="1.2", replaces="ab" * 32)
    assert (tmp_path / "MODEL_CARD.md").read_text() == card
    assert len({trained.model_card() for _ in range(8)}) == 1
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    m = trained.manifest
    for part in (
        digest, m.digest, m.files["study.py"].sha256, "version 1.2", "ab" * 32, "Plan calls", "FedAvg", "1 of 2 that",
        "| north | 1,234 | 0.8125 | 0.875 | 0.75 |", "| south | 1,234 | 0.6875 | not told | 0.7 |",
        "| auc | 0.6875 to 0.8125 | 2 |", "| mean\\_auc | 0.75 |", "| south | No answer within 5 seconds. | 1 |",
        "No differential-privacy guarantee", "2 × 3",
    ):  # fmt: skip
        assert part in card, part
    assert card._repr_markdown_() == card


def test_what_no_record_tells_is_marked() -> None:
    card = result().model_card()
    assert card.count("**TO BE WRITTEN BY PEOPLE**") == 6
    assert "**Missing.** No metrics of groups of patients" in card
    assert not re.search(r"\b(is|are) (safe|fair|compliant)\b(?!,)", card)


def test_groups_only_where_hospitals_released_them() -> None:
    card = result().model_card(subgroups={"sex": ["auc_women", "auc_men"]})
    assert "| north | 0.75 | 0.875 | 0.125 |" in card
    assert "| south | 0.7 | not told | not told |" in card
    assert "**Missing.**" not in card
    assert "mean\\_auc |" in card
    assert "mean\\_auc\\_men" not in card  # weighted by all patients, it is nobody's
    with pytest.raises(InvalidInput, match="'auc_old'"):
        result().model_card(subgroups={"age": ["auc_old", "auc_men"]})


def test_a_model_that_was_never_tested_or_is_newer_than_its_test_says_so() -> None:
    assert "**Not tested:**" in result([record("north", 0)]).model_card()
    older = replace(result(), round=2)
    assert "**Older than the model:**" in older.model_card()
    broken = replace(result(), parameters={"w": np.array([np.nan], np.float32)})
    assert "**Not finite:** w" in broken.model_card()


def test_noise_is_told_instead_of_no_guarantee() -> None:
    card = replace(result(), notes=("north adds noise to each round",)).model_card()
    assert "north adds noise to each round" in card
    assert "No differential-privacy guarantee" not in card


def test_nobodys_words_write_into_the_card() -> None:
    attack = "</td><script>alert(1)</script> | [x](javascript:alert(1)) ![y](http://evil) `code` **bold** \u202e"
    problem = "| x |\n# Approved"
    card = result([*RECORDS, record("south", 1, problem)], purpose=attack).model_card(version="1 | 2")
    for raw in ("<script", "](javascript", "](http", "**bold**", "\u202e", "\n# Approved", "`code`"):
        assert raw not in card, raw
    for line in card.splitlines():
        if line.startswith("| south"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (4, 6)
