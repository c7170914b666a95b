"""Describe the patients: what a researcher submits and a hospital runs. Nothing is trained.

The hospital calls `evaluate` once. What leaves:

    statistics_counts        how many patients have each value of a column, or a value in each bin; last, how many none
    statistics_moments       mean and standard deviation of each column that is counted in bins
    statistics_correlations  Pearson's correlation of each two columns that are never missing

or, where only the sum over several hospitals is to be read (`only_sums`), instead of the last two:

    statistics_sums          of each column that is counted in bins: how many patients, and the sums of their values and
                             of the squares of these
    statistics_products      of each two of these columns that are never missing, the sum of their values' products

The hospital's gate withholds small counts, and those that would give them away (its policy's `min_cohort`). Moments and
correlations are this code's own to hold back: it tells none of fewer than `least` patients.

The approved configuration, `config` (the researcher's library makes it of the data dictionary):

    columns    one entry each: a name, and either its `values` or the `low`, `high` and `bins` it is counted in
    correlate  the columns whose correlations are wanted
    least      the fewest patients behind a mean or a correlation
    everyone   "first" to count each patient once, with the first row in the table; "rows" to count every row
    only_sums  true where hospitals show nothing but the sum of what they tell
"""

import cells
import moments
import numpy as np
import pandas as pd
import sums

Arrays = dict[str, np.ndarray]


def initialize(config: dict) -> Arrays:
    """There is no model; hospitals expect one, so it is a single zero."""
    return {"nothing": np.zeros(1)}


def fit(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[Arrays, int, dict]:
    """There is nothing to train."""
    return parameters, len(patients(table, config)), {}


def evaluate(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[int, Arrays]:
    """How many patients were counted, and the three tables: int64 of shape (columns, cells), float64 of shapes
    (columns, 2) and (correlated columns, correlated columns); or, of sums, (columns, 3) and as before."""
    rows, least = patients(table, config), config["least"]
    counts = cells.counts(rows, config["columns"])
    if config.get("only_sums"):
        return len(rows), {
            "statistics_counts": counts,
            "statistics_sums": sums.sums(rows, config["columns"], least),
            "statistics_products": sums.products(rows, config["columns"], config["correlate"], least),
        }
    return len(rows), {
        "statistics_counts": counts,
        "statistics_moments": moments.moments(rows, config["columns"], least),
        "statistics_correlations": moments.correlations(rows, config["columns"], config["correlate"], least),
    }


def patients(table: pd.DataFrame, config: dict) -> pd.DataFrame:
    """The rows that count."""
    return table.drop_duplicates("patient") if config["everyone"] == "first" else table
