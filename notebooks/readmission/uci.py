"""The public UCI table "Diabetes 130-US hospitals for years 1999-2008" as readmission tables of several hospitals.

Source: doi 10.24432/C5230J, CC BY 4.0; Strack B. et al. (2014), BioMed Research International, 781670. The columns made
here are those of `dictionary.toml`. The source names no hospitals: payer and admitting specialty stand in for them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from policies.errors import InvalidInput

PATIENT, TARGET = "patient_id", "readmitted_30d"
# Columns `load` adds for `split_sites`; the hospitals' tables do not have them.
SITE_COLUMNS = ["encounter_id", "payer_code", "medical_specialty"]

DIED_OR_HOSPICE = [11, 13, 14, 19, 20, 21]
GENDERS = ["Female", "Male"]

# ICD-9 chapter -> inclusive ranges of whole-number codes. Codes that start with E or V belong to none.
CHAPTERS: dict[str, list[tuple[int, int]]] = {
    "circulatory": [(390, 459), (785, 785)],
    "respiratory": [(460, 519), (786, 786)],
    "digestive": [(520, 579), (787, 787)],
    "diabetes": [(250, 250)],
    "injury": [(800, 999)],
    "musculoskeletal": [(710, 739)],
    "genitourinary": [(580, 629), (788, 788)],
    "neoplasms": [(140, 239)],
}

METFORMIN = [
    "metformin",
    "glyburide-metformin",
    "glipizide-metformin",
    "metformin-rosiglitazone",
    "metformin-pioglitazone",
]
SULFONYLUREAS = [
    "chlorpropamide",
    "glimepiride",
    "acetohexamide",
    "glipizide",
    "glyburide",
    "tolbutamide",
    "tolazamide",
    "glyburide-metformin",
    "glipizide-metformin",
    "glimepiride-pioglitazone",
]
OTHER_DRUGS = [
    "repaglinide",
    "nateglinide",
    "pioglitazone",
    "rosiglitazone",
    "acarbose",
    "miglitol",
    "troglitazone",
    "examide",
    "citoglipton",
    "insulin",
]
DRUGS = sorted({*METFORMIN, *SULFONYLUREAS, *OTHER_DRUGS})

COUNTS = ["time_in_hospital", "num_lab_procedures", "num_procedures", "num_medications"]
VISITS = ["outpatient", "emergency", "inpatient"]
STAY_CODES = ["admission_type_id", "admission_source_id", "discharge_disposition_id"]
GLUCOSE_LEVELS = {"None": 0, "Norm": 0, ">200": 1, ">300": 2}
A1C_LEVELS = {"None": 0, "Norm": 0, ">7": 1, ">8": 2}


def load(path: Path) -> pd.DataFrame:
    """One row per usable encounter, in order of `encounter_id`: patient, 42 features, target, and SITE_COLUMNS.

    Encounters that ended in death or hospice are left out, for they cannot be followed by a readmission, and those of
    unrecorded sex, which the dictionary cannot hold; `frame.attrs["left_out"]` says how many of each.
    Raises InvalidInput where the file is not the UCI table.
    """
    raw = _read(path)
    ended = raw["discharge_disposition_id"].isin(DIED_OR_HOSPICE)
    no_sex = ~ended & ~raw["gender"].isin(GENDERS)
    kept = raw[~ended & ~no_sex].sort_values("encounter_id", ignore_index=True)
    frame = pd.concat([_patient_and_stay(kept), _use_of_care(kept), _diagnoses(kept), _treatment(kept)], axis=1)
    frame[TARGET] = (kept["readmitted"] == "<30").astype(int)
    frame[SITE_COLUMNS] = kept[SITE_COLUMNS]
    frame.insert(0, PATIENT, kept["patient_nbr"])
    frame.attrs["left_out"] = {"died or hospice": int(ended.sum()), "sex not recorded": int(no_sex.sum())}
    return frame


def _read(path: Path) -> pd.DataFrame:
    """The file with "?" as missing. "None" stays a word: it means "not tested", and pandas would call it missing."""
    try:
        raw = pd.read_csv(path, keep_default_na=False, na_values=["?"], low_memory=False)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read as a CSV file.", "Give the path of diabetic_data.csv.gz.") from error
    needed = [*SITE_COLUMNS, *STAY_CODES, *COUNTS, *(f"number_{kind}" for kind in [*VISITS, "diagnoses"]), *DRUGS]
    needed += ["patient_nbr", "race", "gender", "age", "diag_1", "diag_2", "diag_3", "change", "readmitted"]
    if missing := [name for name in [*needed, "max_glu_serum", "A1Cresult"] if name not in raw]:
        raise InvalidInput(f"{path} has no column {', '.join(missing)}.", "Give the UCI table as it was published.")
    return _with_known_values(raw, path)


def _with_known_values(raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Unknown codes are refused: they would turn into plausible numbers without a word."""
    known = {
        "age": [f"[{low}-{low + 10})" for low in range(0, 100, 10)],
        "max_glu_serum": GLUCOSE_LEVELS,
        "A1Cresult": A1C_LEVELS,
        "change": ["Ch", "No"],
        "readmitted": ["<30", ">30", "NO"],
        **{drug: ["No", "Steady", "Up", "Down"] for drug in DRUGS},
    }
    wrong = [name for name, values in known.items() if not raw[name].isin(list(values)).all()]
    numbers = ["encounter_id", "patient_nbr", *STAY_CODES, *COUNTS, *(f"number_{kind}" for kind in VISITS)]
    wrong += [name for name in numbers if not pd.api.types.is_integer_dtype(raw[name])]
    if wrong:
        raise InvalidInput(
            f"{path} holds values that the UCI table does not have, in {', '.join(wrong)}.",
            "Give the UCI table as it was published.",
        )
    return raw


