from __future__ import annotations

import re

from datasites.wire.shown import Shown, bars, curve, facts, heading, paragraph, star, table

HOSTILE = "<script>alert('1')</script>"


class Told(Shown):
    def _facts(self) -> dict[str, object]:
        return {"name": HOSTILE, "rounds": 12345, "share": 0.123456, "empty": "", "nothing": None, "long": "x" * 1000}


def test_facts_on_one_line_and_as_a_table() -> None:
    told = Told()
    assert repr(told) == f"<Told: name {HOSTILE}; rounds 12,345; share 0.1235; long {'x' * 199}…>"
    assert "12,345" in told._repr_html_()
    assert "empty" not in told._repr_html_()


def test_every_text_is_escaped() -> None:
    drawn = [
        Told()._repr_html_(), heading(HOSTILE, HOSTILE), paragraph(HOSTILE), facts({HOSTILE: HOSTILE}),
        table([HOSTILE], [[HOSTILE]]), bars([1], HOSTILE), curve([1], HOSTILE), star(HOSTILE, {HOSTILE: True}),
    ]  # fmt: skip
    assert not [one for one in drawn if "<script" in one or "alert('" in one]
    assert all("&lt;script&gt;" in one for one in drawn)


def test_drawings_take_the_pages_own_colour() -> None:
    for one in (bars([0, 1, 2], "a"), curve([0.5, float("nan"), 0.7], "b"), star("me", {"a": True, "b": False})):
        assert "role='img' aria-label=" in one
        assert set(re.findall(r"(?:fill|stroke)='([^']*)'", one)) <= {"currentColor", "none"}
        assert "nan" not in one


def test_a_map_tells_who_is_linked_by_more_than_its_label() -> None:
    drawn = star("me", {"a": True, "b": False})
    assert "1 of 2 are linked with me" in drawn
    assert drawn.count("stroke-dasharray") == drawn.count("fill='none'") == 1


def test_bars_are_as_high_as_their_counts() -> None:
    assert re.findall(r"height='([\d.]+)' fill", bars([1, 2, 4], "a")) == ["7.0", "14.0", "28.0"]
    assert "<rect" not in bars([], "none")
    assert curve([float("nan")], "none") == ""
