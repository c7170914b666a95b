"""Pictures of a study, with colours that the colour-blind can tell apart (Okabe and Ito, 2008)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from policies.errors import InvalidInput
from researcher.history import History

if TYPE_CHECKING:
    from ipywidgets import DOMWidget
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
_FEDERATED = "#000000"
_MANY = len(COLOURS)  # more hospitals than colours: thin grey lines, without names


class Plot(Figure):
    """A figure that notebooks show by themselves, whatever plotting backend is set up; `savefig` exports it."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=110)
        return picture.getvalue()

    def interactive(self) -> DOMWidget:
        """The same figure as a widget for a running notebook: zoom, pan, save, and the numbers of the point under the
        mouse. Raises InvalidInput where what it needs is not installed."""
        try:
            with _same_backend():
                import mplcursors
                from ipympl.backend_nbagg import Canvas, FigureManager
        except ImportError:
            raise InvalidInput(
                "An interactive figure needs ipympl and mplcursors.", "Run: pip install 'wardround[notebooks]'"
            ) from None
        canvas = Canvas(self)
        canvas.manager = FigureManager(canvas, num=1)
        canvas.header_visible, canvas.toolbar_position = False, "bottom"
        self._cursor = mplcursors.cursor(self.axes, hover=mplcursors.HoverMode.Transient)
        self._cursor.connect("add", _name)
        return canvas


@contextmanager
def _same_backend() -> Iterator[None]:
    """Around an import of ipympl, which makes itself the backend of all figures to come, whoever draws them."""
    chosen = matplotlib.get_backend(auto_select=False)
    try:
        yield
    finally:
        if chosen is None:
            matplotlib.rcParams["backend"] = matplotlib.rcParamsDefault["backend"]
        elif chosen != matplotlib.get_backend(auto_select=False):
            matplotlib.use(chosen)


def _name(selected: Any) -> None:
    """Of a line, what is pointed at is the nearest of its points, not a place between two rounds."""
    line = selected.artist
    if isinstance(line, Line2D):
        x, y = np.asarray(line.get_xydata(), float)[round(selected.index)]
        label = str(line.get_label())
        selected.annotation.set_text(f"{'' if label.startswith('_') else label + chr(10)}{x:g}: {y:.4g}")


def plot_rounds(
    history: History, strategy: str, references: Mapping[str, float], model: str = "the same model"
) -> Plot:
    """AUC by round: the federation's (over all test patients), and each hospital's own where the code reports `auc`.

    model: which one hospitals evaluate."""
    figure = Plot(figsize=(9, 4.5), layout="constrained")
    axes = figure.add_subplot()
    _hospital_lines(axes, history, model)
    rounds = history.rounds()
    if "federated_auc" in rounds:
        axes.plot(
            rounds["round"],
            rounds["federated_auc"],
            color=_FEDERATED,
            linewidth=2.5,
            marker="o",
            markersize=4,
            label=f"{strategy}, all test patients",
        )
    for style, (name, value) in zip((":", "--", "-.") * len(references), references.items(), strict=False):
        axes.axhline(value, color="#555555", linestyle=style, linewidth=1.3, label=f"{name}: {value:.3f}")
    axes.set_xlabel("rounds of training")
    axes.set_ylabel("area under the ROC curve")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False)
    return figure


def plot_decay(table: pd.DataFrame, alarms: pd.DataFrame) -> Plot:
    """AUC, and observed over expected outcomes, by time: a line for each hospital with bars of one standard error."""
    times = list(dict.fromkeys(table["when"]))
    figure = Plot(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    groups = list(table.groupby("hospital"))
    for axes, value, what in ((above, "auc", "discrimination"), (below, "ratio", "calibration")):
        for index, (hospital, rows) in enumerate(groups):
            few = len(groups) <= _MANY
            axes.errorbar(
                [times.index(when) for when in rows["when"]],
                rows[value],
                yerr=rows[f"{value}_error"],
                color=COLOURS[index] if few else "#BBBBBB",
                marker="o",
                markersize=4,
                capsize=2,
                label=str(hospital) if few else None,
            )
        ringed = alarms[alarms["what"] == what]
        places = [times.index(when) for when in ringed["when"]]
        axes.scatter(places, ringed["now"], s=160, facecolors="none", edgecolors="#D55E00", linewidths=2, label="alarm")
        axes.grid(alpha=0.25)
    above.set_ylabel("area under the ROC curve")
    below.set_ylabel("observed / expected")
    below.axhline(1, color="#555555", linestyle=":")
    below.set_xticks(range(len(times)), [str(when) for when in times])
    above.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False)
    return figure


def plot_consensus(distances: pd.Series[float]) -> Plot:
    """How far hospitals' models are apart after each round of gossip, on a logarithmic scale."""
    figure = Plot(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(distances.index, distances, color=COLOURS[0], marker="o", markersize=4)
    if (distances > 0).any():
        axes.set_yscale("log")
    axes.set_xlabel("rounds of training")
    axes.set_ylabel("consensus distance")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    return figure


def plot_matrix(matrix: pd.DataFrame, metric: str) -> Plot:
    """A heat map: a row for each model, a column for each hospital, the numbers in the cells."""
    rows, columns = matrix.shape
    figure = Plot(figsize=(2.5 + 0.9 * columns, 1.6 + 0.45 * rows), layout="constrained")
    axes = figure.add_subplot()
    values = matrix.to_numpy(float)
    middle = (float(np.nanmin(values)) + float(np.nanmax(values))) / 2
    image = axes.imshow(values, cmap="cividis", aspect="auto")
    for row, column in np.ndindex(rows, columns):
        if (value := float(values[row, column])) == value:
            colour = "white" if value < middle else "black"
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(columns), [str(name) for name in matrix.columns], rotation=30, ha="right")
    axes.set_yticks(range(rows), [str(name) for name in matrix.index])
    axes.set_xlabel("test patients of")
    axes.set_ylabel("model")
    figure.colorbar(image, ax=axes, label=metric)
    return figure


def _hospital_lines(axes: Axes, history: History, model: str) -> None:
    table = history.hospitals()
    if "auc" not in table:
        return
    groups = list(table.dropna(subset=["auc"]).groupby("hospital"))
    for index, (hospital, rows) in enumerate(groups):
        few = len(groups) <= _MANY
        crowd = None if index else f"{model} at each hospital"
        axes.plot(
            rows["round"],
            rows["auc"],
            color=COLOURS[index] if few else "#BBBBBB",
            linewidth=1.2,
            alpha=0.9,
            label=f"{model} at {hospital}" if few else crowd,
        )
