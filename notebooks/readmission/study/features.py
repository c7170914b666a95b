"""From the approved columns of a table to the network's 42 inputs.

Each column is centred and scaled by constants written down here from general medical knowledge. Nothing is measured
from a hospital's rows, so scaling discloses nothing, and all hospitals scale alike without asking each other.
"""

import numpy as np
import pandas as pd

TARGET = "readmitted_30d"

# column -> (center, scale), in the column's own unit. Yes/no columns stay 0/1.
SCALING: dict[str, tuple[float, float]] = {
    # who the patient is
    "age_years": (65, 15),
    "female": (0, 1),
    "race_african_american": (0, 1),
    "race_hispanic": (0, 1),
    "race_other_unknown": (0, 1),
    # how the patient came
    "admission_emergency": (0, 1),
    "admission_urgent": (0, 1),
    "admission_elective": (0, 1),
    "source_emergency_room": (0, 1),
    "source_transfer": (0, 1),
    # where the patient went
    "discharge_home": (0, 1),
    "discharge_home_health": (0, 1),
    "discharge_nursing": (0, 1),
    "discharge_inpatient": (0, 1),
    # how much care was used
    "time_in_hospital": (4, 3),
    "num_lab_procedures": (45, 20),
    "num_procedures": (1, 2),
    "num_medications": (15, 8),
    "log_outpatient_visits": (0, 1),
    "log_emergency_visits": (0, 1),
    "log_inpatient_visits": (0, 1),
    "number_diagnoses": (7, 2),
    # what the laboratory said
    "glucose_tested": (0, 1),
    "glucose_level": (0, 1),
    "a1c_tested": (0, 1),
    "a1c_level": (0, 1),
    # the main reason for the stay, and what else was wrong
    "primary_circulatory": (0, 1),
    "primary_respiratory": (0, 1),
    "primary_digestive": (0, 1),
    "primary_diabetes": (0, 1),
    "primary_injury": (0, 1),
    "primary_musculoskeletal": (0, 1),
    "primary_genitourinary": (0, 1),
    "primary_neoplasms": (0, 1),
    "secondary_circulatory": (0, 1),
    "secondary_genitourinary": (0, 1),
    # how the diabetes was treated
    "insulin": (0, 1),
    "insulin_changed": (0, 1),
    "metformin": (0, 1),
    "sulfonylurea": (0, 1),
    "num_diabetes_drugs": (1, 1),
    "medication_changed": (0, 1),
}

FEATURES = list(SCALING)
_CENTER = np.array([center for center, _ in SCALING.values()], dtype=np.float32)
_SCALE = np.array([scale for _, scale in SCALING.values()], dtype=np.float32)


def inputs(table: pd.DataFrame) -> np.ndarray:
    """float32 of shape (rows, 42). Clipping at 5 scales keeps one odd entry from dominating a batch."""
    values = table[FEATURES].to_numpy(dtype=np.float32)
    return np.clip((values - _CENTER) / _SCALE, -5, 5)


def labels(table: pd.DataFrame) -> np.ndarray:
    """float32 of shape (rows,): 1 where the patient was readmitted within 30 days."""
    return table[TARGET].to_numpy(dtype=np.float32, copy=True)
