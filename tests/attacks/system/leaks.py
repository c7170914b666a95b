"""Whether anything of a patient, or a secret of the hospital's, is anywhere where it must not be."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from datasites.wire.identity import Identity, PublicIdentity
from policies.errors import WardroundError


class Marks:
    """The bytes by which a row, or a secret, would be known: as text, and as numbers of every width that holds them."""

    def __init__(self, tables: Iterable[pd.DataFrame], secrets: Iterable[bytes]) -> None:
        numbers = [int(number) for table in tables for number in table["mark"]]
        found = {secret for secret in secrets if secret}
        for number in numbers:
            found |= {str(number).encode(), np.int64(number).tobytes(), np.float64(number).tobytes()}
            found |= {f"{number:x}".encode(), np.int64(number).byteswap().tobytes()}
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(found))))

    def found_in(self, data: bytes) -> bytes | None:
        hit = self._pattern.search(data)
        return hit.group() if hit else None


class Watch:
    """Looks at every new file below some folders, in clear and opened with any of the keys that attackers have."""

    def __init__(self, marks: Marks, places: Iterable[Path], readers: Iterable[Identity]) -> None:
        self.marks = marks
        self._places = list(places)
        self._readers = list(readers)
        self._seen: dict[Path, tuple[int, int]] = {}
        self.opened = 0

    def leaks(self, senders: Iterable[PublicIdentity]) -> list[str]:
        """Where something was found since the last time."""
        keys = [(reader, sender) for reader in self._readers for sender in senders]
        found = []
        for path in self._new():
            with contextlib.suppress(FileNotFoundError):  # withdrawn just now
                for data in self._contents(path.read_bytes(), keys):
                    if mark := self.marks.found_in(data):
                        found.append(f"{mark!r} in {path}")
            if mark := self.marks.found_in(str(path).encode()):
                found.append(f"{mark!r} in the name {path}")
        return found

    def _new(self) -> Iterator[Path]:
        for place in self._places:
            for path in sorted(place.rglob("*")):
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    if path.is_file() and self._seen.get(path) != (status.st_mtime_ns, status.st_size):
                        self._seen[path] = (status.st_mtime_ns, status.st_size)
                        if status.st_size < 2**26:  # larger ones are an attacker's own
                            yield path

    def _contents(self, data: bytes, keys: list[tuple[Identity, PublicIdentity]]) -> Iterator[bytes]:
        yield data
        for reader, sender in keys:
            try:
                plaintext = reader.open(sender, data)
            except WardroundError:
                continue
            self.opened += 1
            yield plaintext
            if plaintext[:2] == b"\x1f\x8b":
                with contextlib.suppress(tarfile.TarError, OSError):
                    yield gzip.GzipFile(fileobj=io.BytesIO(plaintext)).read()
