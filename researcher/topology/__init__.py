"""Ways for a study's state to travel: through one centre (`Rounds`), a tree, a network, or from hospital to hospital.

All are `Rounds` with some of its methods replaced, so they share its journal, its resuming, its records and `run()`.
"""

from researcher.topology.cyclic import Cyclic
from researcher.topology.gossip import Gossip, GossipResult
from researcher.topology.gossiping import Gossiping
from researcher.topology.graph import Exponential, Ring
from researcher.topology.hierarchical import Hierarchical
from researcher.topology.national import Nation
from researcher.topology.neighbours import Neighbours
from researcher.topology.regional import RegionalAggregator

__all__ = [
    "Cyclic",
    "Exponential",
    "Gossip",
    "GossipResult",
    "Gossiping",
    "Hierarchical",
    "Nation",
    "Neighbours",
    "RegionalAggregator",
    "Ring",
]
