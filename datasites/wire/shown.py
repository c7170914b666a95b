"""How objects show themselves in a notebook: plain tables and small drawings without a colour of their own, so that
they read on a dark page as on a light one. Every text is escaped, wherever it comes from."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

_LEFT = "style='text-align:left'"
_MOST = 200  # characters of a fact
_WIDE, _HIGH = 120, 28  # pixels of a small drawing


class Shown:
    """What has facts to tell: on one line as its `repr`, and as a small table in a notebook."""

    shown_as: ClassVar[str] = ""  # the heading; the class's name when left out

    def _facts(self) -> Mapping[str, object]:
        """By name, the most important first; empty ones are left out. It asks nobody, and changes nothing."""
        raise NotImplementedError

    def __repr__(self) -> str:
        told = (f"{name} {_short(value)}" for name, value in self._facts().items() if _short(value))
        return f"<{type(self).__name__}: {'; '.join(told)}>"

    def _repr_html_(self) -> str:
        return heading(self.shown_as or type(self).__name__) + facts(self._facts())


def heading(title: str, note: str = "") -> str:
    """note: in a line of its own."""
    return f"<p><b>{_text(title)}</b>{f'<br>{_text(note)}' if note else ''}</p>"


def paragraph(text: str) -> str:
    return f"<p>{_text(text)}</p>"


def facts(rows: Mapping[str, object]) -> str:
    """What is said about what."""
    told = [(name, _short(value)) for name, value in rows.items() if _short(value)]
    cells = "".join(f"<tr><th {_LEFT}>{_text(n)}</th><td {_LEFT}>{_text(v)}</td></tr>" for n, v in told)
    return f"<table>{cells}</table>"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Cells that come from `bars` and `curve` are drawn."""
    above = "".join(f"<th {_LEFT}>{_text(name)}</th>" for name in head)
    drawn = "".join(f"<tr>{''.join(f'<td {_LEFT}>{_cell(one)}</td>' for one in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{above}</tr></thead><tbody>{drawn}</tbody></table>"


class Drawing(str):
    """HTML of this module's own making."""


def bars(counts: Sequence[float], label: str) -> Drawing:
    """A histogram the size of a word. label: what a screen reader says of it."""
    most, width = max([*counts, 0]) or 1, _WIDE / max(len(counts), 1)
    drawn = "".join(
        f"<rect x='{i * width:.1f}' y='{_HIGH * (1 - count / most):.1f}' width='{max(width - 1, 0.5):.1f}' "
        f"height='{_HIGH * count / most:.1f}' fill='currentColor' fill-opacity='.6'/>"
        for i, count in enumerate(counts)
    )
    return _drawing(drawn, label)


def curve(values: Sequence[float], label: str) -> Drawing:
    """A line the size of a word, through those of the values that are numbers."""
    points = [(i, value) for i, value in enumerate(values) if math.isfinite(value)]
    if not points:
        return Drawing("")
    low, high = min(v for _, v in points), max(v for _, v in points)
    right, reach = max(len(values) - 1, 1), (high - low) or 1
    at = [(2 + (_WIDE - 4) * i / right, 2 + (_HIGH - 4) * (high - v) / reach) for i, v in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    end = f"<circle cx='{at[-1][0]:.1f}' cy='{at[-1][1]:.1f}' r='2' fill='currentColor'/>"
    return _drawing(f"<polyline points='{line}' fill='none' stroke='currentColor' stroke-width='1.5'/>{end}", label)


def star(centre: str, around: Mapping[str, bool]) -> Drawing:
    """Who is linked with the centre: a full line and dot where True, a broken line and an empty ring where not yet."""
    wide, high = 460, 60 + 28 * max(len(around), 2)
    drawn = f"<circle cx='14' cy='{high / 2:.0f}' r='6' fill='currentColor' stroke='currentColor'/>"
    drawn += f"<text x='4' y='{high / 2 + 24:.0f}' fill='currentColor' font-size='13'>{_text(centre)}</text>"
    for i, (name, linked) in enumerate(around.items()):
        y = 40 + (high - 80) * (i / (len(around) - 1) if len(around) > 1 else 0.5)
        broken, inside = ("", "currentColor") if linked else (" stroke-dasharray='4 4'", "none")
        drawn += (
            f"<line x1='20' y1='{high / 2:.0f}' x2='106' y2='{y:.0f}' stroke='currentColor'{broken}/>"
            f"<circle cx='112' cy='{y:.0f}' r='6' fill='{inside}' stroke='currentColor'/>"
            f"<text x='126' y='{y + 4:.0f}' fill='currentColor' font-size='13'>{_text(name)}</text>"
        )
    return _drawing(drawn, f"{sum(around.values())} of {len(around)} are linked with {centre}", wide, high)


def _drawing(inside: str, label: str, wide: int = _WIDE, high: int = _HIGH) -> Drawing:
    return Drawing(f"<svg width='{wide}' height='{high}' role='img' aria-label='{_text(label)}'>{inside}</svg>")


def _cell(value: object) -> str:
    return value if isinstance(value, Drawing) else _text(_short(value))


def _short(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _text(text: str) -> str:
    return html.escape(text)
