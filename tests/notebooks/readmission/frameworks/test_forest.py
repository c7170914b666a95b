"""Trees as arrays against scikit-learn's own, and what an update of trees can tell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeRegressor

from tests.support.studies import modules_of

FOLDER = Path(__file__).parents[4] / "notebooks" / "readmission" / "frameworks" / "trees"
CONFIG = {"seed": 1, "split_seed": 1, "round": 1, "places": 4}


@pytest.fixture(scope="module")
def trees() -> Iterator[SimpleNamespace]:
    with modules_of(FOLDER) as modules:
        yield modules


def _one(modules: SimpleNamespace, grown: DecisionTreeRegressor, depth: int) -> dict[str, np.ndarray]:
    tree = modules.forest.as_arrays(grown, grown.tree_.value[:, 0, 0], depth)
    return modules.forest.with_tree(modules.forest.empty(2, depth), tree)


@pytest.mark.parametrize("least", [1, 40, 1000])
def test_arrays_predict_what_the_tree_does(trees: SimpleNamespace, least: int) -> None:
    """Deep and shallow branches, and a tree that is a single leaf."""
    rng = np.random.default_rng(0)
    x = rng.integers(-5, 6, (900, 6)).astype(float)
    y = x[:, 0] * (x[:, 1] > 0) + rng.normal(size=900)
    grown = DecisionTreeRegressor(max_depth=5, min_samples_leaf=least, random_state=0).fit(x, y)
    assert grown.get_depth() == (0 if least == 1000 else 5)
    np.testing.assert_allclose(trees.forest.predict(_one(trees, grown, 5), x), grown.predict(x), rtol=1e-6, atol=1e-7)


def test_a_round_is_a_newton_step(trees: SimpleNamespace, study_table: pd.DataFrame) -> None:
    """Each leaf's value is minus the sum of gradients over the sum of curvatures and the penalty, as in XGBoost."""
    config = {**CONFIG, "depth": 3, "penalty": 5.0, "learning_rate": 1.0}
    start = trees.study.initialize(config)
    for number in (1, 2):
        after = trees.study.fit(start, study_table, {**config, "round": number})[0]
        rows = trees.splits.rows_of("train", study_table, 1)
        x, y = trees.study._inputs(rows), trees.features.labels(rows)
        probability = trees.report.probability(trees.study._logit(start, x, config))
        leaf = trees.forest.predict(after, x, first=number - 1)
        for value in np.unique(leaf):
            here = leaf == value
            gradient, curvature = (probability - y)[here].sum(), (probability * (1 - probability))[here].sum()
            assert value == pytest.approx(-gradient / (curvature + 5.0), rel=1e-4)
        start = after


def test_no_leaf_stands_for_few_rows_whatever_the_config_says(
    trees: SimpleNamespace, study_table: pd.DataFrame
) -> None:
    config = {**CONFIG, "depth": 8, "min_leaf": 1}
    ensemble = trees.study.fit(trees.study.initialize(config), study_table, config)[0]
    rows = trees.study._inputs(trees.splits.rows_of("train", study_table, 1))
    ensemble["value"][0] = np.arange(2**8)  # so that a prediction says which leaf it is
    reached = np.unique(trees.forest.predict(ensemble, rows), return_counts=True)[1]
    assert len(reached) > 20
    assert reached.min() >= trees.study.LEAST_LEAF == 20


def test_thresholds_lie_on_a_public_scale(trees: SimpleNamespace, study_table: pd.DataFrame) -> None:
    """A threshold between two patients' own numbers would tell both. Ages with decimals make them telling."""
    noisy = study_table.assign(age_years=study_table["age_years"] + np.random.default_rng(0).random(len(study_table)))
    config = {**CONFIG, "depth": 6}
    ensemble = trees.study.fit(trees.study.initialize(config), noisy, config)[0]
    threshold = ensemble["threshold"][0]
    used = threshold[threshold < trees.forest.ALWAYS]
    assert len(used) > 20
    assert (used * 2 * trees.study.MARKS % 1 == 0).all()


def test_a_full_ensemble_is_told_at_the_hospital(trees: SimpleNamespace, study_table: pd.DataFrame) -> None:
    config = {**CONFIG, "places": 1, "trees_per_round": 2}
    with pytest.raises(ValueError, match="no free place"):
        trees.study.fit(trees.study.initialize(config), study_table, config)
