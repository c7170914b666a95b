"""Messages that nobody who is honest would send, from a study's researcher or from whoever has the store."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasites.audit.entry import Kind
from datasites.wire import keys
from datasites.wire.identity import Identity
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.reasons import Reason
from tests.attacks.system.line import Line
from tests.attacks.system.ward import Ward
from tests.support.parties import job_files, proposal

NOT_HERE = "is not for this round of this study at this hospital"
FOREIGN = "is not signed by them for us"


@pytest.fixture
def asked(ward: Ward) -> tuple[int, bytes]:
    """The number and bytes of a round that was answered."""
    line, number = ward.hostile, ward.hostile.next()
    sealed = line.put(number, line.sealed(plaintext := line.request(number)))
    line.answer(number, plaintext)
    return number, sealed


# replay, reorder, splice


def test_replays_a_request_under_its_own_number(ward: Ward, asked: tuple[int, bytes]) -> None:
    number, sealed = asked
    runs = ward.runs(ward.hostile.study)
    with ward.attack() as line:
        line.put(number, sealed)
        line.put(number, sealed)
    assert ward.runs(ward.hostile.study) == runs


@pytest.mark.parametrize("ahead", [1, 500_000], ids=["next", "last"])
def test_replays_a_request_under_a_later_number(ward: Ward, asked: tuple[int, bytes], ahead: int) -> None:
    """Were it answered, it would use up the number, and all before it, for good."""
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=NOT_HERE, charged=(1, 0)) as line:
        number = asked[0] + ahead
        line.put(number, asked[1])
        assert line.silence(number)
        assert line.ask().reason is None  # the round that belongs there, or before it


def test_replays_an_old_request_after_a_restart(ward: Ward, asked: tuple[int, bytes]) -> None:
    runs = ward.runs(ward.hostile.study)
    with ward.attack(Kind.AGENT_STARTED) as line:
        ward.north.stop()
        line.put(*asked)
        ward.world.all_serve()
    assert ward.runs(ward.hostile.study) == runs


def test_sends_an_earlier_round_after_a_later_one(ward: Ward) -> None:
    with ward.attack(Kind.RELEASED, charged=(1, 0)) as line:
        late = line.next()
        plaintext = line.request(late + 1)
        line.put(late + 1, line.sealed(plaintext))
        assert line.answer(late + 1, plaintext).reason is None
        line.put(late, line.sealed(line.request(late)))
        assert line.silence(late)


def test_asks_for_other_work_in_a_round_that_was_answered(ward: Ward, asked: tuple[int, bytes]) -> None:
    runs = ward.runs(ward.hostile.study)
    with ward.attack() as line:
        other = line.request(asked[0], {"w": np.ones(4, np.int64)})
        line.put(asked[0], line.sealed(other))
        assert line.silence(asked[0]) is False  # the old answer, as it was
    assert ward.runs(ward.hostile.study) == runs


def test_moves_the_message_for_another_hospital_here(ward: Ward) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=FOREIGN) as line:
        number, south = line.next(), ward.line(line.study, ward.south)
        line.put(number, south.sealed(south.request(number)))


def test_names_another_hospital(ward: Ward) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED) as line:
        number = line.next()
        line.put(number, line.sealed(line.request(number, hospital=ward.south.email)))
        assert line.silence(number)


def test_moves_a_message_of_another_study_here(ward: Ward) -> None:
    """Ada's own message, in the box of her other study: whoever has the store can do that."""
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=NOT_HERE):
        other = ward.line(ward.submit(ward.ada, code=Path(__file__).parent / "honest"))
        number = ward.honest.next() + 100
        ward.honest.put(number, other.sealed(other.request(number)))


def test_moves_a_submission_into_the_rounds(ward: Ward) -> None:
    """It is signed by the same researcher for the same hospital, but says other things."""
    with ward.attack(Kind.MESSAGE_QUARANTINED):
        message = proposal(ward.ada.email, ward.north.email, job_files(ward.ada.email, "moved"))
        ward.honest.put(900_000, ward.honest.sealed(message.as_compressed_data()))


