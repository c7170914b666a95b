"""What a round of a large model takes of the researcher's memory, by the operating system's own count."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datasites.wire import chunked, keys, protocol
from datasites.wire.spool import Spool
from policies.errors import DiskFull
from researcher.exchange import StoreExchange
from tests.support.disks import small_disk
from tests.support.large_rounds import MODEL_BYTES, study


@contextmanager
def _party(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.support.large_rounds", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def _anonymous(process: int) -> int:
    """Bytes that the process has in memory and nowhere else; files that are mapped do not count."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024 if "RssAnon:" in status else 0  # it has ended


@pytest.mark.parametrize("hospitals", [3, 6])
def test_a_round_takes_the_sum_in_float64_and_no_more_whatever_the_number_of_hospitals(
    tmp_path: Path, hospitals: int
) -> None:
    most = 0
    with _party("researcher", str(tmp_path), str(hospitals)) as researcher:
        before = _anonymous(researcher.pid)
        with _party("hospitals", str(tmp_path), str(hospitals)):
            assert researcher.stdin
            assert researcher.stdout
            researcher.stdin.write("\n")
            researcher.stdin.flush()
            while researcher.poll() is None:
                most = max(most, _anonymous(researcher.pid))
                time.sleep(0.005)
            mean = str(1.0 + (hospitals - 1) / 2)
            assert researcher.stdout.read().split() == [mean, mean]
    assert 2 * MODEL_BYTES < most - before < 3 * MODEL_BYTES


def test_large_messages_are_sealed_in_chunks_for_releases_that_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = study(tmp_path, 2, 1_200_000)
    new, old = made.hospitals
    store, digest = new.store, made.manifest.digest
    with monkeypatch.context() as earlier:
        earlier.setattr(protocol, "MOST", 2)
        protocol.publish(store, old.identity)
    exchange = made.exchange()
    state = made.journal.checkpoint().parameters
    tickets = exchange.post(1, made.participants(), state, evaluate=False, fit=True)
    made.step()
    for hospital, in_chunks in ((new, True), (old, False)):
        for key in (keys.round_down(digest, hospital.email, 1), keys.round_up(digest, 1, hospital.email)):
            assert (chunked.Message.parse(store.get(key) or b"") is not None) == in_chunks
    answers = {answer.hospital: answer for answer in exchange.answers(tickets, 60)}
    for hospital in (new, old):
        assert answers[hospital.email].usable
        assert (answers[hospital.email].parameters["w"] == 1 + hospital.place).all()


def test_a_disk_that_is_full_is_told_and_the_answers_are_read_once_there_is_room(tmp_path: Path) -> None:
    made = study(tmp_path, 1, 2_500_000)
    with small_disk(tmp_path / "small", 32) as disk:
        peers, store = made.peers, made.hospitals[0].store
        exchange = StoreExchange(made.manifest, made.identity, peers, store, Spool(disk.path))
        tickets = exchange.post(1, made.participants(), made.journal.checkpoint().parameters, evaluate=False, fit=True)
        made.step()
        disk.fill()
        with pytest.raises(DiskFull, match="no room for a large message"):
            list(exchange.answers(tickets, 60))
        disk.make_room()
        (answer,) = exchange.answers(tickets, 60)
        assert (answer.parameters["w"] == 1).all()
