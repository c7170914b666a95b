"""Predict readmission within 30 days by boosted decision trees that all hospitals grow together.

In each round every hospital grows trees for what the ensemble of all hospitals still gets wrong on its own patients: a
step of gradient boosting as XGBoost takes it (Chen and Guestrin 2016), by scikit-learn's `DecisionTreeRegressor`. The
researcher's side, `wr.Bagging()`, puts all new trees into the ensemble, each weighed by its hospital's share of rows.

What a tree tells of this hospital's patients, and what bounds it:

    a leaf's value is an average over at least `min_leaf` training rows, never fewer than LEAST_LEAF
    a split's threshold lies between two marks of a scale written down here, and is no patient's own number
    an update is `trees_per_round` trees of at most 2^depth leaves each

The approved configuration, `config`:

    seed             makes everything random repeatable
    split_seed       which patients train and which test
    places           for trees in the ensemble: rounds x hospitals x trees_per_round
    trees_per_round  that each hospital grows in a round, 1 if left out
    depth            of a tree, 4 if left out
    min_leaf         training rows in a leaf, at least; 50 if left out
    learning_rate    0.3 if left out
    penalty          of the squared leaf values (XGBoost's lambda), 1 if left out
    evaluate_on      "test" (if left out) or "validation"
    round            added by the hospital
"""

import features
import forest
import numpy as np
import pandas as pd
import report
import splits
from sklearn.tree import DecisionTreeRegressor

LEAST_LEAF = 20  # no number leaves that stands for fewer rows: `min_cohort` of the standard policy
MARKS = 8  # of the scale of each input, in one unit of it
START = -2.0  # the logit before the first tree: about one patient in nine is readmitted


def initialize(config: dict) -> forest.Arrays:
    """No tree yet."""
    return forest.empty(config["places"], config.get("depth", 4))


def fit(parameters: forest.Arrays, table: pd.DataFrame, config: dict) -> tuple[forest.Arrays, int, dict[str, float]]:
    """The ensemble with this hospital's new trees in its first free places, how many rows grew them, and the loss."""
    rows = splits.rows_of("train", table, config["split_seed"])
    x, y = _inputs(rows), features.labels(rows).astype(np.float64)
    logit = _logit(parameters, x, config)
    for number in range(config.get("trees_per_round", 1)):
        grown = int(parameters["trees"])
        parameters = forest.with_tree(parameters, _tree(x, y, logit, config, number))
        logit += config.get("learning_rate", 0.3) * forest.predict(parameters, x, first=grown)
    return parameters, len(y), {"loss": report.loss(logit, y)}


def evaluate(parameters: forest.Arrays, table: pd.DataFrame, config: dict) -> tuple[int, dict[str, float | np.ndarray]]:
    """Test on the test patients."""
    rows = splits.rows_of(config.get("evaluate_on", "test"), table, config["split_seed"])
    return len(rows), report.report(_logit(parameters, _inputs(rows), config), features.labels(rows))


def _inputs(rows: pd.DataFrame) -> np.ndarray:
    """Rounded to the scale's marks, so that no split can lie between two patients who are closer than that."""
    return np.rint(features.inputs(rows) * MARKS) / MARKS


def _logit(ensemble: forest.Arrays, x: np.ndarray, config: dict) -> np.ndarray:
    return START + config.get("learning_rate", 0.3) * forest.predict(ensemble, x)


def _tree(x: np.ndarray, y: np.ndarray, logit: np.ndarray, config: dict, number: int) -> forest.Arrays:
    """One Newton step: a leaf's value is -G / (H + penalty), of its rows' summed first and second derivatives."""
    probability = report.probability(logit)
    curvature = np.maximum(probability * (1 - probability), 1e-6)
    tree = DecisionTreeRegressor(
        max_depth=config.get("depth", 4),
        min_samples_leaf=max(LEAST_LEAF, config.get("min_leaf", 50)),
        random_state=np.random.RandomState([config["seed"], config["round"], number]),
    )
    tree.fit(x, (y - probability) / curvature, sample_weight=curvature)
    sums = tree.tree_.weighted_n_node_samples  # of curvature: H of each node
    value = tree.tree_.value[:, 0, 0] * sums / (sums + config.get("penalty", 1.0))
    return forest.as_arrays(tree, value, config.get("depth", 4))
