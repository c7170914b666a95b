"""What a manifest says of all its hospitals together: that they add up their results, or train without a centre."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from datasites.wire.manifest import Manifest
from researcher.errors import unusable
from researcher.private_statistics import PrivateStatistics
from researcher.secagg.summed import arrays_of
from researcher.study import Study

if TYPE_CHECKING:  # torch takes seconds to load
    from researcher.private_study import PrivateStudy

    AnyStudy = Study | PrivateStudy | PrivateStatistics


def secured(manifest: Manifest, study: AnyStudy, hospitals: Mapping[str, str]) -> Manifest:
    """Names the hospitals that add up their results, where the study asks for that.

    hospitals: fingerprints of their keys, by address. Raises InvalidInput where the study cannot be added up.
    """
    asked = study.secure_aggregation
    if asked is False:
        return manifest
    named = arrays_of(manifest.outputs) if isinstance(study, Study) else {}
    terms = {"hospitals": hospitals, **named, **(asked if isinstance(asked, Mapping) else {})}
    return _with(manifest, secure_aggregation=terms)


def networked(
    manifest: Manifest, study: AnyStudy, hospitals: Mapping[str, str], label: Callable[[str], str]
) -> Manifest:
    """Names the hospitals that train without a centre, and their neighbours, where the study asks for that.

    hospitals: as above. label: the short name of an address. Raises InvalidInput for a network that cannot be.
    """
    neighbours = None if isinstance(study, PrivateStatistics) else study.gossip
    if neighbours is None:
        return manifest
    return _with(manifest, gossip=neighbours.network(dict(hospitals), label).model_dump(mode="json"))


def _with(manifest: Manifest, **terms: Any) -> Manifest:
    try:
        return Manifest.model_validate({**manifest.model_dump(mode="json"), **terms})
    except ValidationError as error:
        raise unusable(error) from None
