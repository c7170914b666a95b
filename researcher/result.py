"""What comes out of a study: a model, and how it came about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from safetensors.numpy import save

from datasites.wire.arrays import Arrays
from datasites.wire.files import write_atomically
from datasites.wire.manifest import Manifest
from datasites.wire.shown import curve, heading
from researcher.history import History
from researcher.model_card import ModelCard, model_card
from researcher.noise import paragraphs
from researcher.plots import Plot, plot_rounds


@dataclass(frozen=True, repr=False)
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
        write_atomically(Path(path), _saved(self))

    def model_card(
        self,
        path: str | Path | None = None,
        *,
        subgroups: Mapping[str, Sequence[str]] | None = None,
        delta: float = 1e-6,
        version: str = "",
        replaces: str = "",
    ) -> ModelCard:
        """A card for the model, as Markdown, written to `path` if given: its digest, where it comes from, how well it
        does at each hospital, privacy; what only people can say is marked.

        subgroups: metrics that the study released of groups of patients, by name of the grouping, for instance
        {"sex": ["auc_women", "auc_men"]}. delta: for the epsilon of a private study. replaces: an earlier model's
        digest. Raises InvalidInput for metrics that no hospital reported.
        """
        card = model_card(self, _saved(self), subgroups or {}, delta, version, replaces)
        if path is not None:
            write_atomically(Path(path), card.encode())
        return card

    def __repr__(self) -> str:
        auc = f"; federated AUC {self.federated_auc:.4f}" if self.federated_auc is not None else ""
        return f"<{type(self).__name__}: {self.manifest.job_name}; {self.strategy}; round {self.round}{auc}>"

    def _repr_html_(self) -> str:
        rounds = self.rounds
        said = f"{self.strategy}, after {self.round:,} rounds of training"
        drawn = "federated_auc" in rounds and curve(rounds["federated_auc"].tolist(), "Federated AUC by round")
        curves = f"<p>federated AUC by round {drawn}</p>" if drawn else ""
        listed = str(rounds.round(4).to_html(index=False))
        return heading(self.manifest.job_name, said) + curves + listed + paragraphs(self.notes)


def _saved(result: Result) -> bytes:
    """The same bytes at every call: safetensors itself writes metadata in any order."""
    origin = {"study": result.manifest.digest, "name": result.manifest.name, "strategy": result.strategy}
    metadata = {"wardround": json.dumps({**origin, "rounds": result.round}, sort_keys=True), "format": "pt"}
    data = save(result.parameters, metadata=metadata)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    ordered = json.dumps(header, separators=(",", ":")).encode()
    ordered += b" " * (-len(ordered) % 8)  # arrays begin at a multiple of eight
    return len(ordered).to_bytes(8, "little") + ordered + data[8 + size :]
