"""What topologies have in common: hospitals called by their short names, and studies that no topology but one suits."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from datasites.wire.manifest import Manifest
from policies.errors import InvalidInput
from researcher.participation import ApprovedStudy
from researcher.strategies.scaffold import CONTROL


def named(study: ApprovedStudy, hospitals: Iterable[str], names: Collection[str]) -> dict[str, str]:
    """The names by which `hospitals` (addresses) are called in `names`: the short name, or the address. Those that are
    not called are left out."""
    called = {
        hospital: next((n for n in (study.label(hospital), hospital) if n in names), None) for hospital in hospitals
    }
    return {hospital: name for hospital, name in called.items() if name is not None}


def all_named(study: ApprovedStudy, hospitals: Iterable[str], names: Collection[str], where: str) -> None:
    """Raises InvalidInput for hospitals that have approved and are not called in `names`."""
    there = list(hospitals)
    if missing := [study.label(h) for h in there if h not in named(study, there, names)]:
        raise InvalidInput(f"{', '.join(missing)} approved the study, and is not {where}.", "Name it there.")


def once(names: Iterable[str], where: str) -> None:
    """Raises InvalidInput for a name that stands there twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"{name} stands twice {where}.", "Name each hospital once.")
        seen.add(name)


def no_controls(manifest: Manifest) -> None:
    """Raises InvalidInput for a study of SCAFFOLD: its control variates follow a rule of their own, on the server."""
    if any(name.startswith(CONTROL) for name in manifest.outputs.parameters):
        raise InvalidInput("This study is made for SCAFFOLD.", "Use Rounds(submission, Scaffold(...)).")
