"""A home from a backup: whole or not at all, checked before it is there, and marked, so that no agent serves it yet."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, cast

from pydantic import Field, ValidationError

from datasites.backup.save import ABOUT, FILES, FOLDERS, KIND, PRIVATE, STATE, TABLES
from datasites.backup.stream import Reader, read_header
from datasites.home import DatasiteHome
from datasites.layout import LAYOUT
from datasites.state import State, now
from datasites.wire.files import sync_folder, write_atomically
from datasites.wire.values import Digest, Email, Frozen
from policies.errors import InvalidInput, Refused

_DRAFT, _MOST_ABOUT = ".draft-of-restore", 64 * 1024


class About(Frozen):
    """What a backup says of itself. `entries`, `root`: of the audit log."""

    email: Email
    fingerprint: str
    at: str
    layout: int
    entries: Annotated[int, Field(ge=1)]
    root: Digest
    private: bool


@dataclass(frozen=True)
class Mark:
    """Of a home that was put back and not confirmed yet: how long its log was, and when the backup was made."""

    entries: int
    made: str


def put_back(file: Path, home: Path, passphrase: bytes) -> About:
    """Makes the home. Raises Refused where there is one, InvalidInput for a file that is damaged or no backup."""
    place = home.expanduser().resolve()
    if place.exists() and any(place.iterdir()):
        raise Refused(f"{place} is not empty.", "Give --home a new folder: nothing is ever put over a datasite.")
    place.parent.mkdir(parents=True, exist_ok=True)
    for left in place.parent.glob(f".{place.name}{_DRAFT}-*"):  # of one that was cut off
        shutil.rmtree(left)
    draft = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}{_DRAFT}-"))
    try:
        about = _unpacked(file, draft, passphrase)
        _checked(draft, about)
        mark = {"entries": about.entries, "made": about.at, "restored": now().isoformat()}
        write_atomically(DatasiteHome(draft).restored, json.dumps(mark).encode())
        _place_tables(draft, place)
        _sync(draft)
        if place.exists():
            place.rmdir()
        os.rename(draft, place)
        sync_folder(place.parent)
    except OSError as error:
        raise InvalidInput(f"{place} could not be written: {error.strerror}.", "Make room, and try again.") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return about


def described(file: Path) -> str:
    """Whose backup it says it is, before it was opened. Raises InvalidInput."""
    with _opened(file) as stream:
        _, header = read_header(stream)
    if header.get("kind") != KIND:
        raise InvalidInput("This is not a backup that this release can read.", "Use the release that made it.")
    return f"{header.get('email')}, {header.get('at')}"


def mark(home: DatasiteHome) -> Mark | None:
    """None for a home that was not put back, or whose owner has confirmed it. A damaged mark counts as one."""
    try:
        content = json.loads(home.restored.read_bytes())
        return Mark(int(content["entries"]), str(content["made"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Mark(0, "at an unknown time")


def _opened(file: Path) -> IO[bytes]:
    try:
        return file.expanduser().open("rb")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.", "Give a backup.") from None


def _unpacked(file: Path, draft: Path, passphrase: bytes) -> About:
    described(file)
    about: About | None = None
    with _opened(file) as stream:
        reader = Reader(stream, passphrase)
        try:
            with tarfile.open(fileobj=cast(IO[bytes], reader), mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is None:
                        raise InvalidInput("The backup holds what is no file.", "Use another one.")
                    if about is None:
                        about = _about(member, content)
                    else:
                        _write(draft / _safe(member.name), content)
            while reader.read(1024 * 1024):  # to the last chunk, without which the file is not whole
                pass
        except tarfile.TarError:
            raise InvalidInput("The backup is damaged.", "Use another one.") from None
    if about is None:
        raise InvalidInput("The backup is empty.", "Use another one.")
    return about


def _about(member: tarfile.TarInfo, content: IO[bytes]) -> About:
    try:
        if member.name != ABOUT:
            raise ValueError
        about = About.model_validate_json(content.read(_MOST_ABOUT))
    except (ValidationError, ValueError):
        raise InvalidInput("The backup does not say what it is of.", "Use the release that made it.") from None
    if about.layout > LAYOUT:
        raise InvalidInput(
            f"A newer release of Wardround made this backup (layout {about.layout}; this one knows {LAYOUT}).",
            "Install that release, or a newer one.",
        )
    return about


def _safe(name: str) -> Path:
    """Only what a backup is made of is written; who knows the passphrase could have made the file, too."""
    parts = PurePosixPath(name).parts
    plain = bool(parts) and str(PurePosixPath(*parts)) == name and not any(p.startswith(".") for p in parts)
    known = (len(parts) == 1 and name in (STATE, *FILES)) or (
        len(parts) > 1 and parts[0] in (*FOLDERS, *PRIVATE, TABLES)
    )
    if not (plain and known) or name.startswith("/"):
        raise InvalidInput(f"The backup holds {name!r}, which is no part of a datasite.", "Use another one.")
    return Path(*parts)


def _write(target: Path, content: IO[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        shutil.copyfileobj(content, stream)


def _checked(draft: Path, about: About) -> None:
    """That the books are those the backup speaks of, and hold together. Brings them up to date, too."""
    home = DatasiteHome(draft)
    if not home.state.is_file():
        raise InvalidInput("The backup holds no books (state.db).", "Use another one.")
    with closing(State(home.state)) as state:
        same = state.audit.size == about.entries and state.audit.root(about.entries).hex() == about.root
        if not same:
            raise InvalidInput("The audit log in the backup is not the one it speaks of.", "Use another one.")
        state.ledger.check()


def _place_tables(draft: Path, place: Path) -> None:
    """Tables that came with the backup are read from the new home from now on."""
    for path in (draft / TABLES).glob("*/*"):
        entry = draft / "datasets" / f"{path.parent.name}.json"
        if entry.is_file():
            content = json.loads(entry.read_bytes())
            content["source"]["path"] = str(place / path.relative_to(draft))
            write_atomically(entry, json.dumps(content, indent=1).encode())


def _sync(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
