"""The invented images, and the study of them with the optional network, at a simulated hospital."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import researcher as wr
from datasites.wire.dictionary import Dictionary
from notebooks.imaging import synthetic
from policies.errors import InvalidInput

FOLDER = Path(__file__).parents[3] / "notebooks" / "imaging"


def test_a_hospitals_images_depend_on_its_name_and_size_and_no_other_hospital() -> None:
    both = synthetic.generate(["a", "b"], [30, 20], seed=1)
    pd.testing.assert_frame_equal(synthetic.generate(["b"], 20, seed=1)["b"], both["b"])
    assert both["a"]["radiograph"].map(len).eq(synthetic.SIZE**2).all()
    brightness = [np.frombuffer(b"".join(t["radiograph"]), np.uint8).mean() for t in both.values()]
    assert abs(brightness[0] - brightness[1]) > 1  # another scanner
    per_patient = both["a"].groupby("patient_id")["nodule"].nunique()
    assert per_patient.eq(1).all()
    with pytest.raises(InvalidInput):
        synthetic.generate(["a", "a"], 5, seed=1)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("monai") is None, reason="MONAI is not installed: pip install 'wardround[imaging]'")
def test_monais_network_trains_in_the_sandbox() -> None:
    tables = synthetic.generate(["a"], 150, seed=0)
    study = wr.Study("monai", "Test", FOLDER / "monai", "chest_images", 1, {"seed": 0, "split_seed": 0})
    result = wr.simulate(study, tables, Dictionary.load(FOLDER / "dictionary.toml"), processes=1)
    assert result.parameters["features.conv0.weight"].shape == (16, 1, 7, 7)
    assert result.per_hospital("loss")["a"] > 0
