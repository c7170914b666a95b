"""Models as data: a closed list of operations on one row at a time."""

from datasites.wire.graph import layers
from datasites.wire.graph.base import Node, Value
from datasites.wire.graph.graph import Graph, Input, Operation

__all__ = ["Graph", "Input", "Node", "Operation", "Value", "layers"]
