"""Made-up readmission tables of made-up hospitals: the columns of `dictionary.toml`, and no real person.

Hospitals differ as real ones do: in the age and frailty of their patients, in how eagerly they test, code and
prescribe, and in how often patients come back. What makes a patient come back is the same everywhere, so there is
something to learn together. No number was measured from real patients.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from policies.errors import InvalidInput

# Shares of primary diagnoses by ICD-9 chapter; the rest has another main diagnosis.
PRIMARY = {
    "circulatory": 0.30,
    "respiratory": 0.14,
    "digestive": 0.09,
    "diabetes": 0.09,
    "injury": 0.07,
    "musculoskeletal": 0.05,
    "genitourinary": 0.05,
    "neoplasms": 0.03,
}


@dataclass(frozen=True)
class Hospital:
    """How one hospital differs from the average one; every number is 0 for the average."""

    age: float  # years
    frailty: float  # standard deviations of the patients' frailty
    emergencies: float  # log odds of an emergency admission
    testing: float  # log factor on laboratory work
    coding: float  # extra diagnoses written down per stay
    insulin: float  # log odds of insulin
    readmission: float  # log odds of readmission, other things equal


def generate(sites: Sequence[str], rows_per_site: int, seed: int) -> dict[str, pd.DataFrame]:
    """One table per hospital name. A hospital's table depends on its name, its size and the seed, not on the others."""
    if rows_per_site < 1 or len(set(sites)) != len(sites):
        raise InvalidInput(
            "Each hospital needs a name of its own and at least one row.",
            "Give distinct names and a positive rows_per_site.",
        )
    return {
        name: _table(name, rows_per_site, np.random.default_rng([seed, zlib.crc32(name.encode())])) for name in sites
    }


def _table(name: str, rows: int, rng: np.random.Generator) -> pd.DataFrame:
    hospital = _hospital(rng)
    patients, frailty, earlier = _patients(name, rows, hospital, rng)
    table = pd.concat([patients, _stay(patients, frailty, hospital, rng)], axis=1)
    table = table.assign(**_use_of_care(frailty, earlier, hospital, rng))
    table = table.assign(**_diagnoses(rows, frailty, rng))
    table = table.assign(**_treatment(rows, frailty, hospital, rng))
    log_odds = _risk(table) + hospital.readmission
    return table.assign(readmitted_30d=_chance(log_odds, rng))


def _hospital(rng: np.random.Generator) -> Hospital:
    age, frailty, emergencies, testing, coding, insulin, readmission = rng.normal(
        0, [5, 0.25, 0.5, 0.2, 0.6, 0.5, 0.2]
    ).tolist()
    return Hospital(age, frailty, emergencies, testing, coding, insulin, readmission)


