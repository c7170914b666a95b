"""What every kind of store does alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasites.wire import keys
from datasites.wire.parts import PART_BYTES, Index, folder
from datasites.wire.store import Store
from policies.errors import InvalidInput, Unavailable
from tests.contracts.conftest import Place
from tests.support.s3 import S3, SECRET


@pytest.fixture
def store(place: Place) -> Store:
    return Store(place.url, place.options)


@pytest.mark.parametrize("data", [b"", b"\0\xff\r\n", bytes(300_000)], ids=["empty", "binary", "large"])
def test_what_is_put_is_got(store: Store, data: bytes) -> None:
    store.put("a/b", data)
    assert store.get("a/b") == data


def test_a_second_put_replaces(store: Store) -> None:
    store.put("a", b"longer than the second")
    store.put("a", b"short")
    assert store.get("a") == b"short"


def test_what_is_missing_is_none(store: Store) -> None:
    store.put("a/b", b"x")
    assert store.get("a/c") is None
    assert store.get("elsewhere/c") is None
    assert not store.exists("a/c")
    assert store.exists("a/b")


def test_a_folder_is_no_object(store: Store) -> None:
    store.put("a/b", b"x")
    assert store.get("a") is None
    assert not store.exists("a")


def test_an_object_above_the_cap_is_refused(store: Store) -> None:
    store.put("a", bytes(11))
    assert store.get("a", max_bytes=11) == bytes(11)
    with pytest.raises(InvalidInput, match="11 bytes; at most 10"):
        store.get("a", max_bytes=10)


def test_names_are_sorted_whole_and_below_the_folder_only(store: Store) -> None:
    for name in ("box/c", "box/a/z", "box/a/b", "boxes/x", "other/y"):
        store.put(name, b"")
    assert store.names("box") == ["box/a/b", "box/a/z", "box/c"]
    assert store.names("nothing") == []


def test_names_after_one_name(store: Store) -> None:
    for number in (1, 2, 10):
        store.put(f"box/{number:06d}", b"")
    assert store.names("box", after="box/000001") == ["box/000002", "box/000010"]
    assert store.names("box", after="box/000010") == []
    assert len(store.names("box", after="box/000000")) == 3


def test_versions_tell_other_bytes_under_a_name(store: Store) -> None:
    store.put("box/a", b"1")
    store.put("box/b", b"1")
    before = dict(store.versions("box"))
    assert list(before) == ["box/a", "box/b"] == [name for name, _ in store.versions("box")]
    assert dict(store.versions("box", after="box/a")) == {"box/b": before["box/b"]}
    store.put("box/b", b"22")
    after = dict(store.versions("box"))
    assert after["box/a"] == before["box/a"]
    assert after["box/b"] != before["box/b"]


def test_more_names_than_one_page_of_a_listing(store: Store) -> None:
    names = [f"box/{number:06d}" for number in range(1_050)]
    for name in names:
        store.put(name, b"")
    assert store.names("box") == names


def test_folders_are_the_direct_ones(store: Store) -> None:
    for name in ("top/b/x", "top/a/deep/x", "top/file", "elsewhere/c/x"):
        store.put(name, b"")
    assert store.folders("top") == ["a", "b"]
    assert store.folders("nothing") == []


def test_delete_is_idempotent_and_touches_nothing_else(store: Store) -> None:
    for name in ("a/1", "a/2", "a/3"):
        store.put(name, b"")
    store.delete("a/1", "a/never", "a/3")
    store.delete("a/1")
    store.delete()
    assert store.names("a") == ["a/2"]


@pytest.mark.parametrize("part", ["ada@uni.org", "a b", "../x", "ü/%2F", "a=2E", "..", "."])
def test_every_encoded_name_comes_back_as_it_was_spelt(store: Store, part: str) -> None:
    store.put(f"top/{keys.encode(part)}/x", b"data")
    assert store.folders("top") == [keys.encode(part)]
    assert [keys.decode(name.split("/")[1]) for name in store.names("top")] == [part]
    assert store.get(f"top/{keys.encode(part)}/x") == b"data"


def test_two_stores_of_one_address_see_the_same(place: Place) -> None:
    Store(place.url, place.options).put("a", b"x")
    assert Store(place.url, place.options).get("a") == b"x"


# what only some kinds can do wrong


def test_a_wrong_key_is_told_without_the_secret(s3: S3) -> None:
    wrong = Store(s3.url, {**s3.options, "aws_secret_access_key": "not-" + SECRET})
    for attempt in (lambda: wrong.put("a", b""), lambda: wrong.get("a"), lambda: wrong.names("a")):
        with pytest.raises(Unavailable) as raised:
            attempt()
        assert SECRET not in str(raised.value)
        assert raised.value.__cause__ is None
        assert "credentials" in raised.value.hint


def test_a_server_that_is_away_is_unavailable(s3: S3) -> None:
    options = {**s3.options, "aws_endpoint": "http://127.0.0.1:9", "client_options": {"allow_http": True}}
    away = Store(s3.url, {**options, "aws_bucket": "x"})
    with pytest.raises(Unavailable):
        away.exists("a")


@pytest.mark.parametrize("url", ["", "ftp://x", "/var/store", "http://user:" + SECRET + "@host/x"])
def test_an_address_of_no_store_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Store(url)
    assert SECRET not in str(raised.value)


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidInput, match="could not be opened"):
        Store("s3://bucket", {"aws_secret_acess_key": SECRET})


def test_a_folder_store_is_made_where_it_is_missing(tmp_path: Path) -> None:
    Store(f"file://{tmp_path}/new/deeper").put("a/b", b"x")
    assert (tmp_path / "new" / "deeper" / "a" / "b").read_bytes() == b"x"


LARGE = bytes(range(256)) * (5 * PART_BYTES // 512)  # two parts and a half


def parts_of(store: Store, key: str) -> dict[str, str]:
    return dict(store.versions(folder(key)))


def test_a_large_object_is_one_object_to_whoever_lists_or_reads(store: Store, place: Place) -> None:
    store.put("box/a", LARGE)
    assert store.names("box") == ["box/a"]
    assert store.folders("box") == []
    assert len(parts_of(store, "box/a")) == 3
    reader = Store(place.url, place.options)
    assert reader.get("box/a") == LARGE
    with pytest.raises(InvalidInput, match=f"{len(LARGE):,} bytes; at most 1,000"):
        reader.get("box/a", max_bytes=1000)


def test_a_large_object_leaves_nothing_behind_once_replaced_or_deleted(store: Store, place: Place) -> None:
    store.put("a", LARGE)
    store.put("a", LARGE[::-1])
    assert store.get("a") == LARGE[::-1]
    assert len(parts_of(store, "a")) == 3
    store.put("a", b"small")
    assert store.get("a") == b"small"
    assert parts_of(store, "a") == {}
    store.put("a", LARGE)
    reader = Store(place.url, place.options)
    with pytest.raises(InvalidInput):
        reader.get("a", max_bytes=1000)  # it knows the object all the same
    reader.delete("a")
    assert store.get("a") is None
    assert parts_of(store, "a") == {}


def test_a_transfer_that_was_cut_off_goes_on_where_it_stopped(store: Store, place: Place) -> None:
    store.put("whole", LARGE)
    names = [name.replace("whole", "a") for name in parts_of(store, "whole")]
    Store(place.url, place.options).put(names[0], LARGE[:PART_BYTES])  # what a killed writer had sent
    Store(place.url, place.options).put(names[1], b"half of it")
    assert store.get("a") is None
    before = parts_of(store, "a")
    store.put("a", LARGE)
    after = parts_of(store, "a")
    assert before[names[0]] == after[names[0]]  # not sent again
    assert before[names[1]] != after[names[1]]
    assert store.get("a") == LARGE


def test_a_read_that_was_cut_off_goes_on_where_it_stopped(store: Store, place: Place) -> None:
    store.put("a", LARGE)
    first, second, _ = parts_of(store, "a")
    content = store.get(second)
    reader = Store(place.url, place.options)
    store.delete(second)
    assert reader.get("a") is None
    store.put(second, content or b"")
    store.delete(first)
    assert reader.get("a") == LARGE
    assert reader.get("a") is None  # it kept nothing of what it gave away


@pytest.mark.parametrize(
    "index",
    ["[]", "{}", "3", '["' + "a" * 64 + '", -1]', '["../../secret", 9000000]', '["' + "a" * 64 + '", 1e9]', "[" * 150],
)
def test_an_index_that_nobody_here_writes_is_bytes_like_others(store: Store, index: str) -> None:
    rubbish = b"wardround parts 1\n" + index.encode()
    store.put("a", rubbish)
    assert store.get("a") == rubbish


def test_an_index_of_what_is_not_there_is_no_object(store: Store) -> None:
    """Whoever holds the store can write one: it costs a reader nothing."""
    store.put("a", Index("0" * 64, 400_000_000).encode())
    assert store.get("a", max_bytes=500_000_000) is None
