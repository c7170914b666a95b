"""Writing a backup, beside a running agent: the books in one consistent copy, keys, policies and what was approved.

The copy of the database comes first, so that whatever it names is among the files read after it. Patients' data is in
it only if asked for.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from datasites.backup.stream import Writer
from datasites.catalog.registry import Registry
from datasites.home import DatasiteHome
from datasites.layout import LAYOUT
from datasites.settings import FILE
from datasites.state import State, now
from datasites.wire.files import locked, sync_folder
from datasites.wire.identity import Identity
from policies.errors import InvalidInput

KIND = "wardround-backup/1"
ABOUT, STATE, TABLES = "backup.json", "state.db", "tables"
FILES = (
    FILE,
    "identity.json",
    "peers.json",
    "passphrase.toml",
    "federation.toml",
    "advised-policy.toml",
    "pseudonyms.key",
    "noise.json",
)
FOLDERS = ("policies", "datasets", "approved", "tls", "reputation", "drift")
PRIVATE = ("studies", "held")  # may hold patients' data
_ASIDE = "backup.draft"


def save(
    home: DatasiteHome, identity: Identity, state: State, target: Path, passphrase: bytes, private: bool = False
) -> int:
    """Writes the backup to `target`, whole or not at all; returns how many entries of the audit log are in it.

    private: with tables' files, studies' folders and results that were held back. Raises InvalidInput, Unavailable.
    """
    target = target.expanduser().resolve()
    if target.is_relative_to(home.path):
        raise InvalidInput(f"{target} is inside the home that is to be saved.", "Choose a place outside of it.")
    with locked(home.path / "backup.lock"):
        for left in (*home.path.glob(f"*{_ASIDE}*"), *target.parent.glob(f".{target.name}.*.draft")):
            left.unlink(missing_ok=True)  # of one that was cut off
        aside = home.path / _ASIDE
        try:
            state.copy(aside)
            return _write(home, identity, aside, target, passphrase, private)
        finally:
            for left in home.path.glob(f"{_ASIDE}*"):
                left.unlink(missing_ok=True)


def _write(home: DatasiteHome, identity: Identity, aside: Path, target: Path, passphrase: bytes, private: bool) -> int:
    with closing(State(aside)) as copy:
        entries, root = copy.audit.size, copy.audit.root(copy.audit.size).hex()
    about = {"email": identity.email, "fingerprint": identity.public.fingerprint, "at": now().isoformat()}
    try:
        descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".draft")
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror}.", "Choose another place.") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            writer = Writer(stream, passphrase, {"kind": KIND, **about})
            with tarfile.open(fileobj=cast(IO[bytes], writer), mode="w|", format=tarfile.PAX_FORMAT) as archive:
                said = {**about, "layout": LAYOUT, "entries": entries, "root": root, "private": private}
                _add_bytes(archive, ABOUT, json.dumps(said).encode())
                _add(archive, STATE, aside)
                for name, path in _files(home, private):
                    _add(archive, name, path)
            writer.close()
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, target)
        sync_folder(target.parent)
    except OSError as error:
        raise InvalidInput(
            f"The backup could not be made ({error.strerror or error}).", "Make room or mend that, and try again."
        ) from None
    finally:
        Path(draft).unlink(missing_ok=True)
    return entries


def _files(home: DatasiteHome, private: bool) -> Iterator[tuple[str, Path]]:
    """Name in the archive, and where it lies. What comes or goes meanwhile is bookkeeping, and made again."""
    for name in FILES:
        if (home.path / name).is_file():
            yield name, home.path / name
    for folder in (*FOLDERS, *(PRIVATE if private else ())):
        for path in sorted((home.path / folder).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(home.path).parts)
            if path.is_file() and not path.is_symlink() and not hidden:
                yield path.relative_to(home.path).as_posix(), path
    if private:
        registry = Registry(home.datasets)
        for name in registry.names():
            source = registry.get(name).source.path
            if source is not None and not source.is_file():
                raise InvalidInput(f"The table {name} is not where it was: {source}.", "Publish it from its new place.")
            if source is not None:
                yield f"{TABLES}/{name}/{source.name}", source


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        info = tarfile.TarInfo(name)
        info.size, info.mode = os.fstat(stream.fileno()).st_size, 0o600
        archive.addfile(info, stream)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o600
    archive.addfile(info, io.BytesIO(content))
