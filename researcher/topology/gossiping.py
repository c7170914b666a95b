"""Training without a centre: the researcher tells hospitals to begin, and collects what they report.

In between, hospitals send each other their models through boxes of their own (`datasites.agent.gossip`); of a round
nothing passes here, and it goes on while this notebook is closed. Lian et al. (2017), see `gossip`, whose arithmetic
this is, to the bit, while everybody is there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from datasites.wire import keys
from datasites.wire.files import write_atomically
from datasites.wire.gossip.messages import START, STOP, Order, decode_report, encode
from datasites.wire.gossip.network import Network
from datasites.wire.limits import ROUND_BYTES
from datasites.wire.shown import Shown
from policies.errors import InvalidInput, Unavailable, WardroundError
from researcher.errors import RoundFailed, StudyFailed
from researcher.exchange import pace_of_answers
from researcher.history import History
from researcher.progress import bar
from researcher.simulation.simulation import Simulation
from researcher.strategies.layout import Layout
from researcher.submission import Submission
from researcher.topology.gossip import Gossip, GossipResult
from researcher.topology.graph import check_whole
from researcher.topology.names import no_controls
from researcher.topology.reports import Reports

_APPROVALS_SECONDS = 2.0  # a look for hospitals that join costs a sync with the store


class Gossiping(Shown):
    """Runs a study with `gossip=Neighbours(...)`, once hospitals have approved it.

    submission: or a `Simulation` of the study, which mixes the same numbers in this notebook.
    patience: seconds without any report after which `run` gives up waiting; the hospitals do not.
    A hospital that approves later joins: it begins with the mean of its neighbours' models.
    """

    def __init__(self, submission: Submission | Simulation, patience: float = 3600) -> None:
        no_controls(submission.manifest)
        self._simulated: Gossip | None = None
        if isinstance(submission, Simulation):
            if submission.gossip is None:
                raise InvalidInput("This study has a centre.", "Make it with gossip=Neighbours(...), or use Rounds.")
            self._simulated = Gossip(submission, submission.gossip.drawn(), deadline=submission.gossip.deadline)
            return
        if submission.manifest.gossip is None:
            raise InvalidInput("This study has a centre.", "Submit it with gossip=Neighbours(...), or use Rounds.")
        self.submission = submission
        self._network: Network = submission.manifest.gossip
        self._patience = patience
        self._reports = Reports(submission.folder, submission.manifest)
        self._began = submission.folder / "gossip" / "began.json"
        self._started: set[str] = set()
        self._looked = -np.inf
        self._seen: set[tuple[str, str]] = set()

    def _facts(self) -> dict[str, object]:
        if self._simulated:
            return {"simulated": self._simulated}
        told = {self.submission.label(name): self._reports.is_over(name) for name in sorted(self._started)}
        return {
            "study": self.submission.manifest.job_name,
            "rounds": f"{self._done()} of {self.submission.manifest.rounds}",
            "ended": ", ".join(name for name, over in told.items() if over),
            "still training": ", ".join(name for name, over in told.items() if not over),
        }

    def run(self, on_round: Callable[[History], None] | None = None) -> GossipResult:
        """Tells the hospitals that have approved to begin, if they have not, and waits until all of them have reported
        their last model, or have left.

        It can be stopped and run again, from another process too: the hospitals go on meanwhile. Raises RoundFailed
        when nobody has reported anything for `patience` seconds.
        """
        if self._simulated:
            return self._simulated.run(on_round=on_round)
        manifest, pace = self.submission.manifest, pace_of_answers(self.submission.federation.store)
        with self.submission.journal.alone(), bar(manifest.name, manifest.rounds) as advance_to:
            while True:
                self._start()
                new = self._collect()
                advance_to(self._done(), f"{len(self._started)} hospitals")
                if self._started and all(map(self._reports.is_over, self._started)):
                    return self.result()
                if new:
                    pace.came()
                    if on_round:
                        on_round(self._reports.history(self.submission.label))
                elif pace.silence() > self._patience:
                    raise RoundFailed(
                        f"Nobody has reported for {self._patience:g} seconds; still missing: {self._missing()}.",
                        "result() is what there is; run() waits on; stop() ends the study.",
                    )
                time.sleep(pace.wait())

    def stop(self) -> None:
        """Tells all hospitals to train no further, and to report their model as it is: `run` collects it."""
        if self._simulated:
            return
        self._start()
        for hospital in sorted(self._started):
            self._tell(Order(study=self.submission.digest, hospital=hospital, order="stop"), STOP)

    def result(self) -> GossipResult:
        """What was reported so far. Raises StudyFailed before the first model."""
        if self._simulated:
            return self._simulated.result()
        submission = self.submission
        models = self._reports.models()
        if not models:
            raise StudyFailed("No hospital has reported a model yet.", "Use run().")
        layout = Layout(next(iter(models.values())))
        mean = np.mean([layout.vector(model) for _, model in sorted(models.items())], axis=0)
        latest = [report for h in models if (report := self._reports.latest(h))]
        return GossipResult(
            manifest=submission.manifest,
            strategy="Gossip",
            parameters=layout.arrays(mean),
            round=max(report.after for report in latest),
            history=self._reports.history(submission.label),
            notes=tuple(submission.noise()),
            models={submission.label(hospital): model for hospital, model in sorted(models.items())},
        )

    def _start(self) -> None:
        """Tells those to begin that have approved, and were not told yet. Looks for them now and then."""
        if self._started >= self._network.hospitals.keys() or time.monotonic() - self._looked < _APPROVALS_SECONDS:
            return
        try:
            approved = [h for h in self.submission.participants() if h in self._network.hospitals]
        except Unavailable:
            return
        self._looked = time.monotonic()
        began = json.loads(self._began.read_bytes()) if self._began.exists() else self._begin(approved)
        initial = self.submission.journal.checkpoint().parameters
        for hospital in approved:
            if hospital in self._started:
                continue
            joins = hospital not in began
            order = Order(
                study=self.submission.digest,
                hospital=hospital,
                order="start",
                expected=tuple(sorted({*began, *approved} if joins else began)),
                joins=joins,
            )
            self._tell(order, START, initial)
            self._started.add(hospital)

    def _begin(self, approved: list[str]) -> list[str]:
        """Fixes with whom the study begins, for good: an order that is given twice must be the same."""
        if len(approved) < 2:
            raise RoundFailed(
                f"{len(approved)} hospitals have approved this study; it needs 2.", "See Submission.status()."
            )
        linked = [[other in self._network.neighbours(one) for other in approved] for one in approved]
        check_whole([self.submission.label(h) for h in approved], np.asarray(linked, np.bool_))
        write_atomically(self._began, json.dumps(approved).encode())
        return approved

    def _tell(self, order: Order, number: int, model: Any = None) -> None:
        """Once: a hospital heeds its first order of a kind alone."""
        federation, key = self.submission.federation, keys.round_down(order.study, order.hospital, number)
        if not federation.store.exists(key):
            public = federation.peers.require(order.hospital)
            federation.store.put(key, federation.identity.seal(public, encode(order, model)))

    def _collect(self) -> bool:
        """Whether there was a report that was not here yet."""
        federation, study = self.submission.federation, self.submission.digest
        latest = [report.number if (report := self._reports.latest(h)) else 0 for h in self._started]
        after = f"{keys.rounds_up(study, min(latest, default=0))}/~"
        try:
            found = federation.store.versions(keys.all_rounds_up(study), after=after)
            new = [self._read(key, tag) for key, tag in found if (key, tag) not in self._seen]
            return any(new)
        except Unavailable:
            return False

    def _read(self, key: str, tag: str) -> bool:
        number, hospital = key.split("/")[-2], keys.last(key)
        if not number.isdecimal() or hospital not in self._started or self._reports.has(int(number), hospital):
            return False
        federation = self.submission.federation
        try:
            raw = federation.store.get(key, ROUND_BYTES)
            plaintext = federation.identity.open(federation.peers.require(hospital), raw or b"", earlier=True)
            report, _, _ = decode_report(plaintext)
        except Unavailable:
            raise
        except WardroundError:
            self._seen.add((key, tag))  # not the hospital's own word: whoever holds the store can put rubbish there
            return False
        if (report.study, report.number, report.hospital) != (self.submission.digest, int(number), hospital):
            self._seen.add((key, tag))
            return False
        self._reports.add(report, plaintext)
        return True

    def _done(self) -> int:
        """Rounds that every hospital which still takes part has behind it."""
        latest = [self._reports.latest(h) for h in self._started if not self._reports.is_over(h)]
        if not latest:
            return self.submission.manifest.rounds if self._started else 0
        return min(report.number if report else 0 for report in latest)

    def _missing(self) -> str:
        missing = sorted(h for h in self._started if not self._reports.is_over(h))
        return ", ".join(map(self.submission.label, missing)) or "approvals"
