"""Which rows are for training, validation and testing: 70, 10 and 20 percent of the patients.

All encounters of a patient fall on the same side, otherwise the test would ask about patients already seen. The side
depends on nothing but the patient's pseudonym and the seed, so it is the same in every round and needs no bookkeeping.
"""

import numpy as np
import pandas as pd

# split -> [from, to) of the unit interval on which each patient has a fixed place
SPLITS = {"train": (0.0, 0.7), "validation": (0.7, 0.8), "test": (0.8, 1.0)}


def rows_of(split: str, table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The rows of `table` whose patients belong to "train", "validation" or "test"."""
    low, high = SPLITS[split]
    place = place_of(table["patient"].to_numpy(), seed)
    return table[(place >= low) & (place < high)]


def place_of(patient: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each patient, uniform and unrelated between seeds: the SplitMix64 mixing function."""
    start = np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    mixed = patient.astype(np.uint64) ^ start
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53  # 53 bits are what a float64 holds exactly
