from __future__ import annotations

from pathlib import Path

import researcher as wr


def test_planning_without_a_hospital(tmp_path: Path) -> None:
    plan = wr.privacy.Plan.training(3, 10, 0.02, 1.0)
    noise = wr.privacy.noise_for(0.5, 1e-5, plan, tmp_path)
    asked = wr.privacy.what_if(3, 10, 0.02, 1e-5, epsilon=0.5, home=tmp_path)
    assert asked.noise_multiplier == noise
    assert wr.privacy.what_if(3, 10, 0.02, 1e-5, noise_multiplier=noise).epsilon == asked.epsilon <= 0.5
    assert f"noise multiplier {noise:g} cost epsilon" in asked._repr_html_()
    assert [path.name for path in tmp_path.iterdir()] == ["noise.json"]
