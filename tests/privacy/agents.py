"""A hospital with canaries in its table and an agent that serves: rounds by message, a ledger that is charged.

One patient in five falls to the test, by a secret of the hospital's; the attacker does not know whom, and guesses all
the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

import researcher as wr
from datasites.wire import keys
from datasites.wire.arrays import Arrays
from datasites.wire.preparation import NumberInput
from datasites.wire.rounds import decode_reply
from policies.privacy.accounting import epsilon
from policies.privacy.events import Event
from tests.attacks.system.line import Line
from tests.privacy.bounds import one_run
from tests.privacy.canaries import ENCOUNTERS, OTHERS, SIZE, Found, right
from tests.support.federation import PATIENCE, Hospital, World

CANARIES, ROUNDS, SEED, DELTA = 200, 3, 7, 1e-6
GUESSES = 150  # an honest hospital is six deviations from being accused; of 60 guesses it would be four
COLUMNS = [f"x{number}" for number in range(CANARIES)]


def coins() -> np.ndarray:
    return np.random.default_rng(SEED).random(CANARIES) < 0.5


def table(site: int, rows: int) -> pd.DataFrame:
    there = np.flatnonzero(coins())
    inputs = np.zeros((ENCOUNTERS * len(there) + OTHERS, CANARIES))
    inputs[np.arange(ENCOUNTERS * len(there)), np.repeat(there, ENCOUNTERS)] = SIZE
    patients = np.concatenate([np.repeat(there, ENCOUNTERS), CANARIES + np.arange(OTHERS)])
    outcome = np.repeat([1, 0], [ENCOUNTERS * len(there), OTHERS])
    return pd.DataFrame(inputs, columns=COLUMNS).assign(patient_id=patients, readmitted=outcome)


class CanaryHospital(Hospital):
    make_table = staticmethod(table)


class CanaryWorld(World):
    hospital_type = CanaryHospital


@contextmanager
def attacked(root: Path) -> Iterator[Attacked]:
    """One hospital that serves, and an approved study whose researcher is the attacker."""
    dictionary = root / "stays.toml"
    dictionary.write_text(_DICTIONARY + "".join(_COLUMN.format(name=name, size=SIZE) for name in COLUMNS))
    CanaryHospital.dictionary = dictionary
    world = CanaryWorld(root, sites=1)
    try:
        world.open()
        asked = _study()
        submission = world.researcher.submit(asked, world.researcher.rehearse(asked))
        world.hospitals[0].approve(submission)
        submission.wait(timeout=PATIENCE)
        yield Attacked(world.hospitals[0], Line(submission, world.hospitals[0], asked.initial))
    finally:
        world.close()


class Attacked:
    """What the attacker does, and what the hospital's ledger says of it."""

    def __init__(self, hospital: Hospital, line: Line) -> None:
        self.hospital, self.line = hospital, line
        self.sent: dict[int, bytes] = {}  # plaintexts by round

    def ask(self, state: Arrays) -> Arrays:
        """One more round from this state; raises AssertionError with the reason if the hospital refuses."""
        number = self.line.next()
        self.sent[number] = self.line.request(number, state)
        self.line.put(number, self.line.sealed(self.sent[number]))
        reply = self.line.answer(number, self.sent[number])
        assert reply.reason is None, reply.reason
        return self.answer(number)

    def answer(self, number: int) -> Arrays:
        """The state that lies in the store as the hospital's answer to a round."""
        key = keys.round_up(self.line.study.digest, number, self.hospital.email)
        public = self.hospital.datasite.identity.public
        return decode_reply(self.line.federation.identity.open(public, self.line.store.get(key) or b""))[1]

    def ask_again(self, number: int) -> Arrays:
        """The same round once more, its message sealed anew; what the hospital's answer is a moment later."""
        self.line.put(number, self.line.sealed(self.sent[number]))
        self.line.silence(number)
        return self.answer(number)

    def charged(self) -> tuple[Event, ...]:
        return self.hospital.datasite.state.ledger.spent("stays", study=self.line.study.digest)

    def audit(self) -> Found:
        """Of `ROUNDS` rounds."""
        state = self.line.initial
        for _ in range(ROUNDS):
            state = self.ask(state)
        scores = (state["weight"] - self.line.initial["weight"])[0]
        correct = right(scores, coins(), GUESSES)
        claimed = epsilon(self.charged(), DELTA)
        return Found(claimed, one_run(CANARIES, GUESSES, correct, DELTA), GUESSES, correct)


def _study() -> wr.PrivateStudy:
    model = nn.Linear(CANARIES, 1, bias=False)
    nn.init.zeros_(model.weight)
    return wr.PrivateStudy(
        name="canaries",
        purpose="Test",
        dataset="stays",
        model=model,
        inputs=[NumberInput(column=name, low=-SIZE, high=SIZE) for name in COLUMNS],
        target="readmitted",
        rounds=ROUNDS,
        steps=4,
        sampling_rate=0.5,
        expected_lot=50.0,
        optimizer=wr.Optimizer(learning_rate=0.001),
        noise_multiplier=8.0,
        evaluations=0,
        delta=DELTA,
        clip=8.0,
        encounters=ENCOUNTERS,
    )


_DICTIONARY = """
[table]
name = "stays"
title = "Canaries"
description = "One row per stay of an invented patient."
patient_key = "patient_id"
target = "readmitted"

[columns.readmitted]
type = "boolean"
description = "Back within 30 days."
prior = 0.5
"""
_COLUMN = """
[columns.{name}]
type = "number"
description = "One canary's own column."
range = [-{size}, {size}]
"""
