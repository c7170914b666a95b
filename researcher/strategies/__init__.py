"""Server strategies: how hospitals' updates become the next global state. One file each."""

from researcher.strategies.base import Aggregation, Strategy, Update
from researcher.strategies.fedavg import FedAvg
from researcher.strategies.scaffold import Scaffold

__all__ = ["Aggregation", "FedAvg", "Scaffold", "Strategy", "Update"]
