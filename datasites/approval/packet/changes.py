"""What is different from the last version of a study that was approved here."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datasites.wire.decision import Decision
from datasites.wire.manifest import Manifest

_LINES = 3_000  # of a file: longer ones are not compared, as a hostile pair would keep a computer busy for minutes
_APART = {"files", "rehearsal", "repetition"}  # told in words of their own
Change = tuple[str, str, str]  # what, before, now


@dataclass(frozen=True)
class Earlier:
    """The version that a study is compared with. `now` says what became of its approval."""

    manifest: Manifest
    files: Mapping[str, bytes]
    approved: Decision
    now: Decision


@dataclass(frozen=True)
class Changes:
    """`asked` are the manifest's fields; `diffs` the files, each with its unified diff."""

    earlier: Earlier
    asked: list[Change]
    diffs: dict[str, list[str]]
    repetition: bool

    @property
    def nothing(self) -> bool:
        """Whether what would run, on what and how often, is the same."""
        return not self.asked and not self.diffs


def compare(earlier: Earlier, manifest: Manifest, files: Mapping[str, bytes]) -> Changes:
    before, now = (_flat(one.model_dump(mode="json", exclude=_APART)) for one in (earlier.manifest, manifest))
    names = [name for name in dict.fromkeys((*before, *now)) if before.get(name) != now.get(name)]
    asked = [change for name in names for change in _change(name, before.get(name), now.get(name))]
    return Changes(earlier, asked, dict(_diffs(earlier.files, files)), earlier.manifest.first == manifest.first)


def _flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested tables as one, with dotted names; lists stay whole."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict) and item:
            found |= _flat(item, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = item
    return found


def _change(name: str, before: Any, now: Any) -> Iterator[Change]:
    if not (_is_names(before) and _is_names(now)):
        yield name, _told(before), _told(now)
        return
    gone, new = [n for n in before if n not in now], [n for n in now if n not in before]
    if gone or new:  # only the differences: there can be hundreds of names
        yield f"{name}, what differs", ", ".join(gone), ", ".join(new)
    else:
        yield f"{name}, in another order", ", ".join(before), ", ".join(now)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _told(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, sort_keys=True)


def _diffs(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    for path in sorted(before.keys() | now.keys()):
        if before.get(path) == now.get(path):
            continue
        old, new = (one.get(path, b"").decode(errors="replace").split("\n") for one in (before, now))
        what = "a new file" if path not in before else "a file that is gone" if path not in now else ""
        if max(len(old), len(new)) > _LINES:
            yield path, [f"@@ {what or 'changed'}; too long to be compared line by line: read it whole @@"]
        else:
            lines = list(difflib.unified_diff(old, new, lineterm=""))[2:]
            yield path, [f"@@ {what} @@", *lines[1:]] if what else lines
