"""Predict readmission within 30 days by a linear model of scikit-learn.

`SGDClassifier` goes on, in each round, from the coefficients that all hospitals have agreed on so far. Coefficients and
intercept travel as plain arrays. The estimator itself, which could only travel as a pickle, never does: a pickle is a
program, and whoever opens it runs it.

The approved configuration, `config`:

    seed           makes everything random repeatable
    split_seed     which patients train and which test
    local_epochs   passes over the training rows in a round, 1 if left out
    learning_rate  0.01 if left out
    penalty        of the squared coefficients (scikit-learn's alpha), 0.0001 if left out
    evaluate_on    "test" (if left out) or "validation"
    round          added by the hospital
"""

import features
import numpy as np
import pandas as pd
import report
import splits
from sklearn.linear_model import SGDClassifier

Arrays = dict[str, np.ndarray]
OUTCOMES = np.array([0, 1])


def initialize(config: dict) -> Arrays:
    """All zeros, of the shapes that scikit-learn has."""
    return {"coef": np.zeros((1, len(features.FEATURES))), "intercept": np.zeros(1)}


def fit(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[Arrays, int, dict[str, float]]:
    """Train on the training patients. Returns the new parameters, how many rows trained them, and their mean loss."""
    rows = splits.rows_of("train", table, config["split_seed"])
    x, y = features.inputs(rows).astype(np.float64), features.labels(rows)
    model = _model(parameters, config)
    for _ in range(config.get("local_epochs", 1)):
        model.partial_fit(x, y, classes=OUTCOMES)  # so that a hospital where nobody was readmitted can train too
    trained = {"coef": model.coef_, "intercept": model.intercept_}
    return trained, len(y), {"loss": report.loss(model.decision_function(x), y)}


def evaluate(parameters: Arrays, table: pd.DataFrame, config: dict) -> tuple[int, dict[str, float | np.ndarray]]:
    """Test on the test patients."""
    rows = splits.rows_of(config.get("evaluate_on", "test"), table, config["split_seed"])
    logit = features.inputs(rows) @ parameters["coef"][0] + parameters["intercept"]
    return len(rows), report.report(logit, features.labels(rows))


def _model(parameters: Arrays, config: dict) -> SGDClassifier:
    """A new estimator that goes on from these parameters."""
    model = SGDClassifier(
        loss="log_loss",
        alpha=config.get("penalty", 1e-4),
        learning_rate="constant",
        eta0=config.get("learning_rate", 0.01),
        random_state=config["seed"] * 1_000_003 + config["round"],
    )
    model.coef_, model.intercept_ = parameters["coef"].copy(), parameters["intercept"].copy()
    return model
