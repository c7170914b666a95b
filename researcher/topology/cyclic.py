"""Cyclic weight transfer: one model goes from hospital to hospital, and each trains it further.

Chang et al. (2018), Distributed deep learning networks among institutions for medical imaging, JAMIA. A round is one
cycle, in which every hospital has its turn. The researcher's notebook carries the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from datasites.wire.arrays import Arrays
from researcher.errors import RoundFailed
from researcher.journal import Checkpoint
from researcher.participation import ApprovedStudy
from researcher.result import Result
from researcher.rounds import Rounds
from researcher.strategies import FedAvg, Update
from researcher.strategies.layout import Layout
from researcher.topology.names import all_named, named, no_controls, once

_NOISY = "This is for averaging. In a cycle nothing is averaged: each turn's noise stays in the model that goes on."


class Handover:
    """One turn: the model as its hospital trained it, or as it was where the hospital did not."""

    def __init__(self, current: Arrays) -> None:
        self._layout, self._model = Layout(current), current

    def add(self, update: Update) -> None:
        self._model = self._layout.arrays(self._layout.of_update(update))

    def result(self) -> tuple[Arrays, Arrays]:
        return self._model, {}


class Cyclic(Rounds):
    """Runs a study's rounds as `Rounds` does, each of them a cycle through the hospitals.

    order: hospitals by short name or address, or None for an order drawn anew for each cycle by `seed`.
    min_hospitals: a cycle in which fewer had their turn fails (default as for `Rounds`); run again, and it goes on with
    those that are missing. deadline: seconds until a hospital that has not answered is passed over for this cycle.
    evaluate: whether all hospitals evaluate the model between cycles, as the same model in the same message.
    """

    def __init__(
        self,
        submission: ApprovedStudy,
        order: Sequence[str] | None = None,
        seed: int = 0,
        min_hospitals: int | None = None,
        deadline: float = 600,
        evaluate: bool = True,
    ) -> None:
        no_controls(submission.manifest)
        super().__init__(submission, FedAvg(), min_hospitals, deadline, evaluate, seed=seed)
        if order is not None:
            once(order, "in the order")
        self._order = None if order is None else list(order)
        # who gets a turn evaluates nothing in it: in one cycle each hospital is sent another model
        self._between, self._evaluate_each = self._evaluate_each, False
        self._passed: set[str] = set()
        settings = {"seed": seed} if self._order is None else {"order": self._order}
        self._identity = {"name": "Cyclic", "settings": settings}

    def result(self) -> Result:
        """What there is so far. Raises StudyFailed before the first whole cycle."""
        plain = super().result()
        return replace(plain, notes=(*plain.notes, _NOISY)) if plain.notes else plain

    def _gather(self, fit: bool) -> None:
        super()._gather(fit)
        self._passed.clear()
        if self._order is not None:
            all_named(self.submission, self._members.present, self._order, "in the order")

    def _message(self, checkpoint: Checkpoint, fit: bool) -> Checkpoint:
        begun = bool(self._trained(checkpoint))
        if not fit and begun:
            raise RoundFailed("A cycle is under way, whose model is not to be evaluated.", "run() finishes it first.")
        if not fit or (self._between and not begun and not checkpoint.evaluated):
            return super()._message(checkpoint, fit=False)
        self._members.look()
        if not self._waiting(checkpoint, self._trained(checkpoint)):
            return self._end(checkpoint)
        return super()._message(checkpoint, fit=True)

    def _asked(self, checkpoint: Checkpoint, number: int, fit: bool) -> list[str]:
        return self._waiting(checkpoint, self._trained(checkpoint))[:1] if fit else self._members.present

    def _begin(self, checkpoint: Checkpoint, asked: list[str]) -> Handover:
        self._turn = asked
        return Handover(checkpoint.parameters)

    def _shortage(self, usable: list[str], fit: bool) -> str:
        if not fit:
            return super()._shortage(usable, fit)
        self._passed.update(set(self._turn) - set(usable))
        return ""

    def _round_after(self, checkpoint: Checkpoint, usable: list[str]) -> int:
        trained = self._trained(checkpoint) | set(usable)
        over = not self._waiting(checkpoint, trained) and len(trained) >= self._min(True)
        return checkpoint.round + over

    def _end(self, checkpoint: Checkpoint) -> Checkpoint:
        """Of a cycle with nobody left to ask."""
        trained = len(self._trained(checkpoint))
        if trained < self._min(True):
            why = " ".join(f"{self.submission.label(r['hospital'])}: {r['problem']}" for r in self._of(checkpoint))
            raise RoundFailed(
                f"In round {checkpoint.round + 1} {trained} hospitals had their turn. {why}",
                "The model is kept as it is; run() asks the others again.",
            )
        after = replace(checkpoint, round=checkpoint.round + 1, messages=checkpoint.messages + 1, evaluated=False)
        self._close(after, [])
        return after

    def _waiting(self, checkpoint: Checkpoint, trained: set[str]) -> list[str]:
        """Hospitals that may still have a turn in this cycle, in their order."""
        present, order = self._members.present, self._order
        if order is not None:
            names = named(self.submission, present, order)
            present = sorted(names, key=lambda hospital: order.index(names[hospital]))
        else:
            drawn = np.random.default_rng((self._seed, checkpoint.round)).permutation(len(present))
            present = [present[index] for index in drawn]
        return [hospital for hospital in present if hospital not in trained | self._passed]

    def _trained(self, checkpoint: Checkpoint) -> set[str]:
        """Hospitals that had their turn in the cycle under way."""
        return {record["hospital"] for record in self._of(checkpoint) if record["fit"]}

    def _of(self, checkpoint: Checkpoint) -> list[dict[str, Any]]:
        return [record for record in self._records if record["trained_round"] == checkpoint.round + 1]
