"""A federation that goes on while its processes are killed at random points, over and over."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

import researcher as wr
from datasites.datasite import Datasite
from policies.errors import WardroundError
from researcher.rehearsal import rehearse
from tests.crash import model
from tests.crash.cast import Process, agent, command
from tests.crash.fork import in_child
from tests.crash.section import Problem
from tests.support.federation import DICTIONARY, POLICY, STUDY, load_study, same_bits, stays, wait_for

ADA, LABELS = "ada@uni.org", ("north", "south")
ROUNDS, PAUSE = 10, 0.03
PATIENCE = 120.0  # other work may share the machine
_QUICK = {"SYNC": "0.2", "POLL": "0.05", "AUDIT": "0.3"}


class Storm:
    """`run` does one thing with one kill in it, and holds everything to the model."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.store = root, root / "store"
        self._dice = random.Random(seed)
        self._memory = model.Memory()
        self._agents: dict[str, Process] = {}
        self._kills: Counter[str] = Counter()
        self._studies = 0
        self.killed: Counter[str] = Counter()
        self.problems: Counter[Problem] = Counter()
        os.environ.update({f"WARDROUND_{name}_SECONDS": value for name, value in _QUICK.items()})

    # the world

    def open(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        self.tables = {f"do@{label}.org": stays(i, 10 * i) for i, label in enumerate(LABELS, 1)}
        in_child(self._create)
        self.sites = [Datasite(self.root / label) for label in LABELS]
        for label in LABELS:
            self._start(label)
        in_child(self._meet)

    def _create(self) -> None:
        entries = [f'store = "file://{self.store}"']
        for label in LABELS:
            email, source = f"do@{label}.org", self.root / f"{label}.csv"
            self.tables[email].to_csv(source, index=False)
            site = Datasite.create(self.root / label, email, f"file://{self.store}")
            site.set_policy("stays", POLICY)
            site.publish(DICTIONARY, source)
            entries.append(f'[hospitals.{label}]\nemail = "{email}"\nfingerprint = "{site.fingerprint}"')
        (self.root / "federation.toml").write_text("\n".join(entries))

    def _meet(self) -> None:
        federation = self._connect()
        for label in LABELS:
            site = Datasite(self.root / label)
            site.trust(site.next_peer_request(PATIENCE), federation.fingerprint)
        federation.wait_for_hospitals(PATIENCE)
        datasets = federation.wait_for_datasets("stays", PATIENCE)
        (self.root / "rehearsal").write_bytes(pickle.dumps(rehearse(self._study("rehearsal"), datasets[:1])))

    def close(self) -> None:
        for process in self._agents.values():
            process.stop()
        for site in self.sites:
            site.state.close()

    def _start(self, label: str) -> None:
        self._agents[label] = Process(agent(self.root / label), self.root / f"{label}.log")

    # one study after the other, each thing in it with a kill

    def runs(self) -> Iterator[str]:
        """Yields after each run what was killed while what was done."""
        while True:
            yield from self._one_study()

    def _one_study(self) -> Iterator[str]:
        self._studies += 1
        name = f"study-{self._studies}"
        yield self._submit(name)
        digest = self._digest(name)
        if self._studies % 4 == 0:
            yield self._decide("deny", digest, self._any_label(), "--reason", "No.")
            return
        for label in LABELS:
            yield self._decide("approve", digest, label)
        yield from self._rounds(name, digest)
        yield self._decide("revoke", digest, self._any_label(), "--reason", "Over.")
        yield self._publish(self._any_label())

    def _submit(self, name: str) -> str:
        victim = self._dice.choice(("researcher", *LABELS))
        sending = self._researcher(lambda: self._send(name))
        self._strike(victim, sending, 0.8)
        if sending.wait() != 0:
            self._until_done(lambda: self._researcher(lambda: self._send(name)))
        digest = self._digest(name)
        self._wait(lambda: all(self._knows(site, digest) for site in self.sites), f"{name} to arrive")
        return self._hold(victim, "a submission")

    def _decide(self, verb: str, digest: str, label: str, *more: str) -> str:
        victim = self._dice.choice(("command line", "command line", label))
        site = self._site(label)
        verdict = {"approve": "approved", "deny": "denied", "revoke": "revoked"}[verb]
        reported = self._memory.decided.setdefault((site.settings.email, digest), [])
        words = ("datasite", verb, digest, *more, "--home", str(site.home.path))
        deciding = Process(command(*words), self.root / "commands.log")
        self._strike(victim, deciding, 0.5)
        if deciding.wait() != 0 and len(site.state.decisions(digest)) == len(reported):
            self._until_done(lambda: Process(command(*words), self.root / "commands.log"))
        reported.append(verdict)
        return self._hold(victim, f"{verb} and what follows")

    def _publish(self, label: str) -> str:
        victim = self._dice.choice(("command line", "command line", label))
        words = ("--dictionary", str(DICTIONARY), "--table", str(self.root / f"{label}.csv"))
        full = ("datasite", "publish", *words, "--home", str(self.root / label))
        publishing = Process(command(*full), self.root / "commands.log")
        self._strike(victim, publishing, 0.6)
        if publishing.wait() != 0:
            self._until_done(lambda: Process(command(*full), self.root / "commands.log"))
        return self._hold(victim, "publishing a table again")

    def _rounds(self, name: str, digest: str) -> Iterator[str]:
        """The rounds of a study, with kills until they are over."""
        saved = self.root / f"{name}.safetensors"
        training = self._researcher(lambda: self._train(name, saved))
        while not saved.exists():
            before = self._answered(digest)
            self._wait(lambda b=before: saved.exists() or self._answered(digest) > b, f"a new answer in {name}")
            if saved.exists():
                break
            victim = self._dice.choices((*LABELS, "worker", "researcher"), (3, 3, 2, 2))[0]
            self._strike(victim, training, 0.4)
            if training.ended() and not saved.exists():
                training = self._researcher(lambda: self._train(name, saved))
            yield self._hold(victim, "rounds")
        training.wait()
        self._check_result(name, digest, saved)

    # what processes do

    def _connect(self) -> wr.Federation:
        return wr.connect(self.root / "federation.toml", ADA, home=self.root / "ada")

    def _study(self, name: str) -> wr.Study:
        config = {"pause": PAUSE}
        return wr.Study(name=name, purpose="Test", code=STUDY, dataset="stays", config=config, rounds=ROUNDS)

    def _researcher(self, work: Callable[[], None]) -> Process:
        return Process(work, self.root / "ada.log")

    def _send(self, name: str) -> None:
        study, federation = self._study(name), self._connect()
        rehearsal = pickle.loads((self.root / "rehearsal").read_bytes())  # noqa: S301
        fingerprint = study.fingerprint(federation.datasets("stays")[0].dictionary)
        federation.submit(study, dataclasses.replace(rehearsal, study=study, fingerprint=fingerprint))

    def _train(self, name: str, saved: Path) -> None:
        submission = self._connect().submission(name)
        submission.wait(timeout=PATIENCE)
        while True:
            with contextlib.suppress(wr.RoundFailed):  # both workers were killed
                wr.Rounds(submission, min_hospitals=1, deadline=PATIENCE).run().save(saved)
                return

    # killing

    def _strike(self, victim: str, process: Process, longest: float) -> None:
        """Kills the victim at a random point; an agent is started again."""
        time.sleep(self._dice.uniform(0, longest))
        if victim in LABELS:
            self._kills[victim] += self._agents[victim].kill()
            self._start(victim)
        elif victim == "worker":
            label = self._any_label()
            if family := self._agents[label].family():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._dice.choice(family), 9)
                self._kills[label] += 1
        else:
            process.kill()

    def _until_done(self, start: Callable[[], Process]) -> None:
        """As people do: again, until it worked."""
        until = time.monotonic() + PATIENCE
        while (status := start().wait()) != 0:
            if time.monotonic() > until:
                raise AssertionError(f"it never worked; it ended with {status}, see the logs in {self.root}")

    # looking

    def _hold(self, victim: str, doing: str) -> str:
        """Holds everything to the model."""
        self.killed["agent" if victim in LABELS else victim] += 1
        found = model.replies_problems(self.store, self._memory)
        for site in self.sites:
            found += model.site_problems(site, self.store, self._memory, self.root / "export.jsonl")
        self.problems.update(found)
        return f"{victim}, during {doing}"

    def _check_result(self, name: str, digest: str, saved: Path) -> None:
        found: list[Problem] = []
        initial = load_study().initialize({})
        if not same_bits(load_file(saved), model.expected(self.sites, self.tables, digest, initial)):
            found.append((model.LOST, f"the model of {name} is not the expected one"))
        for site in self.sites:
            log = self.root / site.home.path.name / "studies" / digest / "study.log"
            fits = Counter(line for line in log.read_text().splitlines() if line.startswith("fit "))
            again = sum(fits.values()) - len(fits)
            if again > self._kills[site.home.path.name]:
                found.append((model.DOUBLED, f"{again} rounds of {name} were trained again"))
        self.problems.update(found)

    def finish(self) -> None:
        """Stops everything, and looks at every file and process that is left."""
        self.close()
        found = model.half_written(self.root)
        found += [(model.MESS, f"a process is left: {line}") for line in _processes(self.root)]
        logs = [self.root / f"{label}.log" for label in LABELS]
        found += [(model.MESS, f"{log.name} holds a traceback") for log in logs if "Traceback" in log.read_text()]
        self.problems.update(found)

    def _wait(self, condition: Callable[[], Any], what: str) -> None:
        wait_for(condition, f"{what}; see the logs in {self.root}", PATIENCE, pause=0.02)

    def _knows(self, site: Datasite, digest: str) -> bool:
        return any(e["kind"] == "study_received" for e in site.state.audit.entries(digest))

    def _answered(self, digest: str) -> int:
        return sum(site.state.last_round(digest) for site in self.sites)

    def _any_label(self) -> str:
        return self._dice.choice(LABELS)

    def _site(self, label: str) -> Datasite:
        return self.sites[LABELS.index(label)]

    def _digest(self, name: str) -> str:
        for path in (self.root / "ada" / "studies").glob("*/manifest.json"):
            if f'"name":"{name}"' in path.read_text():
                return path.parent.name
        raise WardroundError(f"There is no study {name}.")


def _processes(root: Path) -> list[str]:
    """Processes that have something below `root` on their command line or as their working folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if int(entry.name) != os.getpid() and (f"{root}/" in line or f"{root}/" in os.readlink(entry / "cwd")):
                found.append(line[:200])
    return found
