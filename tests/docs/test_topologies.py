from __future__ import annotations

from pathlib import Path

import pytest

import researcher as wr
from researcher.topology.graph import metropolis, spectral_gap

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "topologies.md").read_text()


@pytest.mark.parametrize("n", [5, 10, 20, 50])
def test_the_page_says_how_fast_networks_agree(n: int) -> None:
    names = [f"{i:02d}" for i in range(n)]
    links = [graph.links(names) for graph in (wr.Ring(), wr.Exponential())]
    cells = [f"{int(one.sum(axis=1)[0])} | {spectral_gap(metropolis(one)):.3f}" for one in links]
    assert f"| {n} | {' | '.join(cells)} |" in PAGE


def test_every_topology_is_on_the_page_and_the_page_is_found() -> None:
    named = "Rounds Hierarchical Nation RegionalAggregator Gossip Ring Exponential Gossiping Neighbours Cyclic"
    for name in named.split():
        assert f"wr.{name}" in PAGE
    assert "(topologies.md)" in (DOCS / "strategies.md").read_text()
