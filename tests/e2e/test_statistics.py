"""Statistics of real datasites: the ready study, approved, and what their gates let out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import researcher as wr
from tests.support.federation import PATIENCE, POLICY, World

CODE = Path(__file__).parents[2] / "notebooks" / "readmission" / "statistics"
ARRAYS = (
    "statistics_moments = [9, 2]\nstatistics_correlations = [9, 9]\n\n[release.tables]\nstatistics_counts = [9, 102]\n"
)


@pytest.fixture
def describing(world: World, tmp_path: Path) -> Iterator[World]:
    """Hospitals that let such tables out: one withholds counts below 10."""
    for hospital, least in zip(world.hospitals, (1, 10), strict=True):
        text = POLICY.read_text().replace('"numpy", "time"', '"numpy", "pandas"')
        text = text.replace("min_cohort = 1", f"min_cohort = {least}").replace("min_patients = 1", "min_patients = 10")
        policy = tmp_path / f"{hospital.label}.toml"
        policy.write_text(text.replace("score_histogram = [2, 100]\n", ARRAYS))
        hospital.datasite.set_policy("stays", policy)
    yield world
    for hospital in world.hospitals:
        hospital.datasite.set_policy("stays", POLICY)


def test_who_is_there(describing: World) -> None:
    ada = describing.researcher
    dictionary = ada.datasets("stays")[0].dictionary
    config = wr.statistics_config(dictionary, ["days", "readmitted"], bins=9, least=10)
    asked = wr.Study("who", "Test", CODE, "stays", 1, config, columns=["days", "readmitted"])
    study = ada.submit(asked, ada.rehearse(asked))
    for hospital in describing.hospitals:
        hospital.approve(study)
    assert study.wait(timeout=PATIENCE)["patients"].tolist() == ["at least 10", "at least 10"]
    found = wr.statistics(study)
    assert isinstance(found, wr.Statistics)
    north, south = (hospital.table.drop_duplicates("patient_id") for hospital in describing.hospitals)
    both = pd.concat([north, south])
    table = found.table_one()
    assert table.loc[("patients", "n")].tolist() == [str(len(north)), str(len(south)), str(len(both))]
    assert found.moments("days").loc["overall", "mean"] == pytest.approx(both["days"].mean())
    assert found.histogram("readmitted")["north"].tolist() == north["readmitted"].value_counts().sort_index().tolist()
    told = found.histogram("days")["south"].dropna()
    assert ((told == 0) | (told >= 10)).all()
    assert wr.statistics(study).table_one().equals(table)  # the answer that they gave
    study.least_patients = 11
    assert study.participants() == []
