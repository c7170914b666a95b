"""Compressed models at a hospital: what can be read of them keeps to the policy, and nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from datasites.release.rules.norm import update_norm
from datasites.wire.compression import read_update
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.reasons import Reason
from datasites.wire.rounds import decode_reply
from tests.attacks.outputs.ward import POLICY, Ward

CODE = b"""
import numpy as np

def fit(parameters, table, config, kept):
    print("given", sorted(kept), flush=True)
    w = parameters["w"] + np.float32(0.1) * np.random.default_rng(1).normal(size=1000).astype(np.float32)
    seen = kept.get("seen", np.zeros(1)) + 1
    left = {"seen": seen} if config.get("keeps", KEEPS) else {}
    return {"w": w, "n": parameters["n"]}, len(table), {}, left

def evaluate(parameters, table, config):
    return len(table), {}
"""
ALLOWED = POLICY.replace("megabytes_per_round = 1", "megabytes_per_round = 1, kept_megabytes = 1")
SHAPES = {"w": ArraySpec(shape=(1000,), dtype="float32"), "n": ArraySpec(shape=(), dtype="int64")}
SENT = {"w": np.linspace(-2, 2, 1000, dtype=np.float32), "n": np.asarray(3)}
Open = Callable[..., Ward]


@pytest.fixture
def open_ward(tmp_path: Path) -> Iterator[Open]:
    wards: list[Ward] = []

    def make(compression: str, policy: str = ALLOWED, keeps: bool = False, rounds: int = 100) -> Ward:
        contract = OutputContract(
            parameters=SHAPES,
            fit_metrics=(),
            evaluate_metrics=(),
            evaluate_arrays={},
            kept={"seen": ArraySpec(shape=(1,), dtype="float64")} if keeps else {},
            compression=compression,
        )
        code = CODE.replace(b"KEEPS", str(keeps).encode())
        wards.append(Ward(tmp_path / str(len(wards)), policy, rounds, code, contract))
        wards[-1].sent = SENT
        return wards[-1]

    yield make
    for ward in wards:
        ward.close()


def trained() -> np.ndarray:
    """The change that the study's code makes in each round."""
    moved = np.float32(0.1) * np.random.default_rng(1).normal(size=1000).astype(np.float32)
    return (SENT["w"] + moved).astype(np.float64) - SENT["w"]


def read(ward: Ward) -> tuple[np.ndarray, int]:
    """The change that the researcher reads of a round, and the bytes it took."""
    reply, message, _ = decode_reply(ward.round(evaluate=False).plaintext)
    assert reply.reason is None
    arrays = read_update(ward.manifest.outputs, message, SENT)
    assert arrays["n"] == 3
    return arrays["w"].astype(np.float64) - SENT["w"], message["compressed"].nbytes


def test_what_feedback_leaves_out_of_one_round_leaves_in_the_next_and_nothing_is_lost(open_ward: Open) -> None:
    ward = open_ward("delta+feedback+topk(0.1)+int8+zstd", keeps=True)
    total = np.zeros(1000)
    for _ in range(3):
        change, size = read(ward)
        assert np.count_nonzero(change) <= 100
        assert size <= ward.manifest.outputs.parameter_bytes < 600
        total += change
    left = ward.kept.load()["compression/w"]
    wanted = 3 * trained()
    np.testing.assert_allclose(total + left, wanted, atol=1e-5)
    assert np.linalg.norm(left) > 0.1
    log = (ward.bench.folder / "study.log").read_text()
    assert log.count("given ['seen']") == 2  # the code has no hand on what compression keeps
    assert "compression/" not in log


def test_feedback_never_lets_a_round_move_further_than_the_policy_says(open_ward: Open) -> None:
    """Training moves 3.2 in each round; what stays of one adds to the next."""
    ward = open_ward("delta+feedback+topk(0.2)+int8", ALLOWED.replace("max_update_norm = 10", "max_update_norm = 3.3"))
    norms = [float(np.linalg.norm(read(ward)[0])) for _ in range(4)]
    assert max(norms) <= 3.3
    assert norms[-1] > 3.29  # and would be further still: what is left is more than that
    assert np.linalg.norm(ward.kept.load()["compression/w"]) > 3.3


def test_the_bound_holds_for_what_is_read_where_a_rounding_would_break_it(open_ward: Open) -> None:
    norm = update_norm({"w": (SENT["w"] + trained()).astype(np.float32)}, {"w": SENT["w"]})
    bound = ALLOWED.replace("max_update_norm = 10", f"max_update_norm = {norm * (1 + 1e-5)}")
    ward = open_ward("delta+int4", bound)
    change, _ = read(ward)
    assert 0.9 * norm < np.linalg.norm(change) <= norm * (1 + 1e-5)
    # without delta a model cannot be shortened towards what was sent, and four bits move this one by far more
    assert open_ward("int4", bound).round(evaluate=False).outcome == Reason.NORM


def test_bytes_and_what_stays_count_as_the_policy_says(open_ward: Open) -> None:
    small = ALLOWED.replace("megabytes_per_round = 1,", "megabytes_per_round = 0.001,")
    assert open_ward("delta+topk(0.1)+int8", small).round(evaluate=False).outcome == "released"  # 4,008 bytes as it is
    assert open_ward("half", small).round(evaluate=False).outcome == Reason.OUTPUTS
    nothing = ALLOWED.replace("kept_megabytes = 1", "kept_megabytes = 0.001")
    assert open_ward("delta+feedback+int8", nothing).round(evaluate=False).outcome == Reason.OUTPUTS


def test_gate_noise_is_compressed_as_it_leaves(open_ward: Open) -> None:
    noisy = f"{ALLOWED}gate_noise = 30\n[budget]\nepsilon_per_study = 3\nepsilon_total = 10\ndelta = 1e-6\n"
    ward = open_ward("delta+feedback+int8", noisy, rounds=5)
    first, _ = read(ward)
    assert 250 < np.std(first) < 350  # of 10 * 30, at each number
    left = ward.kept.load()["compression/w"]
    assert 0 < np.abs(left).max() <= np.abs(first).max() / 127
