from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import researcher as wr
from researcher.topology.graph import Given, metropolis, spectral_gap


@st.composite
def connected(draw: st.DrawFn) -> dict[str, list[str]]:
    """A random tree with random links besides."""
    n = draw(st.integers(2, 12))
    neighbours: dict[str, list[str]] = {str(i): [str(draw(st.integers(0, i - 1)))] for i in range(1, n)}
    for one, other in draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=20)):
        if one != other:
            neighbours.setdefault(str(one), []).append(str(other))
    return neighbours


def matrix(graph: object, names: list[str]) -> np.ndarray:
    return metropolis(graph.links(names))  # type: ignore[attr-defined]


@given(connected(), st.data())
def test_weights_are_doubly_stochastic_and_symmetric_whoever_is_missing(
    neighbours: dict[str, list[str]], data: st.DataObject
) -> None:
    graph = Given(neighbours)
    names = sorted(graph.names)
    there = data.draw(st.lists(st.sampled_from(names), unique=True))
    for chosen in (names, there):
        w = matrix(graph, chosen)
        assert w.shape == (len(chosen), len(chosen))
        assert (w >= 0).all()
        assert w.sum(axis=0) == pytest.approx(np.ones(len(chosen)), abs=1e-12)
        assert w.sum(axis=1) == pytest.approx(np.ones(len(chosen)), abs=1e-12)
        assert (w == w.T).all()
    assert 0 < spectral_gap(matrix(graph, names)) <= 1 + 1e-12  # connected: agreement is reached


@pytest.mark.parametrize("n", range(2, 40))
def test_ring_and_exponential_graph_are_whole_and_have_their_degrees(n: int) -> None:
    names = [f"{i:02d}" for i in range(n)]
    ring, exponential = wr.Ring().links(names), wr.Exponential().links(names)
    assert set(ring.sum(axis=1)) == {min(2, n - 1)}
    assert len(set(exponential.sum(axis=1))) == 1
    assert exponential.sum(axis=1)[0] <= 2 * np.ceil(np.log2(n))
    assert spectral_gap(metropolis(ring)) > 0
    assert (exponential | ~ring).all()  # it has the ring's links, and more


def test_the_exponential_graph_agrees_faster_than_a_ring_and_a_full_one_at_once() -> None:
    names = [f"{i:02d}" for i in range(20)]
    full = {one: [other for other in names if other != one] for one in names}
    path = {f"{i:02d}": [f"{i + 1:02d}"] for i in range(19)}
    gaps = [spectral_gap(matrix(g, names)) for g in (Given(path), wr.Ring(), wr.Exponential(), Given(full))]
    assert gaps == sorted(gaps)
    assert gaps[2] > 10 * gaps[1]
    assert gaps[3] == pytest.approx(1)
    # a ring's eigenvalues are known: (1 + 2 cos(2 pi k / n)) / 3
    assert gaps[1] == pytest.approx(2 / 3 * (1 - np.cos(2 * np.pi / 20)))


def test_a_graph_that_falls_into_parts_is_refused() -> None:
    with pytest.raises(wr.InvalidInput, match=r"no way leads from east, north to south, west"):
        Given({"east": ["north"], "west": ["south"]})
    with pytest.raises(wr.InvalidInput, match="east is its own neighbour"):
        Given({"east": ["east", "north"]})
