"""Two hospitals that really run, a researcher who attacks and one who does not; what must hold after every attack."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import researcher as wr
from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.verify import verify
from researcher.rehearsal import rehearse
from tests.attacks.system.leaks import Marks, Watch
from tests.attacks.system.line import Line
from tests.support.federation import Hospital, World, wait_for
from tests.support.parties import Party, job_files, job_folder, proposal, propose

HERE = Path(__file__).parent
HOSTILE, HONEST = HERE / "hostile", HERE / "honest"
PASSWORD = "sk-4711-of-the-data-base"
ROUNDS = 10_000


def marked(site: int, rows: int) -> pd.DataFrame:
    """A table in which every row has a number of fifteen digits that is nowhere else."""
    rng = np.random.default_rng([4711, site])
    return pd.DataFrame(
        {
            "patient_id": rng.integers(10**14, 10**15, rows),
            "mark": rng.integers(10**14, 10**15, rows),
            "days": np.where(np.arange(rows) % 2, 77, rng.integers(1, 77, rows)),
            "readmitted": rng.integers(0, 2, rows),
        }
    )


class MarkedHospital(Hospital):
    """Its policy allows everything: here it is not rules that must hold an attack."""

    dictionary = HERE / "marked.toml"
    make_table = staticmethod(marked)

    def publish(self) -> None:
        super().publish()
        self.datasite.set_policy("stays", HERE / "anything.toml")


class MarkedWorld(World):
    hospital_type = MarkedHospital


class Ward:
    """`north` is attacked; `mallory` has one approved hostile study there, and ada an honest one."""

    def __init__(self, world: World) -> None:
        self.world = world.open()
        self.north, self.south = world.hospitals
        self.ada = world.researcher
        self.mallory = world.join("mallory@evil.org", "mallory")
        self._rehearsals: dict[Path, wr.Rehearsal] = {}
        self.honest = self.line(self.approved(self.ada, HONEST, name="honest"))
        self.hostile = self.line(self.approved(self.mallory, HOSTILE, name="hostile"))
        self._watch = self._watched()
        self._checked = 0

    # studies

    def submit(self, who: wr.Federation, code: Path = HOSTILE, name: str = "", rounds: int = ROUNDS) -> wr.Submission:
        study = wr.Study(
            name=name or f"s-{uuid.uuid4().hex[:8]}",
            purpose="Test",
            code=code,
            dataset="stays",
            rounds=rounds,
            config={},
            seconds_per_round=20,
        )
        twins = who.datasets("stays")[:1]
        if code not in self._rehearsals:
            self._rehearsals[code] = rehearse(study, twins)
        fingerprint = study.fingerprint(twins[0].dictionary)
        return who.submit(study, replace(self._rehearsals[code], study=study, fingerprint=fingerprint))

    def approved(self, who: wr.Federation, code: Path = HOSTILE, name: str = "", **limits: Any) -> wr.Submission:
        """`limits` as for `Datasite.approve`."""
        study = self.submit(who, code, name)
        self.north.approve(study, **limits)
        return study

    def line(self, study: wr.Submission, hospital: Hospital | None = None) -> Line:
        return Line(study, hospital or self.north, study.journal.checkpoint().parameters)

    def propose(self, who: wr.Federation, files: dict[str, str | bytes]) -> None:
        """Posts files to north by Syft, as a program of one's own can."""
        sender = Party(who.email, who.home, who.identity, who.client)
        owner = Party(self.north.email, self.north.home, self.north.datasite.identity, None)
        propose(sender, owner, proposal(who.email, self.north.email, files))

    def propose_job(self, who: wr.Federation, name: str, code: dict[str, str]) -> None:
        """A submission of any files, with the `run.sh` that Syft would run."""
        files = job_files(who.email, name)
        folder = f"{job_folder(who.email, name)}/code"
        self.propose(who, {**files, **{f"{folder}/{path}": text for path, text in code.items()}})

    # what must hold

    @contextmanager
    def attack(
        self, tells: Kind | None = None, charged: tuple[int, int] | None = (0, 0), aside: str = "", **fields: Any
    ) -> Iterator[Line]:
        """Around an attack. At its end: nothing has leaked; `charged` rounds (None: any number) of the hostile study,
        or of the `study` in `fields`, were used, and none of any other; the audit log has grown by an entry of kind
        `tells` with these `fields`, and verifies; the honest study gets a right answer. `aside`: why a message of the
        attack was put aside."""
        state = self.north.datasite.state
        before, size, notes = self._used(), state.audit.size, self._notes().keys()
        yield self.hostile
        self._honest_round()
        if aside:
            wait_for(lambda: any(aside in why for name, why in self._notes().items() if name not in notes), aside)
        if tells is not None:
            wait_for(lambda: self._told(size, tells, fields), f"{tells} {fields} in the audit log")
        after = self._used()
        after[self.honest.study.digest] = before[self.honest.study.digest]
        digest = fields.get("study", self.hostile.study.digest)
        before.setdefault(digest, (0, 0))
        after.setdefault(digest, (0, 0))
        used = tuple(map(sum, zip(before[digest], charged, strict=True))) if charged else after[digest]
        wanted = {**before, digest: used}
        assert {study: after[study] for study in wanted} == wanted
        assert self.leaks() == []
        self._log_verifies()

    def leaks(self) -> list[str]:
        return self._watch.leaks([h.datasite.identity.public for h in self.world.hospitals])

    def mark_in(self, data: bytes) -> bytes | None:
        """A row's mark, or a secret, in these bytes."""
        return self._watch.marks.found_in(data)

    def runs(self, study: wr.Submission) -> int:
        """How often the study's code was started."""
        entries = self.north.datasite.state.audit.entries(study.digest)
        return sum(entry["kind"] == Kind.RUN_STARTED for entry in entries)

    def used(self, study: wr.Submission) -> tuple[int, int]:
        """Rounds trained and states evaluated."""
        return self.north.datasite.state.used(study.digest)

    def opened_replies(self) -> int:
        """How many messages the search for rows could open."""
        return self._watch.opened

    def _notes(self) -> dict[str, str]:
        """Why messages were put aside, by their names."""
        paths = self.north.home.quarantine.glob("*.json")
        return {path.stem: json.loads(path.read_bytes())["why"] for path in paths}

    def _used(self) -> dict[str, tuple[int, int]]:
        state = self.north.datasite.state
        return {s.decision.study: state.used(s.decision.study) for s in state.current_decisions()}

    def _told(self, size: int, kind: Kind, fields: dict[str, Any]) -> bool:
        entries = [e for e in self.north.datasite.state.audit.entries() if e["number"] > size and e["kind"] == kind]
        return any(fields.items() <= entry.items() for entry in entries)

    def _honest_round(self) -> None:
        number, table = self.honest.next(), self.north.table
        reply = self.honest.ask(evaluate=True)
        assert reply.reason is None
        assert reply.fit
        total = float(table["days"].sum() + number)
        assert (reply.fit.num_examples, reply.fit.metrics) == (len(table), {"total": total})

    def _log_verifies(self) -> None:
        file = self.world.root / "export.jsonl"
        site = self.north.datasite
        export(site.identity, site.state.audit, file)
        report = verify(file, [], site.fingerprint)
        assert report.good, report.findings

    def _watched(self) -> Watch:
        secrets = [PASSWORD.encode()]
        for hospital in self.world.hospitals:
            jwks = json.loads(hospital.home.keys.read_bytes())["keys_jwk"]
            secrets += [key["d"].encode() for key in jwks.values() if isinstance(key, dict) and "d" in key]
            secrets.append(hospital.home.pseudonym_secret())
            secrets += [str(patient).encode() for patient in hospital.table["patient_id"]]
        marks = Marks([hospital.table for hospital in self.world.hospitals], secrets)
        root = self.world.root
        store = Path(self.world.store.removeprefix("file://"))
        readers = [self.ada.identity, self.mallory.identity]
        return Watch(marks, [store, root / "ada", root / "mallory"], readers)
