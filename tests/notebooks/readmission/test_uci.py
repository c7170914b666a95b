from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasites.catalog.validate import check
from datasites.wire.dictionary import Dictionary
from notebooks.readmission import uci
from policies.errors import InvalidInput

ENCOUNTER = {
    "encounter_id": 1,
    "patient_nbr": 1,
    "race": "Caucasian",
    "gender": "Female",
    "age": "[70-80)",
    "admission_type_id": 1,
    "discharge_disposition_id": 1,
    "admission_source_id": 7,
    "time_in_hospital": 3,
    "payer_code": "?",
    "medical_specialty": "?",
    "num_lab_procedures": 40,
    "num_procedures": 1,
    "num_medications": 12,
    "number_outpatient": 0,
    "number_emergency": 0,
    "number_inpatient": 0,
    "diag_1": "250.83",
    "diag_2": "?",
    "diag_3": "V57",
    "number_diagnoses": 9,
    "max_glu_serum": "None",
    "A1Cresult": "None",
    **dict.fromkeys(uci.DRUGS, "No"),
    "change": "No",
    "readmitted": "NO",
}


def _file(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "encounters.csv"
    pd.DataFrame([ENCOUNTER | {"encounter_id": number} | row for number, row in enumerate(rows, 1)]).to_csv(path)
    return path


class TestLoad:
    def test_untested_is_not_missing(self, tmp_path: Path) -> None:
        rows = [{}, {"A1Cresult": "Norm"}, {"A1Cresult": ">8", "max_glu_serum": ">200"}]
        frame = uci.load(_file(tmp_path, *rows))
        assert frame["a1c_tested"].tolist() == [0, 1, 1]
        assert frame["a1c_level"].tolist() == [0, 0, 2]
        assert frame["glucose_level"].tolist() == [0, 0, 1]

    def test_leaves_out_those_who_cannot_return_and_counts_them(self, tmp_path: Path) -> None:
        rows = [{"discharge_disposition_id": 11}, {"discharge_disposition_id": 14}, {"gender": "Unknown/Invalid"}, {}]
        frame = uci.load(_file(tmp_path, *rows))
        assert frame["encounter_id"].tolist() == [4]
        assert frame.attrs["left_out"] == {"died or hospice": 2, "sex not recorded": 1}

    def test_only_a_return_within_30_days_counts(self, tmp_path: Path) -> None:
        frame = uci.load(_file(tmp_path, {"readmitted": "<30"}, {"readmitted": ">30"}, {"readmitted": "NO"}))
        assert frame["readmitted_30d"].tolist() == [1, 0, 0]

    @pytest.mark.parametrize(
        ("code", "chapter"),
        [
            ("250.83", "diabetes"),
            ("459", "circulatory"),
            ("785", "circulatory"),
            ("996.1", "injury"),
            ("584", "genitourinary"),
        ],
    )
    def test_diagnosis_belongs_to_its_chapter_alone(self, tmp_path: Path, code: str, chapter: str) -> None:
        frame = uci.load(_file(tmp_path, {"diag_1": code}))
        primary = frame.filter(like="primary_").iloc[0]
        assert primary[primary == 1].index.tolist() == [f"primary_{chapter}"]

    @pytest.mark.parametrize("code", ["E885", "V57", "?", "38"])
    def test_other_diagnoses_belong_to_no_chapter(self, tmp_path: Path, code: str) -> None:
        assert uci.load(_file(tmp_path, {"diag_1": code})).filter(like="primary_").sum().sum() == 0

    def test_drugs_in_combination_count_for_both_kinds(self, tmp_path: Path) -> None:
        row = uci.load(_file(tmp_path, {"glyburide-metformin": "Steady", "insulin": "Down"})).iloc[0]
        assert row[["metformin", "sulfonylurea", "insulin", "insulin_changed"]].tolist() == [1, 1, 1, 1]
        assert row["num_diabetes_drugs"] == 2

    @pytest.mark.parametrize(
        "wrong", [{"age": "77"}, {"A1Cresult": ""}, {"readmitted": "<31"}, {"admission_type_id": "x"}]
    )
    def test_refuses_values_it_does_not_know(self, tmp_path: Path, wrong: dict[str, object]) -> None:
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            uci.load(_file(tmp_path, wrong))

    def test_refuses_another_table(self, tmp_path: Path) -> None:
        (tmp_path / "other.csv").write_text("a,b\n1,2\n")
        with pytest.raises(InvalidInput, match="has no column"):
            uci.load(tmp_path / "other.csv")

    def test_refuses_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="cannot be read"):
            uci.load(tmp_path / "nothing.csv")


class TestSplitSites:
    def test_patient_stays_where_the_first_encounter_was(self, tmp_path: Path) -> None:
        rows = [
            {"encounter_id": 30, "patient_nbr": 1, "payer_code": "BC"},
            {"encounter_id": 10, "patient_nbr": 1, "payer_code": "MC"},
            {"encounter_id": 20, "patient_nbr": 2},
        ]
        sites = uci.split_sites(uci.load(_file(tmp_path, *rows)), 3)
        assert {name: table["patient_id"].tolist() for name, table in sites.items()} == {
            "medicare": [1, 1],
            "payer-unrecorded": [2],
        }

    def test_refuses_other_numbers_of_hospitals(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="3, 5 or 20"):
            uci.split_sites(uci.load(_file(tmp_path, {})), 4)


@pytest.fixture(scope="module")
def frame(uci_file: Path) -> pd.DataFrame:
    return uci.load(uci_file)


@pytest.mark.real_data
class TestRealData:
    def test_keeps_what_the_source_is_known_to_hold(self, frame: pd.DataFrame) -> None:
        assert len(frame) == 99_340
        assert round(frame["readmitted_30d"].mean(), 4) == 0.1139
        assert frame.attrs["left_out"] == {"died or hospice": 2423, "sex not recorded": 3}

    @pytest.mark.parametrize("n", [3, 5, 20])
    def test_every_encounter_is_in_one_hospital_and_no_patient_in_two(self, frame: pd.DataFrame, n: int) -> None:
        sites = uci.split_sites(frame, n)
        assert len(sites) == n
        assert sum(map(len, sites.values())) == len(frame)
        patients = np.concatenate([table["patient_id"].unique() for table in sites.values()])
        assert len(np.unique(patients)) == len(patients)

    def test_files_fit_the_dictionary(self, uci_file: Path, dictionary: Dictionary, tmp_path: Path) -> None:
        files = uci.write_sites(uci_file, tmp_path / "sites", 3)
        assert [file.name for file in files] == ["medicare.csv", "other-payer.csv", "payer-unrecorded.csv"]
        for file in files:
            assert check(pd.read_csv(file), dictionary) == []
