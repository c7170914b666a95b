"""Server strategies: how hospitals' updates become the next global state. One file each."""

from researcher.strategies.bagging import Bagging
from researcher.strategies.base import Aggregation, Strategy, Update
from researcher.strategies.fedadagrad import FedAdagrad
from researcher.strategies.fedadam import FedAdam
from researcher.strategies.fedavg import FedAvg
from researcher.strategies.fedavgm import FedAvgM
from researcher.strategies.fedyogi import FedYogi
from researcher.strategies.krum import Krum, MultiKrum
from researcher.strategies.median import Median
from researcher.strategies.scaffold import Scaffold
from researcher.strategies.trimmed_mean import TrimmedMean

__all__ = [
    "Aggregation",
    "Bagging",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "FedYogi",
    "Krum",
    "Median",
    "MultiKrum",
    "Scaffold",
    "Strategy",
    "TrimmedMean",
    "Update",
]
