"""The researcher's library: connect to a federation, rehearse a study, submit it, run its rounds, see the result."""

from typing import TYPE_CHECKING

from researcher.lazily import lazily

if TYPE_CHECKING:  # a new name goes here and into __all__, and is loaded when it is first used
    from datasites.wire.manifest import Manifest
    from datasites.wire.preparation import CategoryInput, ImageInput, NumberInput, Target
    from datasites.wire.training import Optimizer
    from policies.errors import InvalidInput, Refused, Unavailable, WardroundError
    from researcher import privacy
    from researcher.anchors import Anchor, anchor
    from researcher.asynchronous import AsyncRounds
    from researcher.clustering import ClusteredRounds, Criterion
    from researcher.contribution import contributions
    from researcher.crossing import CrossSite, LocalModels, cross_site
    from researcher.dataset import Dataset
    from researcher.errors import RehearsalFailed, RoundFailed, StudyFailed
    from researcher.federated_statistics import Statistics, statistics
    from researcher.federation import Federation, connect
    from researcher.flower import flower_grid
    from researcher.free_riders import Watch
    from researcher.ifca import IfcaResult, IfcaRounds
    from researcher.metrics import auc_from_histogram, federated_auc
    from researcher.model_decay import Decay, decay
    from researcher.preprocessing import Preprocessing
    from researcher.pretraining import AnchoredRounds, begin_with, pretrain
    from researcher.private_marginals import PrivateMarginals
    from researcher.private_metrics import PrivateScores
    from researcher.private_statistics import Counts, PrivateStatistics, collect
    from researcher.private_study import PrivateStudy
    from researcher.rehearsal import Rehearsal
    from researcher.reputation import Reputation
    from researcher.result import Result
    from researcher.rounds import Rounds
    from researcher.simulation import Simulation, simulate
    from researcher.strategies import (
        Bagging,
        FedAdagrad,
        FedAdam,
        FedAvg,
        FedAvgM,
        FedYogi,
        Krum,
        Median,
        MultiKrum,
        Scaffold,
        Strategy,
        TrimmedMean,
    )
    from researcher.study import Study
    from researcher.submission import Submission
    from researcher.topology import (
        Cyclic,
        Exponential,
        Gossip,
        Gossiping,
        GossipResult,
        Hierarchical,
        Nation,
        Neighbours,
        RegionalAggregator,
        Ring,
    )
    from researcher.variables import statistics_config
    from researcher.verdict import OneOrMany, one_or_many

if not TYPE_CHECKING:  # where a name that is not there is an error
    __getattr__ = lazily(__name__, __file__)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
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
