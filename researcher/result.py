"""What comes out of a study: a model, and how it came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from safetensors.numpy import save

from datasites.wire.arrays import Arrays
from datasites.wire.files import write_atomically
from datasites.wire.manifest import Manifest
from researcher.history import History
from researcher.noise import paragraphs
from researcher.plots import Plot, plot_rounds


@dataclass(frozen=True)
class Result:
    """`parameters` is the state after `round` rounds; `load_state_dict` of the study's network takes it as tensors."""

    manifest: Manifest
    strategy: str
    parameters: Arrays = field(repr=False)
    round: int
    history: History = field(repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)  # what to know before it is believed: the hospitals' noise

    @property
    def rounds(self) -> pd.DataFrame:
        """One row per round, over all hospitals."""
        return self.history.rounds()

    @property
    def hospitals(self) -> pd.DataFrame:
        """One row per hospital and round."""
        return self.history.hospitals()

    @property
    def federated_auc(self) -> float | None:
        """Of the last evaluated state, over the union of all hospitals' test patients."""
        return self.history.last_auc()

    @property
    def bytes(self) -> tuple[int, int]:
        """Down to the hospitals and up from them: of the arrays in all messages and usable answers so far, without
        headers and encryption."""
        return self.history.traffic(self.manifest.outputs)

    def per_hospital(self, metric: str = "auc", round: int | None = None) -> pd.Series[float]:
        """A metric at each hospital, of the last evaluated state or the one after `round` rounds.

        To hold methods against each other: `pd.DataFrame({"global": a.per_hospital(), "personal": b.per_hospital()})`.
        Raises InvalidInput when no hospital reported it.
        """
        return self.history.per_hospital(metric, round)

    def plot(self, references: Mapping[str, float] | None = None, path: str | Path | None = None) -> Plot:
        """AUC by round, federated and for each hospital; `references` are drawn as level lines. Saved to `path`."""
        figure = plot_rounds(self.history, self.strategy, references or {})
        if path is not None:
            figure.savefig(path, dpi=150, bbox_inches="tight")
        return figure

    def save(self, path: str | Path) -> None:
        """Writes the model as safetensors, with the study's digest and rounds in its metadata."""
        origin = {"study": self.manifest.digest, "name": self.manifest.name, "strategy": self.strategy}
        metadata = {"wardround": json.dumps({**origin, "rounds": self.round}, sort_keys=True), "format": "pt"}
        write_atomically(Path(path), save(self.parameters, metadata=metadata))

    def _repr_html_(self) -> str:
        return str(self.rounds.round(4).to_html(index=False)) + paragraphs(self.notes)
