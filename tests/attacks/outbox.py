"""What a hostile hospital, or whoever runs the store, can show to a researcher."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from syft.sync.events.file_change_event import FileChangeEvent, FileChangeEventsMessage
from syft_rds.config import DATASET_COLLECTION_SPECS

from datasites.wire import keys
from datasites.wire.identity import Identity
from tests.attacks.archives import packed
from tests.attacks.world import ANN, HONEST, HOSTILE, Desk, Happened
from tests.support.parties import Party

FOREIGN = "is not signed by them for us"
JOB = f"app_data/job/review/{ANN}/v1/job"
OUTSIDE = "has a path outside the datasite's public tree"


@dataclass(frozen=True)
class Attack:
    act: Callable[[Desk], Happened]
    reason: str

    def __str__(self) -> str:
        return self.act.__name__


ATTACKS: list[Attack] = []


def noted(reason: str) -> Callable[[Callable[[Desk], Happened]], Callable[[Desk], Happened]]:
    def register(act: Callable[[Desk], Happened]) -> Callable[[Desk], Happened]:
        ATTACKS.append(Attack(act, reason))
        return act

    return register


def news(datasite: str, path: str, content: str | None = "FORGED") -> FileChangeEventsMessage:
    """A datasite's message that a file of its tree has changed."""
    event = FileChangeEvent(
        id=uuid4(),
        path_in_datasite=Path(path),
        datasite_email=datasite,
        content=content,
        new_hash="0",
        submitted_timestamp=time.time(),
        timestamp=time.time(),
    )
    return FileChangeEventsMessage(events=[event])


def show(hospital: Party, desk: Desk, message: FileChangeEventsMessage) -> None:
    """Signs, encrypts and posts, as the hospital's own program can."""
    _raw(hospital, hospital.identity.seal(desk.ann.identity.public, message.as_compressed_data()), message)


def _raw(hospital: Party, data: bytes, named: FileChangeEventsMessage | None = None) -> None:
    """Posts `data` under the name of that message, or of a new one."""
    name = (named or news(HOSTILE, "x")).message_filepath.as_string()
    hospital.store.put(f"{keys.box(hospital.email, 'outbox', ANN)}/{keys.encode(name)}", data)


def _wedged(desk: Desk) -> Happened:
    def happened() -> bool:
        show(desk.honest, desk, news(HONEST, f"{JOB}/news.txt", "good"))
        desk.sync()
        return not desk.seen(HONEST, f"{JOB}/news.txt").exists()

    return happened


@noted("speaks for another datasite")
def speaks_for_another_hospital(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HONEST, "public/syft_datasets/icu/twin.csv"))
    return desk.seen(HONEST, "public/syft_datasets/icu/twin.csv").exists


@noted(OUTSIDE)
def climbs_into_anothers_tree(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, f"../{HONEST}/{JOB}/x"))
    return desk.seen(HONEST, f"{JOB}/x").exists


@noted(OUTSIDE)
def writes_an_absolute_path(desk: Desk) -> Happened:
    target = desk.ann.home.syftbox / "planted.txt"
    show(desk.hostile, desk, news(HOSTILE, str(target.resolve())))
    return target.exists


@noted(OUTSIDE)
def writes_into_the_private_tree(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, "private/x.txt"))
    return desk.seen(HOSTILE, "private/x.txt").exists


@noted("holds a file without content")
def sends_a_file_without_content(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, f"{JOB}/x.txt", None))
    return _wedged(desk)


@noted(OUTSIDE)
def names_a_path_too_long_for_the_disk(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, "/".join(["d" * 150] * 40)))
    return _wedged(desk)


@noted(OUTSIDE)
def names_a_path_that_no_disk_takes(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, f"{JOB}/a\0b"))
    return _wedged(desk)


@noted("")
def names_a_file_as_a_folder(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, f"{JOB}/a"))
    show(desk.hostile, desk, news(HOSTILE, f"{JOB}/a/b"))
    return _wedged(desk)


