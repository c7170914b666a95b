"""The rehearsal of studies that keep something: it plays two rounds, so that both the first and later ones are held to
one contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasites.catalog.twin import mock_twin
from datasites.wire.dictionary import Dictionary
from researcher.dataset import Dataset
from researcher.errors import RehearsalFailed
from researcher.rehearsal import Rehearsal, rehearse
from researcher.study import Study
from tests.support.drift import CONFIG, STUDY
from tests.support.federation import DICTIONARY

READMISSION = Path(__file__).parents[2] / "notebooks" / "readmission"
KEEPS = """
import numpy as np

def initialize(config):
    return {"w": np.zeros(2)}

def fit(parameters, table, config, kept):
    return {"w": parameters["w"] + 1}, len(table), {}, LEFT

def evaluate(parameters, table, config, kept):
    assert len(kept) == (config["round"] > 1)
    return len(table), {}
"""


def datasets(dictionary: Dictionary, sites: int = 1) -> list[Dataset]:
    twins = [mock_twin(dictionary, 300, seed).to_csv(index=False).encode() for seed in range(sites)]
    name = dictionary.table.name
    return [Dataset(f"do@{i}.org", f"H{i}", name, "T", dictionary, twin) for i, twin in enumerate(twins)]


def rehearsed(code: Path, dictionary: Path = DICTIONARY, **config: object) -> Rehearsal:
    loaded = Dictionary.load(dictionary)
    return rehearse(Study("demo", "Test", code, loaded.table.name, 3, config), datasets(loaded))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("study", 0),
        ("scaffold", 14),
        ("personal/fine_tuning", 0),
        ("personal/per_fedavg", 0),
        ("personal/private_head", 2),
    ],
)
def test_each_ready_study_passes_and_its_contract_says_what_stays(name: str, kept: int) -> None:
    config = {"seed": 0, "split_seed": 0, "max_batches": 3}
    contract = rehearsed(READMISSION / name, READMISSION / "dictionary.toml", **config).contract
    whole = 2 * 4 + 3 * 5  # Linear and BatchNorm
    assert len(contract.kept) == kept
    left_out = kept if name == "personal/private_head" else 0
    controls = len(contract.kept) if name == "scaffold" else 0
    assert len(contract.parameters) == whole - left_out + controls


def test_what_is_kept_is_no_part_of_what_leaves() -> None:
    rehearsal = rehearsed(STUDY, **CONFIG)
    assert {name: spec.shape for name, spec in rehearsal.contract.kept.items()} == {"weight": (1, 2)}
    assert rehearsal.contract.kept_bytes == 16
    assert "Kept at each hospital between rounds: 16 bytes." in rehearsal._repr_html_()


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ("{'seen': np.zeros(2 + config['round'])}", r"kept array 'seen' is float64\(3,\), not"),
        ("{'seen': np.zeros(2)} if config['round'] == 1 else {}", "kept array 'seen' is not in the contract"),
        ("{'seen': np.full(2, np.nan)}", "kept array 'seen' holds NaN"),
    ],
)
def test_what_is_kept_must_stay_the_same_in_form(tmp_path: Path, left: str, why: str) -> None:
    code = KEEPS.replace("LEFT", left).replace('assert len(kept) == (config["round"] > 1)', "")
    (tmp_path / "study.py").write_text(code.replace("    \n", ""))
    with pytest.raises(RehearsalFailed, match=why):
        rehearsed(tmp_path)


def test_the_first_round_is_given_nothing_and_the_second_what_the_first_left(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(KEEPS.replace("LEFT", "{'seen': np.zeros(2)}"))
    assert rehearsed(tmp_path).contract.kept.keys() == {"seen"}
