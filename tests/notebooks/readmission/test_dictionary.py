from __future__ import annotations

from types import SimpleNamespace

from datasites.catalog.twin import mock_twin
from datasites.catalog.validate import check
from datasites.wire.dictionary import Dictionary


def test_lists_the_features_of_the_study_and_the_target(dictionary: Dictionary, code: SimpleNamespace) -> None:
    assert list(dictionary.columns) == [*code.features.FEATURES, code.features.TARGET]
    assert len(code.features.FEATURES) == 42
    assert (dictionary.table.patient_key, dictionary.table.target) == ("patient_id", code.features.TARGET)


def test_typical_values_are_the_scaling_of_the_study(dictionary: Dictionary, code: SimpleNamespace) -> None:
    for name, scaling in code.features.SCALING.items():
        column = dictionary.columns[name]
        assert scaling == (column.typical if column.type != "boolean" else (0, 1)), name


def test_the_study_runs_on_a_mock_twin(dictionary: Dictionary, code: SimpleNamespace) -> None:
    twin = mock_twin(dictionary, 500, seed=1)
    assert check(twin, dictionary) == []
    table = twin.drop(columns="patient_id").assign(patient=twin["patient_id"].factorize()[0])
    config = {"seed": 1, "split_seed": 1, "round": 1}
    trained, examples, _ = code.study.fit(code.study.initialize(config), table, config)
    assert examples > 200
    assert code.study.evaluate(trained, table, config)[0] > 50
