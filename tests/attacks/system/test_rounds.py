"""Messages that nobody who is honest would send, from a study's researcher or from whoever has the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasites.audit.entry import Kind
from datasites.wire import keys
from datasites.wire.identity import Identity
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
        from researcher.exchange import StoreExchange, Ticket

        exchange = StoreExchange(line.study.manifest, ward.ada.identity, ward.ada.peers, line.store)
        assert list(exchange._look({ward.south.email: Ticket(number, "0" * 64, True, True)})) == []


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
