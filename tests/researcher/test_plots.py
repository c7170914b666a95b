"""A plot as a notebook shows it, and as one can point at."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import matplotlib
import pandas as pd
import pytest
from matplotlib.backend_bases import MouseEvent
from matplotlib.text import Annotation

from policies.errors import InvalidInput
from researcher.plots import Plot, _same_backend, plot_consensus


@pytest.fixture
def plot() -> Iterator[Plot]:
    with _same_backend():
        yield plot_consensus(pd.Series([1.0, 0.5, 0.25], index=[1, 2, 3]))


@pytest.mark.filterwarnings("ignore:Passing unrecognized arguments:DeprecationWarning")  # ipympl, to traitlets
def test_pointing_at_a_round_shows_its_numbers(plot: Plot) -> None:
    matplotlib.use("svg")
    widget = plot.interactive()
    assert matplotlib.get_backend() == "svg"  # other figures are drawn as before
    shown = widget._repr_mimebundle_()
    assert {"application/vnd.jupyter.widget-view+json", "image/png"} <= set(shown)  # live, and a picture for a page
    axes = plot.axes[0]
    x, y = axes.transData.transform((2.02, 0.49))
    MouseEvent("motion_notify_event", widget, x, y)._process()
    assert [text.get_text() for text in plot.findobj(Annotation)] == ["2: 0.5"]


def test_where_it_cannot_be_interactive(plot: Plot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipympl.backend_nbagg", None)
    with pytest.raises(InvalidInput, match="ipympl"):
        plot.interactive()
    assert plot._repr_png_().startswith(b"\x89PNG")
