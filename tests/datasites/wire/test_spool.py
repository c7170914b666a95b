from __future__ import annotations

import os
import uuid
from pathlib import Path

import numpy as np
import pytest

from datasites.wire.files import write_atomically
from datasites.wire.parts import Index, folder
from datasites.wire.pieces import Pieces
from datasites.wire.rounds import RoundReply, encode_reply
from datasites.wire.spool import MEMORY, SMALL, Spool, mapped
from datasites.wire.store import Store
from policies.errors import DiskFull, Unavailable
from tests.support.disks import small_disk

BYTES = os.urandom(SMALL + 4321)


def test_what_is_written_in_any_order_is_read_and_leaves_no_name(tmp_path: Path) -> None:
    for spool in (Spool(tmp_path), MEMORY):
        draft = spool.draft(len(BYTES))
        draft.write(1000, BYTES[1000:])
        draft.write(0, BYTES[:1000])
        assert list(tmp_path.iterdir()) == []
        assert draft.done() == BYTES
    small = Spool(tmp_path).draft(3)
    small.write(0, memoryview(b"abc"))
    assert small.done() == b"abc"
    assert isinstance(small.done(), bytes)


def test_a_buffer_cannot_be_changed_and_is_not_in_memory_alone(tmp_path: Path) -> None:
    draft = Spool(tmp_path).draft(len(BYTES))
    draft.write(0, BYTES)
    found = draft.done()
    assert isinstance(found, memoryview)
    assert found.readonly
    assert not np.frombuffer(found, np.uint8).flags.writeable
    assert str(tmp_path) in Path("/proc/self/maps").read_text()


def test_a_buffer_that_was_not_written_whole_is_not_given(tmp_path: Path) -> None:
    draft = Spool(tmp_path).draft(len(BYTES))
    draft.write(0, BYTES[:-5000])
    with pytest.raises(ValueError, match="greater than file size"):
        draft.done()
    with pytest.raises(ValueError, match="not written whole"):
        MEMORY.draft(3).done()


def test_a_size_that_was_claimed_takes_no_room(tmp_path: Path) -> None:
    room = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    for spool in (MEMORY, Spool(tmp_path)):
        draft = spool.draft(max(room, 1 << 45))
        draft.write(0, b"a little")
        del draft


def test_a_full_disk_is_one_sentence_and_gives_its_room_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:
        spool = Spool(disk.path)
        first, second = spool.draft(len(BYTES)), spool.draft(len(BYTES))
        first.write(0, BYTES)
        with pytest.raises(DiskFull, match="no room for a large message") as told:
            second.write(0, BYTES)
        assert str(told.value).count(".") >= 2
        assert first.done() == BYTES
        del first, second, told
        again = spool.draft(len(BYTES))
        again.write(0, BYTES)
        assert again.done() == BYTES


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="could not be written"):
        Spool(tmp_path / "gone").draft(SMALL)


def test_a_mapped_file_stays_what_it_was_when_another_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_atomically(path, Pieces((BYTES[:7], memoryview(BYTES)[7:])))
    before = mapped(path)
    write_atomically(path, b"other")
    assert before == BYTES
    assert mapped(path) == b"other"
    assert isinstance(before, memoryview)
    before[0] = BYTES[0] ^ 1  # this process's own
    write_atomically(path, BYTES)
    assert mapped(path) == BYTES


@pytest.fixture
def store() -> Store:
    return Store(f"memory:///{uuid.uuid4().hex}")


def test_a_large_object_that_was_cut_off_goes_on_in_its_file(store: Store, tmp_path: Path) -> None:
    store.put("a", BYTES)
    names = [name for name, _, _ in Index.of(BYTES).parts("a")]
    third = store.get(names[2]) or b""
    store.delete(names[2])
    assert store.fetch("a", len(BYTES), Spool(tmp_path)) is None
    store.put(names[2], third)
    before = store.calls.made["get"]
    assert store.fetch("a", len(BYTES), Spool(tmp_path)) == BYTES
    assert store.calls.made["get"] - before == 1 + len(names) - 2  # the index, and all but the two that were there
    assert store.names(folder("a")) == names


def test_who_has_the_store_changes_nothing_in_what_was_read(store: Store, tmp_path: Path) -> None:
    store.put("a", BYTES)
    names = [name for name, _, _ in Index.of(BYTES).parts("a")]
    found = store.fetch("a", len(BYTES), Spool(tmp_path))
    store.put(names[0], bytes(len(store.get(names[0]) or b"")))
    assert store.fetch("a", len(BYTES), Spool(tmp_path)) != BYTES
    assert found == BYTES


def test_a_reply_of_pieces_is_the_same_to_the_byte() -> None:
    from datasites.wire.rounds import FitReport, reply_pieces

    reply = RoundReply(
        study="a" * 64,
        number=1,
        hospital="do@north.org",
        request="b" * 64,
        fit=FitReport(num_examples=3, metrics={}),
    )
    arrays = {"w": np.arange(6, dtype=np.float16).reshape(2, 3), "n": np.array(3), "e": np.zeros((0, 4))}
    pieces = reply_pieces(reply, arrays)
    assert pieces.join() == encode_reply(reply, arrays)
    assert np.shares_memory(np.frombuffer(pieces.parts[-1], np.uint8), arrays["w"])
