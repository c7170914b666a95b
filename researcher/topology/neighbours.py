"""How a study asks for training without a centre."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from datasites.wire.gossip.network import Network
from policies.errors import InvalidInput
from researcher.topology.graph import Exponential, Given, Graph, Ring

_NAMED: dict[str, type[Ring] | type[Exponential]] = {"ring": Ring, "exponential": Exponential}
Drawn = str | Ring | Exponential | Given | Mapping[str, Iterable[str]] | Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Neighbours:
    """Hospitals send their models to their neighbours themselves, through boxes of their own in the store; nothing of a
    round goes through the researcher. Run it with `Gossiping`.

    graph: "ring", "exponential" (`Ring()` and `Exponential()` are the same), the neighbours of each hospital, or the
    pairs of those that are linked; hospitals by short name or address.
    deadline: seconds that a hospital waits in a round for a neighbour's model, from when its own is sent.
    report_every: rounds between reports of each hospital's model, and its test there, to you; 0: only at the end.
    """

    graph: Drawn = "ring"
    deadline: float = 600
    report_every: int = 0

    def drawn(self) -> Graph:
        """The graph that is meant. Raises InvalidInput for none that is known."""
        graph = self.graph
        if isinstance(graph, Ring | Exponential | Given):
            return graph
        if isinstance(graph, str):
            if graph not in _NAMED:
                raise InvalidInput(f"There is no graph {graph!r}.", f"Known are: {', '.join(_NAMED)}.")
            return _NAMED[graph]()
        if isinstance(graph, Mapping):
            return Given(graph)
        given: dict[str, list[str]] = {}
        for one, other in graph:
            given.setdefault(one, []).append(other)
        return Given(given)

    def network(self, hospitals: Mapping[str, str], label: Callable[[str], str]) -> Network:
        """What the manifest says of it. hospitals: fingerprints by address. label: an address's short name.

        Raises InvalidInput where the graph does not name them all, or cannot be used.
        """
        graph, order = self.drawn(), sorted(hospitals)
        names = order
        if isinstance(graph, Given):
            names = [label(one) if label(one) in graph.names else one for one in order]
            if missing := [label(one) for one, name in zip(order, names, strict=True) if name not in graph.names]:
                raise InvalidInput(f"{', '.join(missing)} is not in the graph.", "Name every hospital there.")
            if unknown := sorted(graph.names - set(names)):
                raise InvalidInput(f"The graph names {', '.join(unknown)}, which shows no such dataset.")
        pairs = np.argwhere(np.triu(graph.links(names)))
        try:
            return Network(
                hospitals=dict(hospitals),
                links=tuple((order[i], order[j]) for i, j in pairs),
                deadline=float(self.deadline),
                report_every=self.report_every,
            )
        except ValidationError as error:
            wrong = "; ".join(e["msg"] for e in error.errors(include_input=False))
            raise InvalidInput(f"Hospitals cannot train in this network: {wrong}.") from None
