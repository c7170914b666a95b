"""Results that took long, in one small JSON file. What is read from it is a hint: it is verified before it is used."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import Any


class NumberCache:
    """Numbers by what they answer. A damaged file is as an empty one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, question: Any) -> float | None:
        """None if it was never answered."""
        found = self._read().get(_key(question))
        return float(found) if isinstance(found, int | float) and math.isfinite(found) else None

    def put(self, question: Any, answer: float) -> None:
        """The file is replaced whole; of two writers at once, one may have to find its answer again."""
        content = {**self._read(), _key(question): answer}
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, draft = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(descriptor, "w") as stream:
                json.dump(content, stream, sort_keys=True)
            os.replace(draft, self._path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}


def _key(question: Any) -> str:
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()
