"""The same study on up to 200 simulated hospitals on one machine, before anybody is asked to approve anything.

What runs is what will run: the hospital's own worker and sandbox, its check of the output contract, the strategy and
the rounds. What is left out: the store, approvals, a policy's rules and budget. The tables must be the researcher's to
use: mock twins, public data, or a table of one's own.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import pandas as pd

from datasites.catalog.validate import conform
from datasites.catalog.view import study_view
from datasites.runner.errors import WorkerFailed
from datasites.runner.replies import decode_result
from datasites.wire.arrays import Arrays
from datasites.wire.dictionary import Dictionary
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import OutputContract
from datasites.wire.shown import Shown
from policies.errors import InvalidInput
from researcher.dataset import Dataset
from researcher.errors import RehearsalFailed
from researcher.journal import Journal
from researcher.participation import stage_of
from researcher.rehearsal import contract_of, tail
from researcher.rounds import Rounds
from researcher.simulation.crew import Crew
from researcher.simulation.exchange import Delay, SimulatedExchange, Tamper
from researcher.simulation.kept import SimulatedKept
from researcher.study import Study

if TYPE_CHECKING:
    from researcher.result import Result
    from researcher.strategies import Strategy
    from researcher.topology.neighbours import Neighbours

MOST_HOSPITALS = 200
_DOMAIN = "simulation.example"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SECRET = b"nobody to hide in a simulation"


class Simulation(Shown):
    """A study as it will be once all hospitals have approved it; `Rounds` and `AsyncRounds` take it as they take a
    `Submission`. Use it in a `with` block.

    tables: by the hospital's name, as the hospitals would publish them, in the terms of `dictionary`.
    seed: with the study and the tables it decides everything, if the study draws its random numbers from Python's,
    NumPy's or PyTorch's global generators, or seeds its own; `processes` (default: one a core) does not matter.
    delay: simulated seconds until a hospital (by name) answers message number n; 0 when left out.
    joins: from which message on a hospital has approved, where it is not from the first.
    tamper: see `SimulatedExchange`; hospitals by name.
    """

    manifest: Manifest
    journal: Journal

    def __init__(
        self,
        study: Study,
        tables: Mapping[str, pd.DataFrame],
        dictionary: Dictionary,
        seed: int = 0,
        processes: int | None = None,
        delay: Delay | None = None,
        joins: Mapping[str, int] | None = None,
        tamper: Tamper | None = None,
    ) -> None:
        if not isinstance(study, Study):
            raise InvalidInput("Only a study with code of its own can be simulated.", "Rehearse a private study.")
        if not 1 <= len(tables) <= MOST_HOSPITALS:
            raise InvalidInput(f"{len(tables)} hospitals cannot be simulated.", f"Give 1 to {MOST_HOSPITALS} tables.")
        if unfit := [name for name in tables if not _NAME.fullmatch(name)]:
            raise InvalidInput(f"{unfit[0]!r} is no name for a hospital.", "Use small letters, digits and hyphens.")
        self._study, self._dictionary, self._seed, self._processes = study, dictionary, seed, processes
        self._views = {_address(name): self._view(table) for name, table in sorted(tables.items())}
        self._delay: Delay = delay or (lambda hospital, number: 0.0)
        self._joins = {_address(name): number for name, number in (joins or {}).items()}
        self._tamper, self._kept = tamper, SimulatedKept()
        self._ending = ExitStack()

    @classmethod
    def on_twins(cls, study: Study, datasets: Sequence[Dataset], seed: int = 0, processes: int | None = None) -> Self:
        """On the mock twins of a federation: a dry run with the very hospitals that will be asked."""
        if not datasets:
            raise InvalidInput(f"No hospital shows a dataset {study.dataset!r}.", "See federation.datasets().")
        if len({dataset.dictionary.digest for dataset in datasets}) > 1:
            raise InvalidInput(f"The hospitals' dictionaries of {study.dataset!r} differ.", "Simulate fewer hospitals.")
        twins = {_plain(dataset.hospital): dataset.twin for dataset in datasets}
        return cls(study, twins, datasets[0].dictionary, seed, processes)

    @property
    def gossip(self) -> Neighbours | None:
        """How the study's hospitals would train without a centre."""
        return self._study.gossip

    def __enter__(self) -> Self:
        with ExitStack() as ending:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="wardround-simulation-")))
            self._open(ending, folder)
            self._ending = ending.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def restart(self, seed: int, tamper: Tamper | None = None) -> None:
        """Begins the study anew with another seed, on the same workers and tables."""
        self._crew.seed, self._tamper, self._kept = seed, tamper, SimulatedKept()
        initial = decode_result("initialize", self._crew.initialize()).parameters
        self.journal = Journal(Path(tempfile.mkdtemp(dir=self.journal.folder.parent)))
        self.journal.start(initial)

    def _facts(self) -> dict[str, object]:
        open_ = hasattr(self, "journal")
        return {
            **(stage_of(self) if open_ else {"study": self._study.name, "rounds": "not begun: use it in a with block"}),
            "hospitals": ", ".join(map(self.label, self._views)),
            "seed": str(self._seed),
        }

    def participants(self) -> list[str]:
        """All hospitals that have joined."""
        number = self.journal.checkpoint().messages + 1
        return [hospital for hospital in self._views if self._joins.get(hospital, 0) <= number]

    def noise(self) -> list[str]:
        """What the hospitals said of gate noise."""
        return []

    def joined(self) -> list[str]:
        """See `ApprovedStudy.joined`."""
        return self.participants()

    def label(self, hospital: str) -> str:
        """A short name to show."""
        return hospital.partition("@")[0]

    def exchange(self) -> SimulatedExchange:
        """The hospitals; their clocks begin at 0."""
        return SimulatedExchange(self.manifest, self._crew, self._kept, self._delay, self._tamper, self.label)

    def _view(self, table: pd.DataFrame) -> pd.DataFrame:
        key = self._dictionary.table.patient_key
        typed = conform(table.astype({key: str}) if key in table else table, self._dictionary)
        return study_view(typed, self._dictionary, self._study.columns_of(self._dictionary), _SECRET)

    def _open(self, ending: ExitStack, folder: Path) -> None:
        self._crew = ending.enter_context(Crew(self._study, self._views, self._seed, self._processes, folder))
        if missing := {"initialize", "fit", "evaluate"} - self._crew.functions:
            raise InvalidInput(f"study.py does not define {', '.join(sorted(missing))}.")
        try:
            initial, contract = self._tried()
        except WorkerFailed as failure:
            raise RehearsalFailed(f"{failure.message}\n{tail(self._crew.log)}", failure.hint) from None
        except InvalidInput as problem:
            raise RehearsalFailed(f"The study returns what is no result: {problem.message}") from None
        self.manifest = self._study.manifest(_address("researcher"), self._dictionary, contract)
        self.journal = Journal(folder / "journal")
        self.journal.start(initial)

    def _tried(self) -> tuple[Arrays, OutputContract]:
        """The first state, and what the largest hospital gives: the terms that all are held to."""
        largest = max(self._views, key=lambda hospital: len(self._views[hospital]))
        initial = decode_result("initialize", self._crew.initialize()).parameters
        fitted = decode_result("fit", self._crew.call("fit", largest, initial, 1))
        frame = self._crew.call("evaluate", largest, fitted.parameters, 1, fitted.kept)
        evaluated = decode_result("evaluate", frame)
        return initial, contract_of(initial, fitted, evaluated, self._study.compression)


def simulate(
    study: Study,
    tables: Mapping[str, pd.DataFrame],
    dictionary: Dictionary,
    strategy: Strategy | None = None,
    rounds: int | None = None,
    seed: int = 0,
    processes: int | None = None,
) -> Result:
    """The result of `Rounds` over hospitals with these tables, every one taking part; see `Simulation` for more. Of a
    study without a centre, that of `Gossiping`, for all its rounds."""
    with Simulation(study, tables, dictionary, seed, processes) as simulation:
        if study.gossip is not None:
            if strategy is not None or rounds is not None:
                raise InvalidInput("A study without a centre has no strategy, and runs all its rounds.")
            from researcher.topology.gossiping import Gossiping  # which knows of simulations

            return Gossiping(simulation).run()
        return Rounds(simulation, strategy).run(rounds)


def _address(name: str) -> str:
    return f"{name}@{_DOMAIN}"


def _plain(email: str) -> str:
    """A hospital's address as a name: the part before the @ is the same at many."""
    return re.sub(r"[^a-z0-9]+", "-", email.lower()).strip("-")[:63]
