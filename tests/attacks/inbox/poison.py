"""Messages that Syft cannot apply, and at which it stops for everybody."""

from __future__ import annotations

from datasites.wire import keys
from datasites.wire.identity import Identity
from tests.attacks.archives import sparse
from tests.attacks.inbox.attack import Attacks, edited, raw, sealed, send, wedged
from tests.attacks.world import EVE, OWNER, ZOE, Happened, Ward
from tests.support.parties import job_files, post, proposal

FOREIGN = "is not signed by them for us"
ATTACKS = Attacks()


@ATTACKS.noted("deletes or replaces a file")
def replaces_what_is_not_there(ward: Ward) -> Happened:
    files = job_files(EVE, "poison")
    send(ward, files, old=dict.fromkeys(files, "0" * 64))
    return wedged(ward)


@ATTACKS.noted("changes a submission that is there already")
def replays_a_message(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "twice"))
    envelope = ward.eve.identity.seal(ward.owner.identity.public, message.as_compressed_data())
    post(ward.eve, ward.owner, envelope, message)
    ward.sync()
    raw(ward, envelope)
    return wedged(ward)


@ATTACKS.noted("names one path as a file and as a folder")
def names_a_file_as_a_folder(ward: Ward) -> Happened:
    send(ward, job_files(EVE, "folder", a="1", a__b="2"))
    return wedged(ward)


@ATTACKS.noted("characters")
def names_a_path_too_long_for_the_disk(ward: Ward) -> Happened:
    send(ward, job_files(EVE, "deep", **{"/".join(["d" * 120] * 40): "1"}))
    return wedged(ward)


@ATTACKS.noted("has a time that is not a number")
def stores_a_time_that_cannot_be_read_again(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "late"))
    edited(ward, message, r'"submitted_timestamp": [0-9.e+]+', '"submitted_timestamp": 1e999')
    ward.sync()
    return lambda: not _starts_again(ward)


def _starts_again(ward: Ward) -> bool:
    try:
        ward.join(OWNER, "owner").sync()
    except ValueError:
        return False
    return True


@ATTACKS.noted(FOREIGN)
def posts_garbage(ward: Ward) -> Happened:
    raw(ward, b"\x00garbage" * 100)
    return wedged(ward)


@ATTACKS.noted(FOREIGN)
def posts_nothing(ward: Ward) -> Happened:
    raw(ward, b"")
    return wedged(ward)


@ATTACKS.noted(FOREIGN)
def posts_without_signature_and_encryption(ward: Ward) -> Happened:
    raw(ward, proposal(EVE, OWNER, job_files(EVE, "plain")).as_compressed_data())
    return wedged(ward)


@ATTACKS.noted(FOREIGN)
def a_stranger_posts_into_her_box(ward: Ward) -> Happened:
    stranger = Identity.create(EVE, ward.folder / "stranger.json")
    message = proposal(EVE, OWNER, job_files(EVE, "stranger"))
    raw(ward, stranger.seal(ward.owner.identity.public, message.as_compressed_data()))
    return wedged(ward)


@ATTACKS.noted(FOREIGN)
def the_store_moves_a_message_to_another_box(ward: Ward) -> Happened:
    message = proposal(ZOE, OWNER, job_files(ZOE, "moved"))
    raw(ward, ward.zoe.identity.seal(ward.owner.identity.public, message.as_compressed_data()))
    return wedged(ward)


@ATTACKS.noted(FOREIGN)
def the_store_hands_over_a_message_for_another(ward: Ward) -> Happened:
    message = proposal(EVE, OWNER, job_files(EVE, "for-zoe"))
    raw(ward, ward.eve.identity.seal(ward.zoe.identity.public, message.as_compressed_data()))
    return wedged(ward)


@ATTACKS.noted("is not a readable tar.gz archive")
def posts_no_archive(ward: Ward) -> Happened:
    sealed(ward, b"not an archive")
    return wedged(ward)


@ATTACKS.noted("is not a single plain file in a tar archive")
def posts_a_sparse_archive(ward: Ward) -> Happened:
    bomb = sparse(1 << 20)
    assert len(bomb) < 1000
    sealed(ward, bomb)
    return wedged(ward)


@ATTACKS.noted("is not a Syft message")
def posts_text_that_cannot_be_written(ward: Ward) -> Happened:
    edited(ward, proposal(EVE, OWNER, job_files(EVE, "surrogate")), "x = 1", r"\\ud800")
    return wedged(ward)


@ATTACKS.noted("")
def publishes_a_version_that_cannot_be_compared(ward: Ward) -> Happened:
    fields = ("syft_client_version", "min_supported_syft_client_version", "protocol_version")
    text = ", ".join(f'"{field}": "newest"' for field in (*fields, "min_supported_protocol_version"))
    ward.eve.store.put(f"{keys.participant(EVE)}/version.json", f"{{{text}}}".encode())
    return wedged(ward)
