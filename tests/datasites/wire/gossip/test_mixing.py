"""Mixing at each hospital alone is the mixing of all: symmetric, doubly stochastic weights, whoever is missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasites.wire.gossip.mixing import mean_arrays, mixed_arrays
from datasites.wire.gossip.network import Network


def network(links: list[tuple[int, int]], size: int) -> Network:
    names = [f"do@h{i:02d}.org" for i in range(size)]
    return Network(
        hospitals={name: " ".join([f"{i:04x}"] * 8) for i, name in enumerate(names)},
        links=tuple(sorted((names[min(pair)], names[max(pair)]) for pair in set(map(tuple, map(sorted, links))))),
    )


@given(st.integers(2, 9), st.data())
def test_mixing_keeps_the_mean_whoever_is_missing(size: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    links = [(i, i + 1) for i in range(size - 1)]
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] != pair[1])
    net = network([*links, *data.draw(st.lists(pairs, max_size=12))], size)
    models = {name: {"w": rng.normal(size=5)} for name in net.hospitals}
    there = data.draw(st.lists(st.sampled_from(sorted(models)), unique=True))
    after = dict(models)
    for name in there:
        heard = {other: models[other] for other in net.neighbours(name) if other in there}
        after[name] = mixed_arrays(models[name], heard, net.weights(name))
    before, now = (np.mean([model["w"] for model in of.values()], axis=0) for of in (models, after))
    np.testing.assert_allclose(now, before, atol=1e-12)
    for name in net.hospitals:
        weights = net.weights(name)
        assert all(weights[other] == net.weights(other)[name] for other in weights)
        assert 1 - sum(weights.values()) + 1e-12 > 0


def test_agreement_is_reached_at_the_mean() -> None:
    net = network([(0, 1), (1, 2), (2, 3)], 4)
    models = {name: {"w": np.full(3, float(i))} for i, name in enumerate(sorted(net.hospitals))}
    for _ in range(200):
        models = {
            name: mixed_arrays(model, {n: models[n] for n in net.neighbours(name)}, net.weights(name))
            for name, model in models.items()
        }
    for model in models.values():
        np.testing.assert_allclose(model["w"], 1.5, atol=1e-9)


def test_whole_numbers_are_rounded_and_types_are_kept() -> None:
    own = {"w": np.zeros(2, np.float16), "n": np.asarray(1), "on": np.asarray(True)}
    heard = {"do@b.org": {"w": np.ones(2, np.float16), "n": np.asarray(4), "on": np.asarray(False)}}
    out = mixed_arrays(own, heard, {"do@b.org": 0.5})
    assert {name: array.dtype.name for name, array in out.items()} == {"w": "float16", "n": "int64", "on": "bool"}
    assert out["w"].tolist() == [0.5, 0.5]
    assert out["n"] == 2  # 2.5, to even
    assert own["w"].tolist() == [0, 0]
    assert mean_arrays({"a": own, **heard})["w"].tolist() == [0.5, 0.5]


def test_what_no_hospital_could_hold_itself_to_is_refused() -> None:
    a, b, c = (f"do@{name}.org" for name in "abc")
    keys = {name: " ".join([f"{i:04x}"] * 8) for i, name in enumerate((a, b, c))}
    for links, why in (
        (((a, b),), "falls into parts"),
        (((b, a), (b, c)), "sorted"),
        (((a, a), (a, b), (b, c)), "from the hospital that comes first"),
        (((a, b), (a, b), (b, c)), "each named once"),
        (((a, b), (b, c), (b, "do@d.org")), "does not take part"),
    ):
        with pytest.raises(ValueError, match=why):
            Network(hospitals=keys, links=links)
    with pytest.raises(ValueError, match="two hospitals have the same keys"):
        Network(hospitals={**keys, c: keys[a]}, links=((a, b), (b, c)))
