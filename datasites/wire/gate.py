"""What a message must be before Syft may see it.

Stock Syft 0.10 believes the `sender_email` written inside a message, accepts any path its permission files allow that
sender, and stops syncing with everybody at the first message it cannot apply. So every message is opened here first:
signed by the peer in whose box it lay, naming that peer, touching only that peer's own inbox, and applicable. Anything
else is put aside by the caller and never reaches Syft.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePath, PurePosixPath

import yaml
from pydantic import ValidationError
from syft.sync.events.file_change_event import FileChangeEventsMessage
from syft.sync.messages.proposed_filechange import ProposedFileChange, ProposedFileChangesMessage
from syft_job.models import JobSubmissionMetadata

from datasites.wire import limits
from policies.errors import Refused

_COMPONENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,120}")
_JOB_FILE = re.compile(r"app_data/job/(inbox|review)/[^/]+/v\d{1,3}/[^/]+/.+")
_RULES = "syft.pub.yaml"
_MEMBER = "proposed_file_changes.json"


class MessageRefused(Refused):
    """A message that must not be applied; the text is for the receiver's log."""


def unpack_message(data: bytes, max_bytes: int) -> bytes:
    """The JSON inside Syft's tar.gz, without ever holding more than `max_bytes` of it."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            plain = stream.read(max_bytes + 1)
        if len(plain) > max_bytes:
            raise MessageRefused(f"unpacks to more than {max_bytes:,} bytes")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            members = tar.getmembers()
            # a sparse member is a few bytes that read as terabytes
            if [m.name for m in members] != [_MEMBER] or members[0].type != tarfile.REGTYPE or members[0].issparse():
                raise MessageRefused("is not a single plain file in a tar archive")
            content = tar.extractfile(members[0])
            return content.read(max_bytes) if content else b""
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError):
        raise MessageRefused("is not a readable tar.gz archive") from None


def safe_path(path: str) -> bool:
    """Whether `path` is relative, plain, and names neither a parent, a hidden file nor a permission file."""
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and str(PurePosixPath(*parts)) == path
        and all(_COMPONENT.fullmatch(p) and p.strip() == p and not p.endswith(".") for p in parts)
        and not any(p.lower().startswith("syft.pub") for p in parts)
    )


def inbox_of(sender: str, path: str) -> tuple[str, str] | None:
    """(job folder, path inside it) when `path` lies in `sender`'s own submission inbox, else None."""
    match = re.fullmatch(rf"(app_data/job/inbox/{re.escape(sender)}/v\d{{1,3}}/[^/]+)/(.+)", path)
    # the sender's address holds characters that `safe_path` does not let through elsewhere
    if match and safe_path(path.replace(f"/{sender}/", "/sender/", 1)):
        return match[1], match[2]
    return None


def received_before(plaintext: bytes, sender: str, tree: Path) -> bool:
    """Whether each file of the message lies in the owner's `tree` already, to the byte: it was applied before."""
    try:
        message = ProposedFileChangesMessage.model_validate_json(unpack_message(plaintext, limits.SUBMISSION_BYTES))
    except (ValidationError, ValueError, MessageRefused):
        return False
    return 1 <= len(message.proposed_file_changes) <= limits.SUBMISSION_FILES and all(
        len(str(change.path_in_datasite)) <= limits.PATH_CHARACTERS
        and inbox_of(sender, str(change.path_in_datasite)) is not None
        and not change.is_deleted
        and isinstance(change.content, str)
        and _holds(tree / change.path_in_datasite, change.content.encode(errors="replace"))
        for change in message.proposed_file_changes
    )


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == content


def check_submission(
    plaintext: bytes, sender: str, owner: str, exists: Callable[[str], bool]
) -> ProposedFileChangesMessage:
    """The message, if it is one whole, new job of `sender` for `owner`.

    `exists` says whether a path below the owner's datasite exists: submissions are written once, never changed.
    Raises MessageRefused, naming every reason.
    """
    try:
        message = ProposedFileChangesMessage.model_validate_json(unpack_message(plaintext, limits.SUBMISSION_BYTES))
    except (ValidationError, ValueError):
        raise MessageRefused("is not a Syft message") from None
    changes = message.proposed_file_changes
    problems = _envelope_problems(message, sender)
    for change in changes[: limits.SUBMISSION_FILES]:
        problems += _change_problems(change, sender, owner, exists)
    if not problems:
        problems = _job_problems({str(c.path_in_datasite): str(c.content) for c in changes}, sender)
    if problems:
        raise MessageRefused("; ".join(dict.fromkeys(problems)))
    return message


