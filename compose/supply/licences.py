"""Under which licences a hospital gets the packages, and which of them somebody has to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import metadata

from compose.supply.bom import Bom

# Those that ask for no more than to be named. MPL-2.0 asks for the source of its own files that were changed: none was.
PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-0"),
    *("MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib", "LLVM-exception"),
}
# What packages without an SPDX name call it
_ALSO_CALLED = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause OR Apache-2.0": "BSD-3-Clause OR Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
# Packages that state nothing, as people have read them: the first two are folders of OpenMined's PySyft, whose LICENSE
# this is; the third brings the text of its own
_READ = {"syft-job": "Apache-2.0", "syft-notebook-ui": "Apache-2.0", "mplcursors": "Zlib"}
_WORD = re.compile(r"[A-Za-z0-9.+-]+")


@dataclass(frozen=True)
class Licence:
    """Of one package; `open` names what is not known to be permissive, or says that nothing is stated."""

    package: str
    version: str
    stated: str
    open: tuple[str, ...]


def licences(bom: Bom) -> Iterator[Licence]:
    """Of each component, as its own metadata states it. Unknown means that a person has to read it."""
    for one in bom["components"]:
        stated = sorted({_stated(choice) for choice in one.get("licenses", [])} - {""}) or _field(one["name"])
        names = {name for text in stated for name in _names(text)}
        unknown = tuple(sorted(names - PERMISSIVE)) if names else ("nothing is stated",)
        yield Licence(one["name"], one["version"], " and ".join(stated), unknown)


def _stated(choice: dict[str, object]) -> str:
    inside = choice.get("license")
    told = choice.get("expression") or (isinstance(inside, dict) and (inside.get("id") or inside.get("name"))) or ""
    return str(told).rsplit(" :: ", 1)[-1]


def _field(package: str) -> list[str]:
    """The free text of older metadata, where it is one line; else what people have read."""
    text = (metadata(package).get("License") or _READ.get(package, "")).strip()
    return [text] if text and "\n" not in text else []


def _names(text: str) -> set[str]:
    # of alternatives too each must be known: which one applies is for people
    return set(_WORD.findall(_ALSO_CALLED.get(text, text))) - {"AND", "OR", "WITH"}
