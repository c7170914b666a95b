from __future__ import annotations

import researcher

PUBLIC = [
    "AsyncRounds",
    "CategoryInput",
    "Counts",
    "Dataset",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedYogi",
    "Federation",
    "InvalidInput",
    "Krum",
    "Manifest",
    "Median",
    "MultiKrum",
    "NumberInput",
    "Optimizer",
    "PrivateScores",
    "PrivateStatistics",
    "PrivateStudy",
    "Refused",
    "Rehearsal",
    "RehearsalFailed",
    "Result",
    "RoundFailed",
    "Rounds",
    "Scaffold",
    "Simulation",
    "Statistics",
    "Strategy",
    "Study",
    "StudyFailed",
    "Submission",
    "Target",
    "TrimmedMean",
    "Unavailable",
    "WardroundError",
    "Watch",
    "auc_from_histogram",
    "collect",
    "connect",
    "contributions",
    "federated_auc",
    "privacy",
    "simulate",
    "statistics",
    "statistics_config",
]


def test_public_names_are_these() -> None:
    assert researcher.__all__ == PUBLIC
    assert all(hasattr(researcher, name) for name in PUBLIC)