def test_moves_a_round_into_the_submissions(ward: Ward) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED, peer=ward.mallory.email) as line:
        name = proposal(ward.mallory.email, ward.north.email, {}).message_filename.as_string()
        key = f"{keys.box(ward.north.email, 'inbox', ward.mallory.email)}/{keys.encode(name)}"
        line.store.put(key, line.sealed(line.request(line.next())))


def test_swaps_two_hospitals_answers(ward: Ward) -> None:
    """What one hospital signed is not taken for another's."""
    with ward.attack(Kind.RELEASED):
        line, number = ward.honest, ward.honest.next()
        plaintext = line.request(number)
        line.put(number, line.sealed(plaintext))
        line.answer(number, plaintext)
        answer = line.store.get(keys.round_up(line.study.digest, number, ward.north.email))
        line.store.put(keys.round_up(line.study.digest, number, ward.south.email), answer or b"")
        from researcher.exchange import Exchange

        exchange = Exchange(line.study.manifest, ward.ada.identity, ward.ada.peers, line.store)
        assert exchange._look(number, {ward.south.email: "0" * 64}) == []


# who signs


def test_posts_into_another_researchers_study(ward: Ward) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=FOREIGN, peer=ward.ada.email):
        number = ward.honest.next() + 50
        ward.honest.put(number, ward.hostile.sealed(ward.honest.request(number)))


def test_signs_with_new_keys_under_the_same_address(ward: Ward, tmp_path: Path) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED):
        stranger = Identity.create(ward.ada.email, tmp_path / "stranger.json")
        request = ward.honest.request(ward.honest.next())
        ward.honest.put(ward.honest.next() + 7, stranger.seal(ward.north.datasite.identity.public, request))


def test_signs_as_the_hospital_itself(ward: Ward) -> None:
    """The hospital's own answer, sent back to it as a question."""
    with ward.attack(Kind.MESSAGE_QUARANTINED, charged=(1, 0)) as line:
        number = line.next()
        line.ask()
        answer = line.store.get(keys.round_up(line.study.digest, number, ward.north.email))
        line.put(number + 1, answer or b"")


# what is no message


def _garbage(line: Line, number: int) -> bytes:
    return os.urandom(5000)


def _nothing(line: Line, number: int) -> bytes:
    return b""


def _truncated(line: Line, number: int) -> bytes:
    return line.sealed(line.request(number))[:-40]


def _one_bit_flipped(line: Line, number: int) -> bytes:
    sealed = bytearray(line.sealed(line.request(number)))
    sealed[-20] ^= 1
    return bytes(sealed)


def _not_encrypted(line: Line, number: int) -> bytes:
    return line.request(number)


@pytest.mark.parametrize("make", [_garbage, _nothing, _truncated, _one_bit_flipped, _not_encrypted])
def test_posts(ward: Ward, make: Callable[[Line, int], bytes]) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=FOREIGN) as line:
        number = line.next()
        line.put(number, make(line, number))
        assert line.silence(number, 0.1)


def test_posts_more_bytes_than_a_round_may_have(ward: Ward) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside="bytes; at most") as line:
        store = Path(ward.world.store.removeprefix("file://"))
        file = store / line.box(line.next() + 3)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as huge:
            huge.truncate(ROUND_BYTES + 1)  # sparse


@pytest.mark.parametrize("name", ["zzz", "9999999", "-00001", "000000", "00000x", "1e5"])
def test_posts_under_a_name_that_is_no_number(ward: Ward, name: str) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED if name > "1" else None, charged=(1, 0)) as line:
        line.put(name, line.sealed(line.request(line.next())))
        assert line.ask().reason is None


def test_floods_a_study_with_rubbish_from_now_to_its_end(ward: Ward) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED):
        first = ward.honest.next()
        for number in range(first, first + 200):
            ward.honest.put(number, b"rubbish %d" % number)


# what is in a message


def _refused(ward: Ward, plaintext: Callable[[Line, int], bytes]) -> None:
    """Signed, for this very round, and of no use: answered with a fixed sentence, and nothing runs."""
    runs = ward.runs(ward.hostile.study)
    with ward.attack(Kind.REFUSED, reason="bad_message") as line:
        number = line.next()
        message = plaintext(line, number)
        line.put(number, line.sealed(message))
        assert line.answer(number, message).reason is Reason.BAD_MESSAGE
    assert ward.runs(ward.hostile.study) == runs


