"""The table and the figure of `benchmarks.algorithms`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from researcher.plots import COLOURS

_HEAD = (
    "| method | mean AUC | worst hospital's AUC | rounds to 99% of its own best | MB until then "
    "| rounds to 99% of the best of all |\n|---|---|---|---|---|---|\n"
)
# Nobody can tell 28 lines apart: these are drawn in colour, the others in grey.
_TOLD = (
    "Each alone",
    "All pooled",
    "FedAvg",
    "SCAFFOLD",
    "Shared body, own head",
    "IFCA, 2 models",
    "Boosted trees",
)
_OTHERS = "0.6"


def write(results: list[dict[str, Any]], folder: Path) -> None:
    """algorithms.md, one table for each split, and algorithms.png, one panel for each, in `folder`."""
    splits = list(dict.fromkeys(result["split"] for result in results))
    by_split = {split: [r for r in results if r["split"] == split] for split in splits}
    parts = ["Made by `make bench ONLY=algorithms`; see docs/strategies.md for what it means.\n"]
    parts += [f"## {split}\n\n{_HEAD}{''.join(map(_row, rows))}" for split, rows in by_split.items()]
    (folder / "algorithms.md").write_text("# Methods on the real readmission table\n\n" + "\n".join(parts))
    _draw(by_split, folder / "algorithms.png")


def _row(result: dict[str, Any]) -> str:
    mean = f"{result['mean_auc']:.4f} ± {result['mean_auc_deviation']:.4f}"
    worst = f"{result['worst_auc']:.4f} ± {result['worst_auc_deviation']:.4f}"
    rounds = "never" if result["rounds"] is None else result["rounds"]
    own = f"{result['own_rounds']} | {result['own_bytes'] / 1e6:.1f}"
    return f"| {result['method']} | {mean} | {worst} | {own} | {rounds} |\n"


def _draw(by_split: dict[str, list[dict[str, Any]]], path: Path) -> None:
    figure = Figure(figsize=(4.0 * len(by_split), 11), layout="constrained")
    panels = figure.subplots(2, len(by_split), sharey="row", squeeze=False, height_ratios=(3, 5))
    for (split, rows), curves, ends in zip(by_split.items(), *panels, strict=True):
        places = range(len(rows), 0, -1)
        for row, place in zip(rows, places, strict=True):
            method, told = row["method"], row["method"] in _TOLD
            colour = (*COLOURS[:6], "black")[_TOLD.index(method)] if told else _OTHERS
            numbers = range(1, len(row["curve"]) + 1)
            label, look = (method, {"linewidth": 2.0, "zorder": 3}) if told else (None, {"linewidth": 0.8})
            curves.plot(numbers, row["curve"], color=colour, label=label, **look)
            for key, marker, filled in (("mean_auc", "o", colour), ("worst_auc", "s", "white")):
                ends.errorbar(
                    row[key], place, xerr=row[f"{key}_deviation"], color=colour, marker=marker, mfc=filled, capsize=3
                )
        curves.set_title(split)
        curves.set_xlabel("rounds")
        ends.set_xlabel("AUC after the last round")
        curves.xaxis.set_major_locator(MaxNLocator(integer=True))
        ends.set_yticks(list(places), [row["method"] for row in rows])
        for axes in (curves, ends):
            axes.grid(alpha=0.25)
    panels[0][0].set_ylabel("mean test AUC of hospitals")
    panels[0][-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False)
    figure.supxlabel("below: filled is the mean of hospitals, hollow the worst; bars are seeds", fontsize="small")
    figure.savefig(path, dpi=110)