def _patient_and_stay(raw: pd.DataFrame) -> pd.DataFrame:
    """Demographics, admission and discharge; the numbers are the source's codes, explained in its IDs_mapping.csv."""
    race = raw["race"]
    admission, source, discharge = (raw[code] for code in STAY_CODES)
    return _whole_numbers(
        age_years=raw["age"].str.extract(r"\[(\d+)-", expand=False).astype(int) + 5,
        female=raw["gender"] == "Female",
        race_african_american=race == "AfricanAmerican",
        race_hispanic=race == "Hispanic",
        race_other_unknown=~race.isin(["Caucasian", "AfricanAmerican", "Hispanic"]),
        admission_emergency=admission.isin([1, 7]),
        admission_urgent=admission == 2,
        admission_elective=admission == 3,
        source_emergency_room=source == 7,
        source_transfer=source.isin([4, 5, 6, 10, 22, 25, 26]),
        discharge_home=discharge == 1,
        discharge_home_health=discharge.isin([6, 8]),
        discharge_nursing=discharge.isin([3, 4, 15, 24]),
        discharge_inpatient=discharge.isin([2, 5, 9, 10, 12, 22, 23, 27, 28, 29, 30]),
    )


def _use_of_care(raw: pd.DataFrame) -> pd.DataFrame:
    counts = ["time_in_hospital", "num_lab_procedures", "num_procedures", "num_medications"]
    visits = {
        f"log_{kind}_visits": np.log1p(raw[f"number_{kind}"]) for kind in ("outpatient", "emergency", "inpatient")
    }
    frame = raw[counts].assign(**visits, number_diagnoses=raw["number_diagnoses"])
    return frame.assign(
        glucose_tested=(raw["max_glu_serum"] != "None").astype(int),
        glucose_level=raw["max_glu_serum"].map(GLUCOSE_LEVELS),
        a1c_tested=(raw["A1Cresult"] != "None").astype(int),
        a1c_level=raw["A1Cresult"].map(A1C_LEVELS),
    )


def _diagnoses(raw: pd.DataFrame) -> pd.DataFrame:
    primary = {f"primary_{chapter}": _in_chapter(raw["diag_1"], chapter) for chapter in CHAPTERS}
    secondary = {
        f"secondary_{chapter}": _in_chapter(raw["diag_2"], chapter) | _in_chapter(raw["diag_3"], chapter)
        for chapter in ("circulatory", "genitourinary")
    }
    return _whole_numbers(**primary, **secondary)


def _in_chapter(code: pd.Series, chapter: str) -> pd.Series:
    """Whether each ICD-9 code, such as "250.83", "V57" or missing, belongs to the chapter."""
    number = pd.to_numeric(code, errors="coerce").floordiv(1)
    return pd.concat([number.between(low, high) for low, high in CHAPTERS[chapter]], axis=1).any(axis=1)


def _treatment(raw: pd.DataFrame) -> pd.DataFrame:
    given = raw[DRUGS] != "No"
    return _whole_numbers(
        insulin=given["insulin"],
        insulin_changed=raw["insulin"].isin(["Up", "Down"]),
        metformin=given[METFORMIN].any(axis=1),
        sulfonylurea=given[SULFONYLUREAS].any(axis=1),
        num_diabetes_drugs=given.sum(axis=1),
        medication_changed=raw["change"] == "Ch",
    )


def _whole_numbers(**columns: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(columns).astype(int)


def split_sites(frame: pd.DataFrame, n: int) -> dict[str, pd.DataFrame]:
    """The hospitals' tables by name: 3 by payer, 5 by admitting specialty, or 20 by both (with four payer classes).

    A patient belongs to the hospital of the first encounter, so no patient is split over two hospitals.
    """
    if n not in (3, 5, 20):
        raise InvalidInput(f"This data has no natural split into {n} hospitals.", "Choose 3, 5 or 20.")
    first = frame.sort_values("encounter_id").drop_duplicates(PATIENT).set_index(PATIENT)
    payer, specialty = first["payer_code"], first["medical_specialty"]
    if n == 3:
        site = payer.map(_payer_of_three)
    elif n == 5:
        site = specialty.map(_specialty)
    else:
        site = payer.map(_payer_of_four) + "-" + specialty.map(_specialty)
    of_row = frame[PATIENT].map(site)
    tables = frame.drop(columns=SITE_COLUMNS)
    return {name: tables[of_row == name].reset_index(drop=True) for name in sorted(site.unique())}


def _payer_of_three(code: object) -> str:
    return "payer-unrecorded" if pd.isna(code) else "medicare" if code == "MC" else "other-payer"


def _payer_of_four(code: object) -> str:
    """As of three, with private insurers apart: HMO, Blue Cross, commercial, United, managed care, PPO."""
    private = {"HM", "BC", "CP", "UN", "CM", "PO"}
    return "private-payer" if code in private else _payer_of_three(code)


def _specialty(name: object) -> str:
    if pd.isna(name):
        return "specialty-unrecorded"
    groups = {"InternalMedicine": "internal-family", "Family/GeneralPractice": "internal-family"}
    groups["Emergency/Trauma"] = "emergency"
    surgical = str(name).startswith(("Surg", "Orthoped"))
    return groups.get(str(name), "surgical" if surgical else "other-medical")


def write_sites(path: Path, out_dir: Path, n: int) -> list[Path]:
    """Load the UCI table, split it, and write one CSV file per hospital, named after it. Returns the files."""
    out_dir.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in split_sites(load(path), n).items():
        files.append(out_dir / f"{name}.csv")
        table.to_csv(files[-1], index=False)
    return files