@noted("")
def names_a_folder_as_a_file(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, f"{JOB}/a/b"))
    show(desk.hostile, desk, news(HOSTILE, JOB))
    return _wedged(desk)


@noted("has a time that is not a number")
def dates_its_news_beyond_all_numbers(desk: Desk) -> Happened:
    """Stock Syft takes it, and then no later news of that hospital is ever newer."""
    text = re.sub(r'"timestamp":[0-9.e+]+', '"timestamp":1e999', news(HOSTILE, f"{JOB}/x.txt").model_dump_json())
    _raw(desk.hostile, desk.hostile.identity.seal(desk.ann.identity.public, packed(text.encode())))
    return desk.seen(HOSTILE, f"{JOB}/x.txt").exists


@noted(FOREIGN)
def posts_garbage(desk: Desk) -> Happened:
    _raw(desk.hostile, b"\x00garbage" * 100)
    return _wedged(desk)


@noted(FOREIGN)
def posts_without_signature_and_encryption(desk: Desk) -> Happened:
    _raw(desk.hostile, news(HOSTILE, f"{JOB}/x.txt").as_compressed_data())
    return _wedged(desk)


@noted(FOREIGN)
def a_stranger_posts_into_its_outbox(desk: Desk) -> Happened:
    stranger = Identity.create(HOSTILE, desk.folder / "stranger.json")
    _raw(desk.hostile, stranger.seal(desk.ann.identity.public, news(HOSTILE, f"{JOB}/x.txt").as_compressed_data()))
    return _wedged(desk)


@noted(FOREIGN)
def the_store_moves_news_to_another_outbox(desk: Desk) -> Happened:
    data = news(HONEST, f"{JOB}/x.txt").as_compressed_data()
    _raw(desk.hostile, desk.honest.identity.seal(desk.ann.identity.public, data))
    return _wedged(desk)


@noted("goes by another name than its own")
def the_store_shows_old_news_again(desk: Desk) -> Happened:
    old = news(HOSTILE, f"{JOB}/x.txt", "old")
    data = desk.hostile.identity.seal(desk.ann.identity.public, old.as_compressed_data())
    _raw(desk.hostile, data, old)
    show(desk.hostile, desk, news(HOSTILE, f"{JOB}/x.txt", "new"))
    desk.sync()
    _raw(desk.hostile, data)
    return lambda: desk.seen(HOSTILE, f"{JOB}/x.txt").read_text() == "old"


@noted("")
def publishes_a_version_that_cannot_be_read(desk: Desk) -> Happened:
    fields = ("syft_client_version", "min_supported_syft_client_version", "protocol_version")
    text = ", ".join(f'"{field}": "newest"' for field in (*fields, "min_supported_protocol_version"))
    desk.hostile.store.put(f"{keys.participant(HOSTILE)}/version.json", f"{{{text}}}".encode())
    return _wedged(desk)


@noted("")
def puts_a_file_where_its_datasets_go(desk: Desk) -> Happened:
    show(desk.hostile, desk, news(HOSTILE, "public"))
    desk.sync()
    collection(desk, "twins")
    return _wedged(desk)


def collection(desk: Desk, tag: str, description: bytes = b"", data: bytes = b"x") -> None:
    """A dataset of the hostile hospital's that is shared with the researcher."""
    prefix = DATASET_COLLECTION_SPECS[0].prefix
    folder = f"{keys.collections(HOSTILE)}/{keys.encode(f'{prefix}_{tag}_0')}"
    meta = {"prefix": prefix, "tag": tag, "content_hash": "0"}
    store = desk.hostile.store
    store.put(f"{folder}/.collection.json", description or json.dumps(meta).encode())
    store.put(f"{folder}/acl/{keys.encode(ANN)}", b"")
    store.put(f"{folder}/data/twin.csv", data)