STATES: dict[str, Any] = {
    "wrong shape": {"w": np.zeros(5, np.int64)},
    "wrong dtype": {"w": np.zeros(4, np.float64)},
    "no array": {},
    "one more array": {"w": np.zeros(4, np.int64), "x": np.zeros(1)},
    "an array with a path for a name": {"../../w": np.zeros(4, np.int64)},
    "hundred thousand arrays": {f"w{i}": np.zeros(0, np.int64) for i in range(20_000)},
}


@pytest.mark.parametrize("state", STATES, ids=[name.replace(" ", "-") for name in STATES])
def test_sends_a_global_state_with(ward: Ward, state: str) -> None:
    _refused(ward, lambda line, number: line.request(number, STATES[state]))


CHANGES: dict[str, dict[str, Any]] = {
    "that asks for nothing": {"fit": False, "evaluate": False},
    "with a field that nobody knows": {"run": "rm -rf /"},
    "whose fit is a number": {"fit": 1},
    "whose fit is text": {"fit": "yes"},
}


@pytest.mark.parametrize("change", CHANGES, ids=[name.replace(" ", "-") for name in CHANGES])
def test_sends_a_request(ward: Ward, change: str) -> None:
    _refused(ward, lambda line, number: line.request(number, **CHANGES[change]))


def test_sends_arrays_that_break_off(ward: Ward) -> None:
    _refused(ward, lambda line, number: line.request(number)[:-8])


def test_sends_arrays_that_lie_about_their_place(ward: Ward) -> None:
    def overlapping(line: Line, number: int) -> bytes:
        return line.request(number).replace(b'"data_offsets":[0,32]', b'"data_offsets":[0,99]')

    _refused(ward, overlapping)


class _Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, ("/tmp/wardround-unpickled",)  # noqa: S108


def _pickle(line: Line, number: int) -> bytes:
    return pickle.dumps({"w": _Bomb()})


def _npz(line: Line, number: int) -> bytes:
    stream = BytesIO()
    np.savez_compressed(stream, w=np.zeros(2**24))
    return stream.getvalue()


def _zip_bomb(line: Line, number: int) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", bytes(2**25))
    return stream.getvalue()


def _header_bomb(line: Line, number: int) -> bytes:
    """It would become gigabytes of Python objects in the agent, at which the kernel ends it, with all studies."""
    text = b'{"__metadata__":{"wardround":"{}"},"w":' + b"[[]," * (40 * 2**20) + b"0"
    return len(text).to_bytes(8, "little") + text


def _deep_header(line: Line, number: int) -> bytes:
    text = b'{"__metadata__":' + b"[" * 100_000
    return len(text).to_bytes(8, "little") + text


def _deep_inner_header(line: Line, number: int) -> bytes:
    text = json.dumps({"__metadata__": {"wardround": "[" * 100_000}}).encode()
    return len(text).to_bytes(8, "little") + text


def _header_that_never_ends(line: Line, number: int) -> bytes:
    return b"\xff" * 8 + b"{}"


@pytest.mark.parametrize(
    "make",
    [_pickle, _npz, _zip_bomb, _header_bomb, _deep_header, _deep_inner_header, _header_that_never_ends],
)
def test_sends_in_place_of_a_message_a(ward: Ward, make: Callable[[Line, int], bytes]) -> None:
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside=NOT_HERE) as line:
        number = line.next()
        line.put(number, line.sealed(make(line, number)))
    assert not Path("/tmp/wardround-unpickled").exists()  # noqa: S108


def test_sends_not_a_number_as_global_state(ward: Ward) -> None:
    """To a study whose parameters are floats, in the honest researcher's stolen notebook."""
    line = ward.honest
    assert ward.honest.initial["w"].dtype == np.int64
    with ward.attack(Kind.REFUSED, reason="bad_message"):
        number = line.next()
        message = line.request(number, {"w": np.full(4, np.nan)})
        line.put(number, line.sealed(message))
        assert line.answer(number, message).reason is Reason.BAD_MESSAGE