def _envelope_problems(message: ProposedFileChangesMessage, sender: str) -> list[str]:
    changes = message.proposed_file_changes
    problems = []
    if message.sender_email != sender:
        problems.append("names another sender than the one who signed it")
    if not 1 <= len(changes) <= limits.SUBMISSION_FILES:
        problems.append(f"has {len(changes)} files, allowed are 1 to {limits.SUBMISSION_FILES}")
    if len({str(c.path_in_datasite) for c in changes}) != len(changes):
        problems.append("names a file twice")
    return problems


def _change_problems(change: ProposedFileChange, sender: str, owner: str, exists: Callable[[str], bool]) -> list[str]:
    path = str(change.path_in_datasite)
    problems = []
    if change.datasite_email != owner:
        problems.append("is for another datasite")
    inside = inbox_of(sender, path)
    if inside is None:
        problems.append("has a path outside the sender's own inbox")
    elif len(path) > limits.PATH_CHARACTERS:
        problems.append(f"has a path of more than {limits.PATH_CHARACTERS} characters")
    elif exists(inside[0]):
        problems.append("changes a submission that is there already")
    if change.is_deleted or change.old_hash is not None:
        problems.append("deletes or replaces a file")
    if not math.isfinite(change.submitted_timestamp):
        problems.append("has a time that is not a number")  # Syft stores it, and could not read its own file again
    text = change.content
    if not isinstance(text, str) or len(text.encode(errors="replace")) > limits.SUBMISSION_FILE_BYTES:
        problems.append(f"holds a file that is not text of at most {limits.SUBMISSION_FILE_BYTES:,} bytes")
    elif "\0" in text or "\r" in text:
        problems.append("holds a file with NUL or carriage-return characters")
    return problems


def _job_problems(files: dict[str, str], sender: str) -> list[str]:
    places = [inbox_of(sender, path) for path in files]
    inside = {place[1]: content for place, content in zip(places, files.values(), strict=True) if place}
    if len({place[0] for place in places if place}) != 1 or not {"run.sh", "config.yaml"} <= inside.keys():
        return ["is not one whole job"]
    if not all(name in {"run.sh", "config.yaml"} or name.startswith("code/") for name in inside):
        return ["holds files that do not belong to a job"]
    if any(str(folder) in inside for name in inside for folder in PurePosixPath(name).parents):
        return ["names one path as a file and as a folder"]
    return [] if _good_config(inside["config.yaml"]) else ["has an unreadable job description"]


def _good_config(text: str) -> bool:
    """Syft loads this file with a YAML parser at every sync: no aliases (they can multiply), and the right fields."""
    if len(text) > limits.CONFIG_BYTES:
        return False
    try:
        if any(isinstance(token, yaml.AliasToken | yaml.AnchorToken | yaml.TagToken) for token in yaml.scan(text)):
            return False
        fields = yaml.safe_load(text)
        JobSubmissionMetadata(**{**fields, "submitted_by": "a@b.c", "datasite_email": "a@b.c"})
    except (yaml.YAMLError, ValidationError, TypeError, ValueError, RecursionError):
        return False
    return bool(fields.get("type") == "python")


def check_events(plaintext: bytes, datasite: str) -> FileChangeEventsMessage:
    """A datasite's news for a researcher: only about its own tree, with plain paths. Raises MessageRefused."""
    try:
        message = FileChangeEventsMessage.model_validate_json(unpack_message(plaintext, limits.EVENTS_BYTES))
    except (ValidationError, ValueError):
        raise MessageRefused("is not a Syft message") from None
    if not math.isfinite(message.timestamp):
        raise MessageRefused("has a time that is not a number")
    for event in message.events:
        if event.datasite_email != datasite:
            raise MessageRefused("speaks for another datasite")
        if not _public_path(event.path_in_datasite):
            raise MessageRefused("has a path outside the datasite's public tree")
        if not event.is_deleted and event.content is None:
            raise MessageRefused("holds a file without content")
        if not (math.isfinite(event.timestamp) and math.isfinite(event.submitted_timestamp)):
            raise MessageRefused("has a time that is not a number")
    return message


def _public_path(path: PurePath) -> bool:
    inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts and path.parts[0] != "private"
    # what a file system would refuse must not reach Syft, whose sync would stop with everybody
    short = len(str(path)) <= limits.PATH_CHARACTERS and all(len(part.encode()) <= 200 for part in path.parts)
    return inside and short and str(path).isprintable()


def writable(root: Path, path: str) -> bool:
    """Whether a datasite's news about `path` (its address first) may be written below `root`, a researcher's tree.

    Syft asks this before each write (its `pre_write_filter`). Only files of jobs and permission files are written, and
    only where no folder is: a datasite that could name a file as a folder would stop the researcher's sync with all.
    """
    inside = path.partition("/")[2]
    if not _JOB_FILE.fullmatch(inside) and (PurePosixPath(path).name != _RULES or inside.startswith("public/")):
        return False
    target = root / path
    standing = next((place for place in target.parents if place.exists()), root)
    return not target.is_dir() and (standing.is_dir() or standing == root)
