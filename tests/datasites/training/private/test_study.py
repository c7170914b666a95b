from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from datasites.training.private.study import TrustedStudy
from datasites.wire.contract import array_problems
from datasites.wire.outputs import private_outputs
from tests.support.private import state, training


def view(patients: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns = {f"x{number}": rng.normal(size=patients) for number in range(3)}
    return pd.DataFrame({**columns, "y": rng.integers(0, 2, patients), "patient": np.arange(patients)})


@pytest.mark.parametrize("patients", [0, 1, 300])
def test_what_is_returned_has_the_contracts_shapes_and_no_count_of_patients(patients: int) -> None:
    asked = training()
    study = TrustedStudy(asked, view(patients))
    parameters, weight, metrics = study.fit(state())
    assert array_problems(parameters, private_outputs(asked).parameters) == []
    assert (weight, metrics) == (50, {})  # the manifest's public constant, and nothing of the training rows
    tested, scores = study.evaluate(parameters)
    assert array_problems(scores, private_outputs(asked).evaluate_arrays) == []
    assert tested == max(1, scores["score_histogram"].sum())  # of the noisy counts, not of the patients


def test_training_does_not_look_at_test_patients() -> None:
    from datasites.training.prepare import prepare
    from datasites.training.private.loop import train
    from datasites.training.private.patients import Patients, split
    from datasites.training.private.randomness import SecureRandom

    asked = training(sampling_rate=1.0)
    table = view(200)
    _, test = split(prepare(table, asked.preparation))
    spoilt = table.copy()
    spoilt.loc[spoilt["patient"].isin(test.patients), ["x0", "x1", "x2"]] = 1e9
    states = [
        train(state(), Patients(split(prepare(one, asked.preparation))[0], 2), asked, SecureRandom(b"k" * 32))
        for one in (table, spoilt)
    ]
    assert np.array_equal(states[0]["weight"], states[1]["weight"])
