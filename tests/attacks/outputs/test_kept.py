"""What a study keeps between rounds: only what was approved, only for itself, and exactly what its last answer left."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from datasites.agent.kept import Kept
from datasites.release.held import held_outputs
from datasites.wire.arrays import pack
from datasites.wire.outputs import ArraySpec
from datasites.wire.reasons import Reason
from datasites.wire.rounds import decode_reply
from tests.attacks.outputs.ward import CONTRACT, POLICY, Ward

HOARDING = (Path(__file__).parent / "hoarding" / "study.py").read_bytes()
KEEPS = CONTRACT.model_copy(update={"kept": {"seen": ArraySpec(shape=(4,), dtype="float64")}})
ALLOWED = POLICY.replace("megabytes_per_round = 1", "megabytes_per_round = 1, kept_megabytes = 1")
COVERED = f"{ALLOWED}gate_noise = 30\n[budget]\nepsilon_per_study = 3\nepsilon_total = 10\ndelta = 1e-6\n"
REFUSED = {4: Reason.BAD_OUTPUT, 7: Reason.BAD_OUTPUT, 8: Reason.BAD_OUTPUT}  # all others: CONTRACT


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    ward = Ward(tmp_path / "home", ALLOWED, code=HOARDING, contract=KEEPS)
    yield ward
    ward.close()


def sent(ward: Ward, **options: bool) -> float:
    """The count that an honest round sends."""
    _, parameters, _ = decode_reply(ward.round(**options).plaintext)
    return float(parameters["w"][0])


def files(ward: Ward) -> list[Path]:
    folder = ward.bench.folder / "kept"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_what_one_round_leaves_the_next_is_given_and_nobody_else_can_read(ward: Ward) -> None:
    assert [sent(ward), sent(ward), sent(ward)] == [1, 2, 3]
    (file,) = files(ward)
    assert file.name == "000003.safetensors"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    log = (ward.bench.folder / "study.log").read_text()
    assert "fit 1 given []" in log
    assert "fit 2 given ['seen']" in log


def test_what_was_not_approved_is_not_kept(ward: Ward) -> None:
    assert sent(ward) == 1
    before = files(ward)[0].read_bytes()
    for act in range(1, 9):
        answer = ward.round(act)
        assert (act, answer.outcome) == (act, REFUSED.get(act, Reason.CONTRACT))
        assert decode_reply(answer.plaintext)[1] == {}
        assert [path.read_bytes() for path in files(ward)] == [before]
    assert sent(ward) == 2  # the rounds that failed have not counted


def test_a_study_that_declares_nothing_keeps_nothing(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "home", ALLOWED, code=HOARDING)
    try:
        assert [ward.round().outcome, ward.round().outcome] == [Reason.CONTRACT, Reason.CONTRACT]
        assert files(ward) == []
        assert "given ['seen']" not in (ward.bench.folder / "study.log").read_text()
    finally:
        ward.close()


def test_the_policy_of_the_moment_says_how_much_may_be_kept(ward: Ward) -> None:
    ward.policy(POLICY)
    assert ward.round().outcome == Reason.OUTPUTS
    assert files(ward) == []
    ward.policy(ALLOWED)
    assert sent(ward) == 1


def test_what_is_kept_is_no_part_of_what_leaves(ward: Ward) -> None:
    assert ward.round().outcome == "released"
    assert KEEPS.max_bytes == CONTRACT.max_bytes
    _, parameters, arrays = decode_reply(ward.round().plaintext)
    assert (parameters.keys(), arrays.keys()) == (CONTRACT.parameters.keys(), CONTRACT.evaluate_arrays.keys())


def test_what_was_tampered_with_is_refused_and_nothing_runs(ward: Ward) -> None:
    assert sent(ward) == 1
    earlier = files(ward)[0].read_bytes()
    assert sent(ward) == 2
    file = files(ward)[0]
    true = file.read_bytes()
    another_studys = pack({"study": "b" * 64, "round": 2}, {"seen": np.full(4, 2.0)})
    for other in (true[:-1] + bytes([true[-1] ^ 1]), true[:-1], b"", earlier, another_studys):
        file.write_bytes(other)
        assert ward.round().outcome == Reason.KEPT
    file.unlink()
    assert ward.round().outcome == Reason.KEPT
    assert "fit 3" not in (ward.bench.folder / "study.log").read_text()
    assert ward.state.failed(ward.manifest.digest, ward.state.decisions()[0].decision.decided_at) == 0
    file.write_bytes(true)
    assert sent(ward) == 3


def test_what_no_answer_speaks_of_is_nobodys(ward: Ward) -> None:
    """As left by a crash between the file and the answer."""
    assert sent(ward) == 1
    ward.kept._write(2, {"seen": np.full(4, 99.0)})
    assert sent(ward) == 2
    assert len(files(ward)) == 1


def test_another_study_is_given_nothing_of_it(ward: Ward) -> None:
    assert sent(ward) == 1
    other = ward.manifest.model_copy(update={"repetition": 2})
    assert Kept(ward.home.study(other.digest), ward.state, other).load() == {}
    assert Kept(ward.bench.folder, ward.state, other).load() == {}


def test_what_a_study_kept_goes_when_it_ends_and_it_does_not_begin_anew(ward: Ward) -> None:
    assert sent(ward) == 1
    ward.kept.end()
    assert files(ward) == []
    ward.kept.end()
    assert ward.round().outcome == Reason.KEPT
    rows = ward.state.audit.rows("SELECT count(*) FROM kept WHERE digest IS NULL")
    assert rows[0][0] == 1


def test_a_study_that_ended_before_its_first_round_has_lost_nothing(ward: Ward) -> None:
    ward.kept.end()
    assert sent(ward) == 1


def test_it_goes_with_the_last_evaluation(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "home", ALLOWED, rounds=2, code=HOARDING, contract=KEEPS)
    try:
        assert [sent(ward), sent(ward)] == [1, 2]
        assert len(files(ward)) == 1
        assert ward.round(fit=False).outcome == "released"
        assert files(ward) == []
    finally:
        ward.close()


def test_with_gate_noise_it_stays_without_noise_and_tells_nobody_whether_it_was_taken(tmp_path: Path) -> None:
    ward = Ward(tmp_path / "home", COVERED, code=HOARDING, contract=KEEPS, rounds=12)
    try:
        size = []
        for act in (4, 0, 4, 0):
            before = ward.state.audit.size
            answer = ward.round(act, evaluate=False)
            size.append(ward.state.audit.size - before)
            _, parameters, _ = decode_reply(answer.plaintext)
            assert answer.outcome == "released"
            assert float(parameters["w"][0]) not in (0.0, 1.0, 2.0)
        assert len(set(size)) == 1
        assert ward.kept.load()["seen"].tolist() == [2.0] * 4  # the two that were refused left the rest as it was
        assert [entry for entry in ward.state.audit.entries() if "kept" in str(entry)] == []
        assert len(held_outputs(ward.home.held)) == 2
    finally:
        ward.close()
