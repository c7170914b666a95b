"""Removing a datasite, with nothing private left that this program has written.

The store first, while there are keys to reach it by; then the home, its settings last, so that what a crash cut off is
gone on with. What is others' to remove, and what no program can, is told.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from datasites.catalog.registry import Registry
from datasites.home import DatasiteHome
from datasites.settings import FILE, DatasiteSettings
from datasites.state import State
from datasites.wire import keys, passphrase
from datasites.wire.parts import folder
from datasites.wire.store import Store
from policies.errors import InvalidInput, NotAllowed, Unavailable, WardroundError


@dataclass(frozen=True)
class Removed:
    """objects: how many of the store. left: names there that the store did not let this datasite delete, or all are
    unknown (None) as it could not be reached. elsewhere: what lies outside of the home, for a person to remove."""

    files: int
    objects: int
    left: tuple[str, ...] | None
    elsewhere: tuple[str, ...]


CANNOT = (
    "What no program can do: a solid-state disk, a snapshot or a backup keeps bytes of deleted files. If the keys were "
    "under a passphrase they are worth nothing without it; for the rest, erase or destroy the medium.",
    "What has left has left: results that were released, mock twins that were fetched, and heads of the audit log that "
    "other hospitals and researchers have seen.",
)


def own_objects(store: Store, email: str, studies: Iterable[str]) -> list[str]:
    """Names in the store that are this datasite's to delete; of rounds, those of these studies (digests), as no
    participant may list other studies' boxes. Raises Unavailable."""
    prefixes = [keys.own(email), keys.collections(email), keys.participant(email)]
    prefixes += [f"p2p/{keys.encode(email)}/{box}" for box in ("inbox", "outbox")]
    answers = []
    for study in sorted(set(studies)):
        prefixes += [keys.rounds_down(study, email), keys.all_gossip(study, email)]
        for number in store.folders(keys.all_rounds_up(study)):
            answer = f"{keys.all_rounds_up(study)}/{number}/{keys.encode(email)}"
            answers += [answer] if store.exists(answer) else []
    found = [name for prefix in prefixes for name in store.names(prefix)]
    parts = [name for prefix in (*prefixes, *answers) for name in store.names(folder(prefix))]
    return [*found, *answers, *parts]


def remove(home: Path) -> Removed:
    """Removes the datasite. For while no agent serves. Raises InvalidInput where there is none, Refused where an agent
    serves it."""
    place = DatasiteHome(home.expanduser().resolve())
    settings = DatasiteSettings.load(place.path)
    with place.alone():
        elsewhere = _elsewhere(place, settings)
        objects, left = _empty_store(settings, _studies(place))
        files = _empty_home(place.path)
    place.path.rmdir()
    return Removed(files, objects, left, elsewhere)


def _studies(place: DatasiteHome) -> set[str]:
    """Digests of all that were ever decided on or run here."""
    found = {
        one.name for parent in (place.path / "studies", place.approved) if parent.is_dir() for one in parent.iterdir()
    }
    if place.state.exists():
        with contextlib.suppress(WardroundError), contextlib.closing(State(place.state)) as state:
            found |= {signed.decision.study for signed in state.current_decisions()}
    return found


def _empty_store(settings: DatasiteSettings, studies: Iterable[str]) -> tuple[int, tuple[str, ...] | None]:
    gone, left = 0, []
    try:
        store = Store(settings.store, settings.store_options)
        for name in own_objects(store, settings.email, studies):
            try:
                store.delete(name)
                gone += 1
            except NotAllowed:
                left.append(name)
    except (Unavailable, InvalidInput):  # as its keys are gone, too, in the second try of one that was cut off
        return gone, None
    return gone, tuple(left)


def _empty_home(path: Path) -> int:
    """Everything; what holds patients' data or keys first, the settings and the lock last."""
    files = sum(1 for one in path.rglob("*") if one.is_file() or one.is_symlink())
    first = ("studies", "held", "tables", "state.db", "state.db-wal", "state.db-shm", "pseudonyms.key", "identity.json")
    last = (FILE, "agent.lock")
    names = [one.name for one in path.iterdir() if one.name not in (*first, *last)]
    for name in (*first, *names, *last):
        one = path / name
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink(missing_ok=True)
    return files


def _elsewhere(place: DatasiteHome, settings: DatasiteSettings) -> tuple[str, ...]:
    found = []
    registry = Registry(place.datasets)
    for name in registry.names():
        try:
            source = registry.get(name).source
        except WardroundError:
            continue
        inside = source.path is not None and source.path.is_relative_to(place.path)
        if not inside:
            found.append(f"the table {name}: {source.path or 'in its database'}")
    for option in ("keys_file", "ca_file", "certificate_file", "private_key_file"):
        value = settings.store_options.get(option)
        if value and not Path(str(value)).is_relative_to(place.path):
            found.append(f"{option} of the store: {value}")
    if (place.path / passphrase.HOOK).exists():
        found.append(f"the passphrase, where {passphrase.HOOK} says: {_hook(place.path / passphrase.HOOK)}")
    return (*found, "a systemd unit, if you made one; backups and exports; the machine's own logs")


def _hook(path: Path) -> str:
    return path.read_text().strip().splitlines()[-1]
