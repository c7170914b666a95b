"""Options of the object store that are kept in files: keys, and the certificate of a private authority."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policies.errors import InvalidInput

# Files, by the option that names them. What `keys_file` holds, a JSON object, counts as if it were among the options.
# What a store is shown that asks for client certificates (see `certified`). Both may be in one PEM file, named by the
# first, which then is replaced in one step.
CERTIFICATE, PRIVATE_KEY = "certificate_file", "private_key_file"
FILES = ("keys_file", "ca_file", CERTIFICATE, PRIVATE_KEY)


def beside(folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """The same options; files that are named without a folder's whole path are looked for in `folder`."""
    return {k: str(folder / Path(str(v)).expanduser()) if k in FILES else v for k, v in options.items()}


def resolved(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the object store takes them: files read, none named any more.

    `ca_file`: certificates (PEM) that the store's own may be signed by, besides those this machine trusts.
    Raises InvalidInput, which tells no content.
    """
    plain = {name: value for name, value in options.items() if name not in FILES}
    if keys := options.get("keys_file"):
        plain |= _keys(Path(str(keys)))
    if options.get(CERTIFICATE):
        return plain | {name: str(options[name]) for name in FILES[1:] if options.get(name)}
    if authority := options.get("ca_file"):
        client = dict(plain.get("client_options", {}))
        plain["client_options"] = client | {"root_certificate": _read(Path(str(authority)), "ca_file")}
    return plain


def _keys(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read(path, "keys_file"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise InvalidInput(
            f"The store's keys_file {path} is not a JSON object.",
            'Write for instance {"aws_access_key_id": "...", "aws_secret_access_key": "..."}.',
        )
    return content


def _read(path: Path, option: str) -> str:
    try:
        return path.expanduser().read_text()
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(
            f"The store's {option} {path} cannot be read.", "Check that it is there, and whom it belongs to."
        ) from None
