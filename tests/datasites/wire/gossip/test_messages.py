"""What there is to do in a round, which both sides read from the manifest alone."""

from __future__ import annotations

import pytest

from datasites.wire.gossip.messages import due
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import private_outputs
from datasites.wire.training import Training
from tests.datasites.wire.test_manifest import SUM, manifest
from tests.support.private import training

LINKS = [["do@h0.org", "do@h1.org"], ["do@h1.org", "do@h2.org"]]


def asked(every: int, **changes: object) -> Manifest:
    network = {"hospitals": SUM, "links": LINKS, "report_every": every}
    return manifest(gossip=network, rounds=5, **changes)


def days(study: Manifest) -> list[tuple[int, bool]]:
    """Rounds that are reported, and whether the model is tested then; the sixth is the last report."""
    found = [(number, due(study, number, number == 6)) for number in range(1, 7)]
    assert [one.fit for _, one in found] == [True] * 5 + [False]
    return [(number, one.evaluate) for number, one in found if one.report]


def private(times: int) -> Manifest:
    spent: Training = training()
    assert spent.evaluation
    spent = spent.model_copy(update={"evaluation": spent.evaluation.model_copy(update={"times": times})})
    return asked(
        2,
        tier="private",
        training=spent.model_dump(mode="json"),
        files={},
        config={},
        columns=list(spent.columns),
        outputs=private_outputs(spent).model_dump(mode="json"),
    )


def test_models_are_reported_as_often_as_was_approved() -> None:
    assert days(asked(0)) == [(6, True)]
    assert days(asked(2)) == [(3, True), (5, True), (6, True)]
    assert days(asked(1)) == [(number, True) for number in (2, 3, 4, 5, 6)]


def test_the_private_tier_tests_only_what_is_paid_for() -> None:
    assert days(private(times=1)) == [(3, False), (5, False), (6, True)]
    assert days(private(times=6)) == [(3, True), (5, True), (6, True)]


@pytest.mark.parametrize(
    "changes",
    [
        {"secure_aggregation": {"hospitals": SUM}},
        {"state_compression": "int8+zstd"},
        {"gossip": {"hospitals": SUM, "links": LINKS[:1]}},
        {"gossip": {"hospitals": SUM, "links": LINKS, "deadline": 0.0}},
        {"gossip": {"hospitals": SUM, "links": LINKS, "shape": "ring"}},
    ],
)
def test_what_cannot_be_mixed_is_no_study(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"leave out|greater than|Extra inputs|falls into parts"):
        manifest(**{"gossip": {"hospitals": SUM, "links": LINKS}, **changes})


def test_what_could_leave_counts_what_goes_to_neighbours() -> None:
    alone = manifest()
    assert asked(0).max_bytes == alone.outputs.max_bytes + 2 * alone.outputs.parameter_bytes
