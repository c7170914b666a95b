from __future__ import annotations

import researcher

PUBLIC = [
    "Dataset",
    "FedAvg",
    "Federation",
    "InvalidInput",
    "Manifest",
    "Refused",
    "Rehearsal",
    "RehearsalFailed",
    "Result",
    "RoundFailed",
    "Rounds",
    "Strategy",
    "Study",
    "StudyFailed",
    "Submission",
    "Unavailable",
    "WardroundError",
    "auc_from_histogram",
    "connect",
    "federated_auc",
    "privacy",
]


def test_public_names_are_these() -> None:
    assert researcher.__all__ == PUBLIC
    assert all(hasattr(researcher, name) for name in PUBLIC)