def _patients(
    name: str, rows: int, hospital: Hospital, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Who comes, one row per encounter; each row's hidden frailty; and how many encounters the patient had before."""
    encounters = np.minimum(rng.geometric(0.7, rows), 12)
    patient = np.repeat(np.arange(rows), encounters)[:rows]
    earlier = np.arange(rows) - np.searchsorted(patient, patient)
    decade = np.clip(np.round((rng.normal(65 + hospital.age, 15, rows) - 5) / 10), 0, 9)
    race = rng.choice(4, rows, p=[0.74, 0.19, 0.02, 0.05])
    people = pd.DataFrame(
        {
            "patient_id": [f"{name}-{number:06d}" for number in range(rows)],
            "age_years": (10 * decade + 5).astype(int),
            "female": rng.integers(0, 2, rows),
            "race_african_american": (race == 1).astype(int),
            "race_hispanic": (race == 2).astype(int),
            "race_other_unknown": (race == 3).astype(int),
        }
    )
    frailty = rng.normal(hospital.frailty, 1, rows) + 0.02 * (people["age_years"].to_numpy() - 65)
    return people.iloc[patient].reset_index(drop=True), frailty[patient], earlier


def _stay(patients: pd.DataFrame, frailty: np.ndarray, hospital: Hospital, rng: np.random.Generator) -> pd.DataFrame:
    rows = len(patients)
    emergency = _chance(0.1 + hospital.emergencies + 0.2 * frailty, rng)
    urgent = (1 - emergency) * rng.binomial(1, 0.4, rows)
    elective = (1 - emergency - urgent) * rng.binomial(1, 0.7, rows)
    through_emergency_room = _chance(np.where(emergency == 1, 2.0, -1.5), rng)
    need = frailty + 0.03 * (patients["age_years"].to_numpy() - 65) + rng.normal(0, 1.5, rows)
    where = np.digitize(need, [0.7, 1.5, 3.0])  # the needier, the less likely to go simply home
    return pd.DataFrame(
        {
            "admission_emergency": emergency,
            "admission_urgent": urgent,
            "admission_elective": elective,
            "source_emergency_room": through_emergency_room,
            "source_transfer": (1 - through_emergency_room) * rng.binomial(1, 0.14, rows),
            "discharge_home": (where == 0).astype(int),
            "discharge_home_health": (where == 1).astype(int),
            "discharge_nursing": (where == 2).astype(int),
            "discharge_inpatient": (where == 3).astype(int),
        }
    )


def _use_of_care(
    frailty: np.ndarray, earlier: np.ndarray, hospital: Hospital, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    rows = len(frailty)
    days = np.clip(1 + rng.poisson(np.exp(1.0 + 0.25 * frailty)), 1, 14)
    tested = np.exp(hospital.testing)
    stays = rng.poisson(np.exp(-1.6 + 0.7 * frailty)) + rng.binomial(earlier, 0.5)
    glucose, a1c = rng.binomial(1, min(0.05 * tested, 1), rows), rng.binomial(1, min(0.18 * tested, 1), rows)
    return {
        "time_in_hospital": days,
        "num_lab_procedures": np.clip(rng.normal((33 + 2.5 * days) * tested, 15), 0, 150).astype(int),
        "num_procedures": np.minimum(rng.poisson(1.3, rows), 6),
        "num_medications": np.clip(rng.normal(10 + 1.2 * days + 2 * frailty, 5), 0, 100).astype(int),
        "log_outpatient_visits": np.log1p(np.minimum(rng.poisson(np.exp(-1.8 + 0.5 * frailty)), 100)),
        "log_emergency_visits": np.log1p(np.minimum(rng.poisson(np.exp(-2.3 + 0.8 * frailty)), 100)),
        "log_inpatient_visits": np.log1p(np.minimum(stays, 100)),
        "number_diagnoses": np.clip(np.round(rng.normal(7 + hospital.coding + frailty, 1.5)), 1, 16).astype(int),
        "glucose_tested": glucose,
        "glucose_level": glucose * rng.choice(3, rows, p=[0.5, 0.27, 0.23]),
        "a1c_tested": a1c,
        "a1c_level": a1c * rng.choice(3, rows, p=[0.3, 0.22, 0.48]),
    }


def _diagnoses(rows: int, frailty: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    shares = [*PRIMARY.values()]
    chapter = rng.choice(len(shares) + 1, rows, p=[*shares, 1 - sum(shares)])
    primary = {f"primary_{name}": (chapter == index).astype(int) for index, name in enumerate(PRIMARY)}
    return primary | {
        "secondary_circulatory": _chance(0.3 * frailty, rng),
        "secondary_genitourinary": _chance(-1.8 + 0.4 * frailty, rng),
    }


def _treatment(rows: int, frailty: np.ndarray, hospital: Hospital, rng: np.random.Generator) -> dict[str, np.ndarray]:
    insulin = _chance(0.1 + hospital.insulin + 0.2 * frailty, rng)
    insulin_changed = insulin * rng.binomial(1, 0.45, rows)
    metformin, sulfonylurea = _chance(-1.3 - 0.3 * frailty, rng), rng.binomial(1, 0.29, rows)
    return {
        "insulin": insulin,
        "insulin_changed": insulin_changed,
        "metformin": metformin,
        "sulfonylurea": sulfonylurea,
        "num_diabetes_drugs": insulin + metformin + sulfonylurea + rng.binomial(1, 0.15, rows),
        "medication_changed": np.maximum(insulin_changed, rng.binomial(1, 0.25, rows)),
    }


def _risk(table: pd.DataFrame) -> np.ndarray:
    """Log odds of readmission from what the table shows: mostly a sum, with a few turns that only a network finds."""
    additive = (
        -2.8
        + 1.2 * table["log_inpatient_visits"]
        + 0.6 * table["log_emergency_visits"]
        + 0.7 * table["discharge_inpatient"]
        - 0.5 * table["discharge_home"]
        + 0.3 * (table["num_medications"] - 15) / 8
        + 0.6 * table["insulin_changed"]
        + 0.5 * table["primary_diabetes"]
        + 0.4 * table["primary_circulatory"]
        - 0.6 * table["primary_musculoskeletal"]
    )
    old_and_home = 0.6 * (table["age_years"] > 75) * table["discharge_home"]
    poorly_controlled = 1.0 * (table["a1c_level"] == 2) * (1 - table["insulin"])
    short_emergency = 0.5 * (table["time_in_hospital"] <= 2) * table["admission_emergency"]
    return (additive + old_and_home + poorly_controlled + short_emergency).to_numpy()


def _chance(log_odds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """1 with the probability that the log odds say, else 0, for each entry."""
    return (rng.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(int)
