"""What is put in the place of a round's message, or in it."""

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
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.reasons import Reason
from tests.attacks.system.line import Line
from tests.attacks.system.ward import Ward

NOT_HERE = "is not for this round of this study at this hospital"
FOREIGN = "is not signed by them for us"


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
    """It would become some hundred times its own size of Python objects in the agent. As large as a message of this
    study may be; a larger one is not downloaded."""
    text = b'{"__metadata__":{"wardround":"{}"},"w":' + b"[[]," * (3 * 2**19) + b"0"
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


def test_sends_more_than_the_study_was_approved_with(ward: Ward) -> None:
    """At which an agent with little memory would be ended by the kernel, with all studies."""
    with ward.attack(Kind.MESSAGE_QUARANTINED, aside="at most") as line:
        line.put(line.next(), line.sealed(bytes(20 * 2**20)))


def test_sends_not_a_number_as_global_state(ward: Ward) -> None:
    """To a study whose parameters are floats, in the honest researcher's stolen notebook."""
    line = ward.honest
    assert ward.honest.initial["w"].dtype == np.int64
    with ward.attack(Kind.REFUSED, reason="bad_message"):
        number = line.next()
        message = line.request(number, {"w": np.full(4, np.nan)})
        line.put(number, line.sealed(message))
        assert line.answer(number, message).reason is Reason.BAD_MESSAGE
