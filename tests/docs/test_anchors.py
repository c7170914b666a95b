from __future__ import annotations

from pathlib import Path

import researcher as wr
from datasites.wire.dictionary import Dictionary

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "anchors.md").read_text()


def test_the_page_says_how_wide_the_noise_is(tmp_path: Path) -> None:
    dictionary = Dictionary.load(ROOT / "notebooks" / "readmission" / "dictionary.toml")
    around, every = (
        wr.PrivateMarginals(
            "anchor", "Test", "readmissions", list(dictionary.columns), 1.0, delta=1e-5, around=column, home=tmp_path
        ).statistics(dictionary)
        for column in (dictionary.table.target, None)
    )
    assert (
        f"standard deviation is {around.deviation:.0f} patients around the outcome, {every.deviation:.0f} with" in PAGE
    )
    assert around.deviation < every.deviation / 3


def test_every_name_is_on_the_page_and_the_page_is_found() -> None:
    names = "IfcaRounds ClusteredRounds one_or_many PrivateMarginals anchor pretrain begin_with AnchoredRounds place"
    assert [name for name in names.split() if name not in PAGE] == []
    assert "(anchors.md)" in (ROOT / "docs" / "strategies.md").read_text()
    assert "docs/anchors.md" in (ROOT / "README.md").read_text()
