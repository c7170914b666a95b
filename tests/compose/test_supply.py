"""What a hospital is told of the packages it installs."""

from __future__ import annotations

from typing import Any

import pytest

from compose.lock import TORCH, locks
from compose.supply import bom
from compose.supply.licences import licences
from compose.supply.wheel import built_twice


@pytest.fixture(scope="module")
def whole() -> bom.Bom:
    return bom.installed()


def component(**fields: Any) -> bom.Bom:
    return {"components": [{"name": "numpy", "version": "1", **fields}]}


@pytest.mark.slow
def test_the_bill_names_what_the_datasite_s_image_holds_and_nothing_else(whole: bom.Bom) -> None:
    packages = {**locks()[TORCH], **locks()["datasite"]}
    part = bom.only(whole, packages)
    assert {one["name"].lower().replace("_", "-").replace(".", "-") for one in part["components"]} == set(packages)
    refs = {one["bom-ref"] for one in part["components"]} | {part["metadata"]["component"]["bom-ref"]}
    assert {ref for edge in part["dependencies"] for ref in (edge["ref"], *edge["dependsOn"])} == refs
    with pytest.raises(SystemExit, match="nobody-has-this"):
        bom.only(whole, ["nobody-has-this"])


@pytest.mark.slow
def test_every_package_of_the_images_has_a_licence_that_was_read(whole: bom.Bom) -> None:
    packages = [name for file in locks().values() for name in file]
    assert [one for one in licences(bom.only(whole, packages)) if one.open] == []


@pytest.mark.parametrize(
    ("stated", "to_read"),
    [
        ([{"license": {"id": "GPL-3.0-only"}}], ("GPL-3.0-only",)),
        ([{"expression": "MIT OR AGPL-3.0-only"}], ("AGPL-3.0-only",)),
        ([{"license": {"name": "License :: Other/Proprietary License"}}], ("License", "Other", "Proprietary")),
        ([{"expression": "Apache-2.0 WITH LLVM-exception"}], ()),
        ([{"license": {"name": "License :: OSI Approved :: BSD License"}}], ()),
    ],
)
def test_a_licence_that_nobody_has_judged_is_told(stated: list[dict[str, Any]], to_read: tuple[str, ...]) -> None:
    (found,) = licences(component(licenses=stated))
    assert found.open == to_read


@pytest.mark.slow
def test_the_same_source_gives_the_same_wheel() -> None:
    first, second = built_twice()
    assert first == second
