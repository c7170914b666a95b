"""Every compression, over shapes, dtypes, zeros, empty arrays and numbers from the smallest to the largest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from datasites.wire.codecs import Pipeline
from datasites.wire.codecs.padding import padded
from datasites.wire.codecs.pipeline import shapes_of
from policies.errors import InvalidInput

SPECS = [
    before + rounding
    for before in ("", "delta", "delta+topk(0.01)", "delta+topk(0.4)", "delta+feedback+topk(1)")
    for rounding in ("", "+half", "+int8", "+int4", "+sign", "+zstd", "+int8+zstd", "+int4+zstd")
]
SPECS = [spec.removeprefix("+") for spec in SPECS if spec not in ("", "+sign")]


def floats(dtype: str) -> st.SearchStrategy[np.ndarray]:
    most = 1e300 if dtype == "float64" else float(np.finfo(dtype).max)
    numbers = st.floats(-most, most, width=int(dtype[5:])) | st.just(0.0)
    return hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9), elements=numbers)


whole = st.sampled_from(["int64", "int16", "uint8", "bool"]).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4))
)
models = st.dictionaries(
    st.sampled_from(["a", "b/weight", "running_var", "ä"]),
    st.sampled_from(["float64", "float32", "float16"]).flatmap(floats) | whole,
    max_size=3,
)


def error_of(values: np.ndarray, read: np.ndarray) -> float:
    return float(np.abs(values - read).max(initial=0.0))


def through(spec: str, arrays: dict[str, np.ndarray], sent: dict[str, np.ndarray]):
    pipeline, shapes = Pipeline.parse(spec), shapes_of(arrays)
    vectors = pipeline.moved(arrays, sent)
    blob = pipeline.pack(vectors, arrays)
    assert len(blob) <= pipeline.most_bytes(shapes)
    assert pipeline.pack(vectors, arrays) == blob
    back, others = pipeline.unpack(blob, shapes)
    return vectors, back, pipeline.restored(back, others, sent, shapes), blob


@settings(max_examples=120, deadline=None)
@given(models, st.sampled_from(SPECS), st.floats(0, 1))
def test_what_is_read_back_fits_the_contract_and_is_as_near_as_promised(arrays, spec, share) -> None:
    sent = {n: (a * a.dtype.type(share) if a.dtype.kind == "f" else a) for n, a in arrays.items()}
    vectors, back, restored, _ = through(spec, arrays, sent)
    for name, array in arrays.items():
        got = restored[name]
        assert (got.shape, got.dtype) == (array.shape, array.dtype)
        if array.dtype.kind != "f":
            assert np.array_equal(got, array)
            continue
        assert np.isfinite(got).all()
        values, read = vectors[name], back[name]
        largest = np.abs(values).max(initial=0.0)
        lossy = any(part in spec for part in ("topk", "half", "int", "sign"))
        if name == "running_var" and lossy:
            assert error_of(values, read) <= largest * 2.0**-11 + 1e-320
            assert not np.any(np.sign(values) * np.sign(read) < 0)
            continue
        if "topk" in spec:
            kept = int(np.ceil(float(spec.split("(")[1].split(")")[0]) * values.size))
            size = np.abs(values)
            dropped = size < np.sort(size)[values.size - kept] if kept else np.zeros(0, bool)
            assert not read[dropped].any()
            chosen = read != 0
            assert chosen.sum() <= kept
            values, read = values[chosen], read[chosen]
        error = error_of(values, read)
        if "int8" in spec or "int4" in spec:
            assert error <= 0.501 * largest / (127 if "int8" in spec else 7) + 1e-320
        elif "half" in spec:
            assert error <= largest * 2.0**-11 + 1e-320
        elif "sign" in spec:
            assert not np.any(np.sign(values) * np.sign(read) < 0)
        else:
            own = np.finfo(array.dtype)  # one rounding to the array's own dtype
            assert error <= largest * own.eps + own.smallest_subnormal


@settings(max_examples=40, deadline=None)
@given(models, st.sampled_from(SPECS))
def test_a_model_that_did_not_change_comes_back_to_the_bit(arrays, spec) -> None:
    if not spec.startswith("delta"):
        return
    _, _, restored, _ = through(spec, arrays, arrays)
    for name, array in arrays.items():
        assert np.array_equal(restored[name], array) or name == "running_var"  # which travels as itself


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e301])
@pytest.mark.parametrize("spec", ["zstd", "half", "int8", "delta+sign", "delta+topk(0.01)+int4"])
def test_what_is_no_number_is_refused_in_words(spec: str, value: float) -> None:
    pipeline = Pipeline.parse(spec)
    with pytest.raises(InvalidInput, match="NaN, infinity or too large a number is in 'w'"):
        pipeline.moved({"w": np.array([1.0, value])}, {"w": np.zeros(2)})
    with pytest.raises(InvalidInput, match="'w'"):
        pipeline.pack({"w": np.array([1.0, value])}, {"w": np.zeros(2)})


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SPECS), st.data())
def test_damaged_bytes_are_refused_or_read_as_the_contract_has_it_and_nothing_else(spec, data) -> None:
    """Whoever wrote the bytes, memory and the kind of error are bounded."""
    pipeline = Pipeline.parse(spec)
    rng = np.random.default_rng(0)
    arrays = {"w": rng.normal(size=(20, 20)).astype(np.float32), "n": np.arange(3), "b": np.array([True, False])}
    shapes = shapes_of(arrays)
    blob = bytearray(pipeline.pack(pipeline.moved(arrays, arrays | {"w": 0 * arrays["w"]}), arrays))
    for at in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=1, max_size=6)):
        blob[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(-3, 3))
    bad = bytes(blob[:cut] if cut < 0 else blob + bytes(cut))
    try:
        vectors, others = pipeline.unpack(bad, shapes)
    except InvalidInput:
        return
    assert vectors["w"].shape == (400,)
    assert np.isfinite(vectors["w"]).all()
    assert others["b"].view(np.uint8).max() <= 1


@pytest.mark.parametrize(
    ("codec", "dtype", "bits"), [("delta", "<f4", 0x7F800001), ("half", "<f2", 0x7C01), ("delta", "<f8", 0x7FF << 52)]
)
def test_bytes_that_are_no_number_are_damage_and_warn_of_nothing(codec: str, dtype: str, bits: int) -> None:
    """A signalling NaN and an infinity among the numbers themselves, which no checksum guards."""
    pipeline, kind = Pipeline.parse(codec), np.dtype(dtype)
    arrays = {"w": np.ones(3, "<f4" if codec == "half" else kind)}
    good = pipeline.pack({"w": np.ones(3)}, arrays)
    bad = good[: -kind.itemsize] + bits.to_bytes(kind.itemsize, "little")
    with pytest.raises(InvalidInput, match="damaged"):
        pipeline.unpack(bad, shapes_of(arrays))


def test_a_running_variance_stays_one_whatever_the_changes_beside_it() -> None:
    """A sign, a rounding by the largest change, or a change that comes a round late would make it negative."""
    sent = {"norm.running_var": np.ones(6, np.float32), "w": np.ones(6, np.float32)}
    came = {"norm.running_var": np.array([1e-3, 0.1, 0.3, 1, 30, 0], np.float32), "w": np.zeros(6, np.float32)}
    for spec in SPECS:
        restored = through(spec, came, sent)[2]["norm.running_var"]
        np.testing.assert_allclose(restored, came["norm.running_var"], rtol=1e-3)
        assert restored.min() >= 0


def test_sizes_are_those_that_the_codecs_are_chosen_for() -> None:
    rng = np.random.default_rng(1)
    arrays = {"w": rng.normal(size=(1000, 100)).astype(np.float32)}
    plain = arrays["w"].nbytes
    size = {spec: len(through(spec, arrays, {"w": 0 * arrays["w"]})[3]) for spec in SPECS}
    assert size["half"] == 8 + plain // 2
    assert size["int8"] == 8 + plain // 4
    assert size["int4"] == 8 + plain // 8
    assert size["delta+sign"] == 8 + plain // 32
    assert plain / size["int8+zstd"] > 4
    assert plain / size["delta+topk(0.01)+int8"] > 150


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("zip", "is not a compression"),
        ("int8+delta", "is not a compression"),
        ("delta+topk(0)", "is not a compression"),
        ("delta+topk(.000000)+int8", "above 0"),
        ("delta+topk(2)", "is not a compression"),
        ("topk(0.1)+int8", "for changes of a model"),
        ("sign", "for changes of a model"),
        ("feedback+int8", "for changes of a model"),
        ("int8+int4", "is not a compression"),
        ("", "is not a compression"),
    ],
)
def test_a_compression_that_makes_no_sense_is_refused_in_words(spec: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        Pipeline.parse(spec)


@given(st.integers(0, 2**40))
def test_padding_adds_little_and_leaves_few_lengths(size: int) -> None:
    assert size <= padded(size) <= 1.12 * size + 1
    assert padded(padded(size)) == padded(size)
    assert len({padded(n) for n in range(1000, 2000)}) < 50
