"""One thing that a doctor looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`ok` is None where nothing depends on it; `mend` says what to do about what is not as it should be."""

    what: str
    found: str
    ok: bool | None = None
    mend: str = ""
