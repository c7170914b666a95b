"""The federation file (TOML): which store hospitals share, and who they are."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from datasites.wire.identity import check_email
from datasites.wire.store_options import beside
from policies.errors import InvalidInput


@dataclass(frozen=True)
class Hospital:
    """`fingerprint`: of its keys, if the federation file names it; otherwise its keys are pinned at first sight."""

    label: str
    email: str
    fingerprint: str = ""


@dataclass(frozen=True)
class FederationFile:
    """store_options: as obstore takes them, with the files they name looked for beside the federation file."""

    name: str
    store: str
    store_options: Mapping[str, Any]
    hospitals: tuple[Hospital, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises InvalidInput for what is not a federation file."""
        try:
            content = tomllib.loads(path.read_text())
        except OSError:
            raise InvalidInput(
                f"There is no federation file {path}.", "Ask a hospital of the federation for it."
            ) from None
        except ValueError as error:
            raise InvalidInput(f"{path} is not valid TOML: {error}.") from None
        options = content.get("store_options", {})
        if not content.get("store") or not content.get("hospitals") or not isinstance(options, dict):
            raise _no_federation(path)
        options = beside(path.resolve().parent, options)
        return cls(str(content.get("name", path.stem)), str(content["store"]), options, _hospitals(content, path))


def _hospitals(content: Mapping[str, Any], path: Path) -> tuple[Hospital, ...]:
    try:
        return tuple(
            Hospital(label, check_email(str(entry["email"])), str(entry.get("fingerprint", "")))
            for label, entry in dict(content["hospitals"]).items()
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise _no_federation(path) from None


def _no_federation(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} is not a federation file.", "It needs `store = ...` and `[hospitals.NAME]` with an `email`."
    )
