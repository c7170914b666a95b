from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import save

from datasites.wire.arrays import ALLOWED_DTYPES, Arrays, all_finite, check_arrays, nbytes, pack, unpack
from policies.errors import InvalidInput

LIMIT = 1 << 20

arrays = st.sampled_from(sorted(ALLOWED_DTYPES)).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
names = st.text(st.characters(categories=("L", "N"), include_characters="./_-"), min_size=1, max_size=20)
headers = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=3
)


@given(headers, st.dictionaries(names, arrays, max_size=4))
def test_everything_comes_back(header: dict[str, object], named: Arrays) -> None:
    blob = pack(header, named)
    back_header, back = unpack(blob, LIMIT)
    assert back_header == header
    assert back.keys() == named.keys()
    for name, array in named.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()
    assert pack(header, dict(reversed(named.items()))) == blob


@given(headers, st.dictionaries(names | st.text(st.characters(min_codepoint=32), min_size=1), arrays, max_size=6))
def test_the_bytes_are_those_of_the_safetensors_library(header: dict[str, object], named: Arrays) -> None:
    named = {name: array for name, array in named.items() if name.isprintable() and len(name) <= 200}
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    assert pack(header, named) == save(named, metadata={"wardround": text})


@given(st.binary(max_size=200))
def test_rubbish_is_invalid_input(blob: bytes) -> None:
    with pytest.raises(InvalidInput):
        unpack(blob, LIMIT)


@given(st.data())
def test_a_damaged_blob_is_invalid_input_or_other_values(data: st.DataObject) -> None:
    blob = bytearray(pack({"a": 1}, {"w": np.arange(6.0).reshape(2, 3), "n": np.array(3)}))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] = data.draw(st.integers(0, 255))
    try:
        _, back = unpack(bytes(blob[: data.draw(st.integers(at, len(blob)))]), LIMIT)
    except InvalidInput:
        return
    check_arrays(back, "message")


def _blob(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        struct.pack("<Q", 1 << 62),
        _blob([]),
        _blob({}),
        _blob({"__metadata__": {"wardround": "[]"}}),
        _blob({"__metadata__": {"wardround": "{"}}),
        _blob({"__metadata__": {"other": "{}"}}),
        _blob({"__metadata__": {"wardround": "{}"}, "a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}}),
        _blob({"__metadata__": {"wardround": "{}"}, "a": {"dtype": "F64", "shape": [1 << 60], "data_offsets": [0, 8]}}),
        _blob({"__metadata__": {"wardround": "[" * 100_000}}),
    ],
)
def test_a_blob_of_another_kind_is_invalid_input(blob: bytes) -> None:
    with pytest.raises(InvalidInput):
        unpack(blob, LIMIT)


@pytest.mark.parametrize("dtype", ["BF16", "U16", "U32", "U64", "F8_E4M3"])
def test_a_dtype_that_no_study_may_use_is_refused(dtype: str) -> None:
    width = {"BF16": 2, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1}[dtype]
    header = {"__metadata__": {"wardround": "{}"}, "a": {"dtype": dtype, "shape": [1], "data_offsets": [0, width]}}
    with pytest.raises(InvalidInput):
        unpack(_blob(header) + bytes(width), LIMIT)


def test_a_blob_above_the_limit_is_refused_before_it_is_read() -> None:
    blob = pack({}, {"a": np.zeros(4)})
    assert unpack(blob, len(blob))
    with pytest.raises(InvalidInput, match="at most"):
        unpack(blob, len(blob) - 1)


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([1j]), np.array([None]), [1.0], 1.0, None, "text"])
def test_what_is_no_array_of_numbers_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="'w'"):
        check_arrays({"w": value}, "fit")


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 201, 3])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="names"):
        check_arrays({name: np.zeros(1)}, "fit")


def test_views_and_scalars_keep_their_shape() -> None:
    checked = check_arrays({"t": np.arange(6.0).reshape(2, 3).T, "s": np.float32(2)}, "fit")
    assert checked["t"].shape == (3, 2)
    assert checked["t"].flags.c_contiguous
    assert (checked["s"].shape, checked["s"].dtype) == ((), np.dtype("float32"))
    assert nbytes(checked) == 52


def test_no_number_stands_for_nan_in_a_header() -> None:
    with pytest.raises(ValueError, match="JSON"):
        pack({"loss": float("nan")}, {})


def test_finite_means_neither_nan_nor_infinity() -> None:
    assert all_finite(np.array([1, 2]))
    assert all_finite(np.array(True))
    assert all_finite(np.zeros((0, 2)))
    assert not all_finite(np.array([1.0, np.nan]))
    assert not all_finite(np.array(-np.inf))


def test_a_header_that_would_fill_the_memory_is_not_parsed() -> None:
    text = b'{"__metadata__":{"wardround":"{}"},"w":' + b"[[]," * 2_000_000
    with pytest.raises(InvalidInput, match="header is too large"):
        unpack(len(text).to_bytes(8, "little") + text, 1 << 30)


