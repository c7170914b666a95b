from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import researcher

PUBLIC = [
    "Anchor",
    "AnchoredRounds",
    "AsyncRounds",
    "Bagging",
    "CategoryInput",
    "ClusteredRounds",
    "Counts",
    "Criterion",
    "CrossSite",
    "Cyclic",
    "Dataset",
    "Decay",
    "Exponential",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedYogi",
    "Federation",
    "Gossip",
    "GossipResult",
    "Gossiping",
    "Hierarchical",
    "IfcaResult",
    "IfcaRounds",
    "ImageInput",
    "InvalidInput",
    "Krum",
    "LocalModels",
    "Manifest",
    "Median",
    "MultiKrum",
    "Nation",
    "Neighbours",
    "NumberInput",
    "OneOrMany",
    "Optimizer",
    "Preprocessing",
    "PrivateMarginals",
    "PrivateScores",
    "PrivateStatistics",
    "PrivateStudy",
    "Refused",
    "RegionalAggregator",
    "Rehearsal",
    "RehearsalFailed",
    "Reputation",
    "Result",
    "Ring",
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
    "anchor",
    "auc_from_histogram",
    "begin_with",
    "collect",
    "connect",
    "contributions",
    "cross_site",
    "decay",
    "federated_auc",
    "flower_grid",
    "one_or_many",
    "pretrain",
    "privacy",
    "simulate",
    "statistics",
    "statistics_config",
]


HOW = """The public names of `researcher` have changed.
A new one: add it to PUBLIC here and to CHANGELOG.md, and give it a docstring; the site's reference is made of it.
One that goes: keep it for a minor version with a DeprecationWarning; CHANGELOG.md says what takes its place."""


def test_public_names_are_these() -> None:
    assert researcher.__all__ == PUBLIC, HOW
    assert [name for name in PUBLIC if not hasattr(researcher, name)] == [], HOW
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        researcher.nothing  # noqa: B018


def test_no_public_name_is_hidden_by_a_module_of_the_same_name() -> None:
    """An import of `researcher.x` would put the module where the function `x` is looked for."""
    modules = {path.stem for path in Path(researcher.__file__).parent.iterdir() if not path.name.startswith("_")}
    assert modules & set(PUBLIC) == {"privacy"}  # which is a module


HEAVY = {"torch", "numpy", "pandas", "matplotlib", "scipy", "sklearn", "syft", "sqlalchemy", "pydantic", "cryptography"}


@pytest.mark.parametrize("package", ["researcher", "datasites.cli"])
def test_an_import_loads_nothing_that_is_slow(package: str) -> None:
    """Help, completion and a notebook's first line must not wait. Import inside the function that needs it."""
    look = f"import sys, {package}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_study_of_code_needs_no_torch_in_the_notebook() -> None:
    """It takes seconds to load, and hospitals do the training."""
    look = "import sys, researcher as wr; wr.connect, wr.Study, wr.Rounds, wr.FedAvg; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
