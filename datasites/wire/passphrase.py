"""Where the passphrase of a key file comes from: a command (a key management service), a file, the environment, or
whoever sits at the terminal. It is never an option of a command, where every user of the machine could read it.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shlex
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

from policies.errors import InvalidInput, Refused, Unavailable

VARIABLE = "WARDROUND_PASSPHRASE"  # with _COMMAND and _FILE behind it, or the passphrase itself
HOOK = "passphrase.toml"  # beside a key, or one folder above: `command = "..."` or `file = "..."`
SHORTEST = 12
_MOST_BYTES, _COMMAND_SECONDS = 4096, 60.0
_REMEMBERED: dict[Path, bytes] = {}  # by folder, in this process alone
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is read wrongly over the telephone
_GROUPS, _GROUP = 5, 5


def invented() -> str:
    """A new passphrase of 124 bits that can be read out: five groups of five."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def passphrase(key: Path, variable: str = VARIABLE) -> bytes:
    """The passphrase of the key file `key`. Raises InvalidInput, Refused or Unavailable; none tells what it is."""
    for folder in _folders(key):
        if folder in _REMEMBERED:
            return _REMEMBERED[folder]
    found = _from_environment(variable)
    if found is None:
        found = _from_hook(key)
    if found is None and sys.stdin is not None and sys.stdin.isatty():
        found = getpass.getpass(f"Passphrase of {key}: ").encode()
        remember(key.parent, found)  # or it would be asked for at every step of one command
    if found is None:
        raise InvalidInput(
            f"The key in {key} is protected by a passphrase, and none was given.",
            f"Set {variable}_FILE to a file or {variable}_COMMAND to a command that prints it, or write a {HOOK}.",
        )
    return found


def remember(folder: Path, value: bytes) -> None:
    """For keys in `folder`, as long as this process runs."""
    _REMEMBERED[folder.expanduser().resolve()] = value


def _folders(key: Path) -> tuple[Path, Path]:
    folder = key.expanduser().resolve().parent
    return folder, folder.parent


def new_passphrase(what: str, variable: str = VARIABLE) -> bytes:
    """One that is being chosen: as `passphrase`, but asked twice. Raises InvalidInput where it is too short."""
    found = _from_environment(variable)
    if found is None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise InvalidInput(
                f"A passphrase for {what} is needed.", f"Set {variable}_FILE or {variable}_COMMAND, or use a terminal."
            )
        found = getpass.getpass(f"New passphrase for {what}: ").encode()
        if getpass.getpass("The same again: ").encode() != found:
            raise InvalidInput("The two passphrases differ.", "Nothing was made. Start again.")
    if len(found) < SHORTEST:
        raise InvalidInput(f"The passphrase for {what} is too short.", f"Use {SHORTEST} characters or more.")
    return found


def write_hook(folder: Path, *, file: Path | None = None, command: str = "") -> None:
    """Notes in `folder` where the passphrase of its keys comes from; the passphrase itself is not written."""
    from datasites.wire.files import write_atomically

    value = command or str(Path(file or "").expanduser().resolve())
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    line = f'{"command" if command else "file"} = "{quoted}"\n'
    write_atomically(folder / HOOK, b"# Where the passphrase of this folder's keys comes from.\n" + line.encode())


def _from_environment(variable: str) -> bytes | None:
    if command := os.environ.get(f"{variable}_COMMAND"):
        return printed(command)
    if path := os.environ.get(f"{variable}_FILE"):
        return from_file(Path(path))
    value = os.environ.get(variable)
    return value.encode() if value else None


def _from_hook(key: Path) -> bytes | None:
    for folder in _folders(key):
        path = folder / HOOK
        if not path.is_file():
            continue
        try:
            content = tomllib.loads(path.read_text())
        except (OSError, ValueError):
            content = {}
        match content:
            case {"command": str(command), **rest} if not rest:
                return printed(command)
            case {"file": str(file), **rest} if not rest:
                return from_file(Path(file))
        raise InvalidInput(f"{path} is not understood.", 'It needs one line: command = "..." or file = "...".')
    return None


def from_file(path: Path) -> bytes:
    """The first line of a file that not everybody may read."""
    try:
        if stat.S_IMODE(path.expanduser().stat().st_mode) & 0o007:
            raise Refused(f"Every user of this machine can read the passphrase in {path}.", f"Run: chmod o= {path}")
        content = path.expanduser().read_bytes()
    except OSError:
        raise InvalidInput(
            f"The passphrase file {path} cannot be read.", "Check that it is there, and whom it belongs to."
        ) from None
    return _line(content, f"The passphrase file {path}")


def printed(command: str) -> bytes:
    """The first line that a command prints; no shell takes part."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, timeout=_COMMAND_SECONDS, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise Unavailable("The command that prints the passphrase failed.", "Run it by hand to see why.") from None
    return _line(done.stdout, "What the passphrase command printed")


def _line(content: bytes, whose: str) -> bytes:
    line = content.split(b"\n", 1)[0].rstrip(b"\r")
    if not line or len(line) > _MOST_BYTES:
        raise InvalidInput(f"{whose} holds no passphrase.", "It must be the first line.")
    return line
