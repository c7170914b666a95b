from __future__ import annotations

import researcher

PUBLIC = [
    "AsyncRounds",
    "CategoryInput",
    "Dataset",
    "FedAvg",
    "Federation",
    "InvalidInput",
    "Manifest",
    "NumberInput",
    "Optimizer",
    "PrivateScores",
    "PrivateStudy",
    "Refused",
    "Rehearsal",
    "RehearsalFailed",
    "Result",
    "RoundFailed",
    "Rounds",
    "Simulation",
    "Strategy",
    "Study",
    "StudyFailed",
    "Submission",
    "Target",
    "Unavailable",
    "WardroundError",
    "Watch",
    "auc_from_histogram",
    "connect",
    "contributions",
    "federated_auc",
    "privacy",
    "simulate",
]


def test_public_names_are_these() -> None:
    assert researcher.__all__ == PUBLIC
    assert all(hasattr(researcher, name) for name in PUBLIC)
