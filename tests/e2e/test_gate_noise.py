"""Study code under a policy with gate noise, over a real agent: charged, noisy, told, and refused when all is spent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import researcher as wr
from policies.privacy.accounting import epsilon
from policies.privacy.plan import Plan
from policies.privacy.renyi import admission_epsilon
from tests.support.federation import PATIENCE, POLICY, World

DELTA, CLIP, NOISE, ROUNDS, NUMBERS = 1e-6, 2.0, 16.0, 2, 400
CODE = f"""
import numpy as np


def initialize(config):
    return {{"w": np.zeros({NUMBERS})}}


def fit(parameters, table, config):
    return {{"w": parameters["w"] + table["days"].sum()}}, len(table), {{}}


def evaluate(parameters, table, config):
    return len(table), {{}}
"""


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[World]:
    """One hospital whose policy adds noise, and whose budget is enough for one such study and not for two."""
    policy = tmp_path / "noisy.toml"
    text = POLICY.read_text().replace("decimals = 10", f"decimals = 10\nmax_update_norm = {CLIP}\ngate_noise = {NOISE}")
    policy.write_text(text.replace("epsilon_per_study = 3", "epsilon_per_study = 1").replace("total = 10", "total = 1"))
    world = World(tmp_path, sites=1)
    world.hospitals[0].datasite.set_policy("stays", policy)
    try:
        yield world.open()
    finally:
        world.close()


def submitted(ward: World, name: str) -> wr.Submission:
    code = ward.root / "code"
    code.mkdir(exist_ok=True)
    (code / "study.py").write_text(CODE)
    asked = ward.study(ROUNDS, name=name, code=code)
    submission = ward.researcher.submit(asked, ward.researcher.rehearse(asked))
    ward.hospitals[0].approve(submission)
    submission.wait(timeout=PATIENCE)
    return submission


@pytest.mark.slow
def test_rounds_are_noisy_and_charged_until_nothing_is_left(ward: World) -> None:
    ledger = ward.hospitals[0].datasite.state.ledger
    first = submitted(ward, "first")
    told = " ".join(first.noise())
    assert f"shortened, as a whole, to a distance of at most {CLIP:g}" in told
    assert f"{NUMBERS} numbers gets noise of standard deviation {NOISE * CLIP:g}" in told
    assert f"off by about {NOISE * CLIP * ROUNDS**0.5:.3g}" in told
    assert "adds noise to each round" in first._repr_html_()

    result = wr.Rounds(first).run()
    assert not any(result.hospitals["problem"])
    assert set(result.hospitals["train_examples"].dropna()) <= {1}  # not the table's 30
    spread = NOISE * CLIP * ROUNDS**0.5
    assert np.std(result.parameters["w"]) == pytest.approx(spread, rel=6 / (2 * NUMBERS) ** 0.5)
    assert abs(np.mean(result.parameters["w"])) < 6 * spread / NUMBERS**0.5 + CLIP
    assert ledger.spent("stays", study=first.digest) == Plan.gate_noise(ROUNDS, NOISE).events
    assert "adds noise to each round" in result._repr_html_()

    spent = ledger.spent("stays")
    assert epsilon(spent, DELTA) < admission_epsilon(spent, DELTA) <= 1
    second = submitted(ward, "second")
    with pytest.raises(wr.RoundFailed, match="privacy budget"):
        wr.Rounds(second).run()
    assert ledger.spent("stays") == spent
