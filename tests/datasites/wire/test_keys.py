from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasites.wire import keys

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@given(texts)
def test_decode_undoes_encode(text: str) -> None:
    assert keys.decode(keys.encode(text)) == text


@given(texts)
def test_an_encoded_part_is_one_plain_component(text: str) -> None:
    part = keys.encode(text)
    assert part
    assert part not in (".", "..")
    assert not set(part) & set("/\\%\0 ")
    assert ".." not in part


@given(texts, texts)
def test_two_texts_never_share_a_name(one: str, other: str) -> None:
    assert (keys.encode(one) == keys.encode(other)) is (one == other)


def test_an_address_stays_readable() -> None:
    assert keys.encode("ada.b+c@uni-x.org") == "ada.b+c@uni-x.org"


@pytest.mark.parametrize("part", ["", "a/b", "=41", "=2e", "=FF", "a b", "=2", ".", ".."])
def test_what_encode_never_writes_is_refused(part: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        keys.decode(part)


def test_last_gives_an_undecodable_name_as_it_is() -> None:
    assert keys.last("a/b/=41") == "=41"
    assert keys.last("a/b/x=2Fy") == "x/y"


def test_rounds_sort_by_number() -> None:
    names = [keys.round_down("s", "h@x.org", number) for number in (1, 2, 10, 999_999)]
    assert names == sorted(names)


def test_one_participants_prefix_never_holds_anothers() -> None:
    assert not keys.own("a@x.org.uk").startswith(keys.own("a@x.org") + "/")
    assert keys.box("a@x.org", "inbox", "b@x.org/../c@x.org").count("/") == 3
