from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from datasites.wire.manifest import Manifest
from datasites.wire.preparation import CategoryInput, NumberInput
from datasites.wire.statistics import Statistics
from policies.privacy.accounting import epsilon
from policies.privacy.events import Gaussian, SharedGaussian
from researcher.secagg.exchange import SUM
from researcher.secagg.summed import added_noise
from tests.support.federation import DICTIONARY

STAYS = Dictionary.load(DICTIONARY)
ASKED = Statistics(
    inputs=(
        NumberInput(column="age", center=50.0, scale=50.0, low=-1.0, high=1.0, indicator=True),
        CategoryInput(column="sex", categories=("female", "male")),
    ),
    noise_multiplier=4.0,
)


def study(home: Path, **changes: Any) -> wr.PrivateStatistics:
    fields: dict[str, Any] = {"name": "who", "purpose": "Test", "dataset": "stays", "columns": ["days"], "home": home}
    return wr.PrivateStatistics(**{**fields, "epsilon": 0.5, **changes})


def test_a_target_epsilon_is_what_all_of_it_costs(tmp_path: Path) -> None:
    asked = study(tmp_path, delta=1e-5)
    spent = epsilon(asked.statistics(STAYS).plan(1), 1e-5)
    assert 0.49 < spent <= 0.5
    assert asked.cost().epsilon == pytest.approx(spent)
    assert str(asked.cost()).startswith("Counts and means at noise multiplier")


def test_the_manifest_holds_a_request_and_neither_code_nor_model(tmp_path: Path) -> None:
    asked = study(tmp_path, columns=["days", "readmitted"])
    manifest = asked.manifest("ada@uni.org", STAYS, asked.contract(STAYS))
    assert (manifest.tier, manifest.files, manifest.outputs.parameters) == ("private", {}, {})
    assert Manifest.model_validate_json(manifest.canonical()).digest == manifest.digest
    content = manifest.model_dump()
    for change in ({"tier": "reviewed"}, {"statistics": None}, {"columns": ("days",)}):
        with pytest.raises(ValueError, match=r"private study|columns"):
            Manifest.model_validate({**content, **change})
    with pytest.raises(ValueError, match="outputs"):
        Manifest.model_validate(
            {**content, "outputs": asked.contract(STAYS).model_copy(update={"fit_metrics": ("x",)})}
        )


def test_the_sum_of_hospitals_has_the_noise_that_they_added_together(tmp_path: Path) -> None:
    rows = {SUM: np.array([900.0, 90, 60, 500, 400])}
    for secure, hospitals, times in (({}, 3, 3), ({"honest": 3}, 3, 3 / 2), ({"honest": 3}, 2, 1)):
        asked = study(tmp_path, noise_multiplier=4.0, epsilon=None, secure_aggregation=secure)
        terms = {"hospitals": {f"do@h{i}.org": " ".join([f"{i:04x}"] * 8) for i in range(3)}, **secure}
        alone = asked.manifest("ada@uni.org", STAYS, asked.contract(STAYS))
        manifest = Manifest.model_validate({**alone.model_dump(mode="json"), "secure_aggregation": terms})
        charged = SharedGaussian(4.0, 3, 3) if secure else Gaussian(4.0)
        assert manifest.plan(1) == manifest.events(fit=False, evaluate=True) == (charged,)
        assert asked.cost().epsilon == pytest.approx(epsilon(manifest.plan(1), 1e-6))
        counts = wr.Counts(ASKED, rows, {SUM: "the sum"}, {SUM: added_noise(manifest, hospitals)})
        band = counts.table().iloc[0]
        assert (band["high"] - band["low"]) / 2 / 1.96 == pytest.approx(ASKED.deviation * times**0.5)
        with pytest.raises(wr.InvalidInput, match="nothing of one hospital"):
            counts.weights()


def test_a_target_epsilon_is_met_with_shared_noise(tmp_path: Path) -> None:
    asked = study(tmp_path, secure_aggregation={"honest": 3})
    assert 0.49 < asked.cost().epsilon <= 0.5
    assert asked.cost().noise_multiplier > study(tmp_path).cost().noise_multiplier  # less is proven of sums


def test_what_a_hospital_could_not_do_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(wr.InvalidInput, match="no column height"):
        study(tmp_path, columns=["height"]).statistics(STAYS)
    with pytest.raises(wr.InvalidInput, match="encounters"):
        study(tmp_path, encounters=0).statistics(STAYS)
    with pytest.raises(wr.InvalidInput, match="either an epsilon"):
        study(tmp_path, noise_multiplier=2.0)


def test_means_and_counts_come_with_bands_that_hold_as_often_as_they_say() -> None:
    rng, truth = np.random.default_rng(1), np.array([900.0, 90.0, 100.0, 500.0, 400.0])
    true = [900, 50 + 50 * 90 / 800, 100, 500, 400]
    held = np.zeros(5)
    for _ in range(400):
        noisy = truth + rng.normal(0, ASKED.deviation, 5)
        table = wr.Counts(ASKED, {"do@north.org": noisy}).table()
        held += [low <= value <= high for value, low, high in zip(true, table["low"], table["high"], strict=True)]
    assert table["what"].tolist() == ["patients", "mean", "missing", "female", "male"]
    np.testing.assert_allclose(held / 400, 0.95, atol=0.04)


def test_all_hospitals_together_are_the_sum_with_all_their_noise() -> None:
    rows = {f"do@{name}.org": np.array([900.0, 90.0, 100.0, 500.0, 400.0]) for name in ("north", "south")}
    table = wr.Counts(ASKED, rows).table()
    both = table[table["hospital"] == "all"]
    assert both["value"].tolist() == [1800, pytest.approx(55.625), 200, 1000, 800]
    assert (both["high"] - both["value"]).iloc[0] == pytest.approx(1.96 * ASKED.deviation * 2**0.5)


def test_a_mean_of_too_few_is_not_told() -> None:
    table = wr.Counts(ASKED, {"do@north.org": np.array([12.0, 3.0, 2.0, -4.0, 10.0])}).table()
    assert table.set_index("what")["value"].isna().to_dict()["mean"]


def test_weights_for_averaging_are_the_noisy_counts() -> None:
    rows = {"do@north.org": np.array([900.0, 0, 0, 0, 0]), "do@south.org": np.array([-3.0, 0, 0, 0, 0])}
    assert wr.Counts(ASKED, rows).weights() == {"do@north.org": 900.0, "do@south.org": 1.0}


def test_one_answer_is_one_event_whatever_the_columns() -> None:
    assert ASKED.plan(1) == (Gaussian(4.0),)