@given(headers, st.dictionaries(names, arrays, max_size=4))
def test_the_arrays_of_a_view_lie_in_it(header: dict[str, object], named: Arrays) -> None:
    blob = pack(header, named)
    back_header, back = unpack(memoryview(blob), LIMIT)
    assert back_header == header
    assert back.keys() == named.keys()
    for name, array in named.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()
        if array.size:
            assert np.shares_memory(back[name], np.frombuffer(blob, np.uint8))
            assert not back[name].flags.writeable


def test_what_cannot_be_written_to_is_read_only_and_what_can_be_is_not() -> None:
    blob = pack({}, {"w": np.zeros(3)})
    mine = bytearray(blob)
    _, back = unpack(memoryview(mine), LIMIT)
    back["w"] += 1
    assert mine != blob
    assert not unpack(memoryview(blob), LIMIT)[1]["w"].flags.writeable


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
REFUSED: dict[str, dict[str, object]] = {
    "gap": {"a": ENTRY, "b": {**ENTRY, "data_offsets": [12, 20]}},
    "overlap": {"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}},
    "the same bytes": {"a": ENTRY, "b": ENTRY},
    "not from the beginning": {"a": {**ENTRY, "data_offsets": [4, 12]}},
    "backwards": {"a": {**ENTRY, "data_offsets": [8, 0]}},
    "another shape": {"a": {**ENTRY, "shape": [3]}},
    "a negative shape": {"a": {**ENTRY, "shape": [-1, -2]}},
    "a shape that is too large": {"a": {**ENTRY, "shape": [0, 1 << 70], "data_offsets": [0, 0]}},
    "a shape of bool": {"a": {**ENTRY, "shape": [True, 2]}},
    "no shape": {"a": {**ENTRY, "shape": None}},
    "three offsets": {"a": {**ENTRY, "data_offsets": [0, 8, 8]}},
    "more words": {"a": {**ENTRY, "more": 1}},
    "no dtype": {"a": {"shape": [2], "data_offsets": [0, 8]}},
    "dtypes": {"a": {**ENTRY, "dtype": ["F32"]}},
    "beyond the end": {"a": {**ENTRY, "shape": [1000], "data_offsets": [0, 4000]}},
    "bytes behind it": {"a": {**ENTRY, "shape": [1], "data_offsets": [0, 4]}},
    "no array": {"a": 1},
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_view_with_other_places_for_its_arrays_is_refused(what: str) -> None:
    blob = _blob({"__metadata__": {"wardround": "{}"}, **REFUSED[what]})
    length = {"overlap": 12, "gap": 20, "not from the beginning": 12}.get(what, 8)
    with pytest.raises(InvalidInput):
        unpack(memoryview(blob + bytes(length)), LIMIT)


@pytest.mark.parametrize(
    "text",
    [
        '{"__metadata__":{"wardround":"{}"},"a":ENTRY,"a":ENTRY}',
        '{"__metadata__":{"wardround":"{}","x":NaN},"a":ENTRY}',
        '{"__metadata__":{"wardround":"{}","x":1},"a":ENTRY}',
        ' {"__metadata__":{"wardround":"{}"},"a":ENTRY}',
    ],
)
def test_a_header_that_two_could_read_differently_is_refused(text: str) -> None:
    text = text.replace("ENTRY", json.dumps(ENTRY))
    blob = struct.pack("<Q", len(text)) + text.encode() + bytes(8)
    with pytest.raises(InvalidInput):
        unpack(memoryview(blob), LIMIT)


@given(st.data())
def test_a_view_is_held_to_all_that_the_library_holds_bytes_to(data: st.DataObject) -> None:
    """A damaged blob, or one of another header: what a view gives, the library gives too, to the bit."""
    entry = st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "I8", "F64", "BF16", "BOOL"]),
            "shape": st.lists(st.integers(0, 4), max_size=2),
            "data_offsets": st.tuples(st.integers(0, 24), st.integers(0, 24)),
        }
    )
    said = {"__metadata__": {"wardround": "{}"}, **data.draw(st.dictionaries(st.sampled_from("abc"), entry))}
    changed = bytearray(
        data.draw(
            st.sampled_from(
                [_blob(said) + bytes(range(24)), pack({}, {"w": np.arange(6.0), "n": np.array(3), "e": np.zeros(0)})]
            )
        )
    )
    if data.draw(st.booleans()):
        changed[data.draw(st.integers(8, len(changed) - 1))] = data.draw(st.integers(32, 126))
    del changed[data.draw(st.integers(8, len(changed))) :]
    blob = bytes(changed)
    try:
        _, viewed = unpack(memoryview(blob), LIMIT)
    except InvalidInput:
        return
    _, loaded = unpack(blob, LIMIT)
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in viewed.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in loaded.items()
    }
