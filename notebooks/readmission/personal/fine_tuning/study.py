"""Predict readmission within 30 days: train together, then let each hospital tune its own copy.

Training is that of `plain`, the plain study. Before the test, the hospital trains its copy of the model for some epochs
on its own training patients; the copy is dropped after the test, and nothing of it leaves but the test's numbers. With
`tuning_epochs` of 0 the test is that of the global model. The test of round 0 is that of a model which only this
hospital has trained: with many epochs, the local-only model to compare with.

`config` is as in `plain`, and tuning_epochs: 1 if left out.
"""

import network
import numpy as np
import pandas as pd
import plain

initialize, fit = plain.initialize, plain.fit


def evaluate(
    parameters: network.Arrays, table: pd.DataFrame, config: dict
) -> tuple[int, dict[str, float | np.ndarray]]:
    """Tunes a copy on the training patients, and tests it on the test patients."""
    epochs = config.get("tuning_epochs", 1)
    tuned = plain.fit(parameters, table, {**config, "local_epochs": epochs})[0] if epochs else parameters
    return plain.evaluate(tuned, table, config)
