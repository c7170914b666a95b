from __future__ import annotations

import math

import pytest

from datasites.wire.canonical import canonical_json, digest_of


def test_order_and_layout_do_not_count() -> None:
    assert canonical_json({"b": [1, 2], "a": "é"}) == '{"a":"é","b":[1,2]}'.encode()
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})


def test_values_and_their_types_count() -> None:
    different = [1, 1.0, "1", True, [1], {"1": 1}, None]
    assert len({digest_of(value) for value in different}) == len(different)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_json_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"a": [number]})
