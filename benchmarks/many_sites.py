"""What each hospital costs on the wire as a federation grows: 3, 20, 100 and 500 of them against one real S3 server.

    python -m benchmarks many_sites                  # SITES=3,20 for others; AGENTS=3 for other numbers of real agents

First real agents, as processes: how often one looks into the store while nothing happens, and how often it is asked for
something in a round, as its own metrics tell (`store_calls`). Then the sessions that agents have for a study
(`datasites.agent.session`, each a thread, with its own keys, state database, policy and signed approval), in two
processes beside the researcher's. What stands for the hospital's sandbox and gate there is a function call in the same
process, on a model of 14,000 numbers: what is measured is the wire, its messages, encryption, records and looks, and
no training. All share this machine's cores, so seconds grow with the number of hospitals; calls must not.

Prints a RESULT for each number of hospitals: `seconds` a round; `puts`, `gets`, `lists`, `deletes` and bytes, means for
a hospital and a round, of the hospital and of the researcher; `lists_a_minute`, what the hospital's looks would be in a
round of a minute, whatever this machine's speed; the researcher's CPU time (`researcher_ms`) for a hospital and a
round, and its peak memory with how much of it came during the rounds. Ends with status 1 when calls for a hospital grow
with their number.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from datasites.agent.session import StudySession
from datasites.agent.workbench import Workbench
from datasites.approval.vault import Vault
from datasites.home import DatasiteHome
from datasites.release.examine import Verdict
from datasites.runner.replies import decode_result, encode_result
from datasites.state import now
from datasites.wire.arrays import Arrays
from datasites.wire.contract import describe_arrays
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.identity import Identity, PublicIdentity
from datasites.wire.manifest import Manifest, sign_manifest
from datasites.wire.outputs import OutputContract
from datasites.wire.peers import ACCEPTED, PinnedPeers
from datasites.wire.store import Store
from researcher.exchange import Exchange, StoreExchange
from researcher.journal import Journal
from researcher.rounds import Rounds
from tests.support.federation import World
from tests.support.s3 import serve_s3
from tests.support.submissions import CODE, hospital, manifest

SITES = [int(number) for number in os.environ.get("SITES", "3,20,100,500").split(",")]
AGENTS = [int(number) for number in os.environ.get("AGENTS", "3").split(",") if number]
ROUNDS, PROCESSES, NUMBERS = 3, 2, 14_000
IDLE_SECONDS = 20
CALLS = ("put", "get", "list", "head", "delete")
MODEL: Arrays = {"w": np.linspace(-1, 1, NUMBERS, dtype=np.float32)}


def main() -> int:
    """Returns the exit status: 0 when calls for a hospital do not grow with their number."""
    agents = [_agents(number) for number in AGENTS]
    sessions = [_sessions(number) for number in SITES]
    for result in (*agents, *sessions):
        print("RESULT " + json.dumps(result))
    table = Table(
        "hospitals", "s a round", "their puts", "gets", "lists", "puts to", "gets of", "lists/h", "CPU ms", "MB"
    )
    for r in sessions:
        mine, researchers = r["hospital"], r["researcher"]
        cells = [r["hospitals"], r["seconds"], mine["put"], mine["get"], mine["list"]]
        cells += [researchers["put"], researchers["get"], researchers["list"], r["researcher_ms"], r["researcher_mb"]]
        table.add_row(*map(str, cells))
    Console(width=120).print(table)
    return 0 if all(_constant(sessions[0], result) for result in sessions) else 1


def _constant(first: dict[str, Any], other: dict[str, Any]) -> bool:
    """Puts, gets and deletes to the tenth; of the looks a hospital takes, no more than a wait of that length costs."""
    same = all(
        abs(first[who][call] - other[who][call]) <= 0.1
        for who in ("hospital", "researcher")
        for call in ("put", "get", "delete")
    )
    return same and other["hospital"]["list"] <= 1.5 * other["looks_expected"] and other["researcher"]["list"] <= 40


# sessions


def _sessions(number: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="wardround-bench-") as scratch, serve_s3(Path(scratch) / "s3") as s3:
        folder = Path(scratch)
        ada = Identity.create("ada@uni.org", folder / "ada.json")
        outputs = OutputContract(
            parameters=describe_arrays(MODEL), fit_metrics=(), evaluate_metrics=(), evaluate_arrays={}
        )
        asked = manifest(outputs=outputs, rounds=ROUNDS + 1)
        with _hospitals(folder, number, asked, ada, s3.url, s3.options) as (documents, counts):
            study = _Study(folder / "study", asked, ada, Store(s3.url, s3.options), documents)
            rounds = Rounds(study, deadline=3600, evaluate=False)
            at_rest = _peak_mb()
            rounds.run(rounds=1)
            before, mine, cpu, began = counts(), study.store.calls.seen(), time.process_time(), time.monotonic()
            rounds.run(rounds=ROUNDS)
            seconds, cpu = (time.monotonic() - began) / ROUNDS, time.process_time() - cpu
            after, mine_after = counts(), study.store.calls.seen()
    each = [{kind: theirs[kind] - before[who][kind] for kind in theirs} for who, theirs in after.items()]
    mean = {kind: round(sum(one[kind] for one in each) / number / ROUNDS, 2) for kind in each[0]}
    most = {kind: round(max(one[kind] for one in each) / ROUNDS, 2) for kind in each[0]}
    return {
        "hospitals": number,
        "seconds": round(seconds, 2),
        "rounds_a_minute": round(60 / seconds, 2),
        "hospital": mean,
        "most_of_one": most,
        "looks_expected": round(_looks(seconds), 1),
        "lists_a_minute": round(_looks(60), 1),
        "researcher": {kind: round((mine_after[kind] - mine[kind]) / number / ROUNDS, 2) for kind in mine},
        "researcher_lists": round((mine_after["list"] - mine["list"]) / ROUNDS, 1),
        "researcher_ms": round(1000 * cpu / number / ROUNDS, 2),
        "researcher_mb": _peak_mb(),
        "researcher_mb_grown": _peak_mb() - at_rest,
    }


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _looks(seconds: float, quick: float = 0.005, share: float = 0.05) -> float:
    """How often `Pace` looks in so many seconds of silence, by its formula."""
    return (1 + math.log(max(1.0, share * seconds / quick))) / share


class _Study:
    """An `ApprovedStudy` that every hospital has approved."""

    def __init__(
        self, folder: Path, asked: Manifest, ada: Identity, store: Store, documents: dict[str, dict[str, Any]]
    ) -> None:
        self.manifest, self.store, self._identity = asked, store, ada
        folder.mkdir()
        self.journal = Journal(folder)
        self.journal.start(MODEL)
        entries = {e: {"state": ACCEPTED, "public_encryption_bundle": one} for e, one in documents.items()}
        (folder / "peers.json").write_text(json.dumps(entries))
        self._peers = PinnedPeers(folder / "peers.json")
        self._hospitals = sorted(documents)

    def participants(self) -> list[str]:
        return self._hospitals

    def noise(self) -> list[str]:
        return []

    def joined(self) -> list[str]:
        return []

    def label(self, hospital: str) -> str:
        return hospital

    def exchange(self) -> Exchange:
        return StoreExchange(self.manifest, self._identity, self._peers, self.store)


@contextmanager
def _hospitals(
    folder: Path, number: int, asked: Manifest, ada: Identity, url: str, options: dict[str, Any]
) -> Iterator[tuple[dict[str, dict[str, Any]], Any]]:
    """Sessions that serve, in processes of their own: (public keys of all, what gives every hospital's counts)."""
    context, ends, processes = get_context("spawn"), [], []
    signature = sign_manifest(asked, ada)
    for part in range(min(PROCESSES, number)):
        names = [f"do@h{i:03d}.org" for i in range(part, number, PROCESSES)]
        ours, theirs = context.Pipe()
        given = (theirs, folder, names, asked.model_dump_json(), signature, ada.public.document, url, options)
        process = context.Process(target=_serve, args=given, daemon=True)
        process.start()
        theirs.close()
        ends.append(ours)
        processes.append(process)
    documents = {email: document for end in ends for email, document in end.recv().items()}

    def counts() -> dict[str, dict[str, int]]:
        for end in ends:
            end.send("count")
        return {email: count for end in ends for email, count in end.recv().items()}

    try:
        yield documents, counts
    finally:
        for end in ends:
            end.send("stop")
        for process in processes:
            process.join(30)
            process.kill()


def _serve(
    end: Connection,
    folder: Path,
    names: list[str],
    asked: str,
    signature: str,
    ada: dict[str, Any],
    url: str,
    options: dict[str, Any],
) -> None:
    """One process's hospitals, each as its agent would have it."""
    study = Manifest.model_validate_json(asked)
    researcher = PublicIdentity.parse(study.researcher, ada)
    sites = {name: _Site(folder, name, study, signature, researcher, Store(url, options)) for name in names}
    for site in sites.values():
        site.session.start()
    end.send({name: site.identity.public.document for name, site in sites.items()})
    while end.recv() == "count":
        end.send({name: site.store.calls.seen() for name, site in sites.items()})
    for site in sites.values():
        site.session.finish()


@dataclass
class _Site:
    folder: Path
    email: str
    study: Manifest
    signature: str
    researcher: PublicIdentity
    store: Store
    identity: Identity = field(init=False)
    session: StudySession = field(init=False)

    def __post_init__(self) -> None:
        # of the researcher, only address and keys are asked for
        ada = cast(Identity, SimpleNamespace(email=self.researcher.email, public=self.researcher))
        datasite = hospital(self.folder / self.email, ada, self.email)
        self.identity = datasite.identity
        Vault(datasite.home.approved).keep(self.study, self.signature, CODE)
        at = now()
        decision = Decision(
            study=self.study.digest,
            hospital=self.email,
            number=1,
            verdict="approved",
            rounds=self.study.rounds,
            decided_at=at,
            expires_at=at + timedelta(days=1),
        )
        datasite.state.record_decision(SignedDecision.sign(decision, self.identity))
        bench = cast(Workbench, _Bench(datasite.home, self.study))
        longest = datasite.settings.poll_seconds
        self.session = StudySession(self.identity, self.researcher, self.store, datasite.state, bench, longest)


class _Bench:
    """In the place of `Workbench`: the study's sandbox and the gate, as a function call."""

    def __init__(self, home: DatasiteHome, study: Manifest) -> None:
        self.home, self.manifest, self.folder = home, study, home.study(study.digest)

    def call(self, task: Any, parameters: Arrays, *_: Any) -> bytes:
        return encode_result(task, ({"w": parameters["w"] * np.float32(0.9) + np.float32(0.1)}, 100, {}))

    def release(self, task: Any, frame: bytes, *_: Any) -> Verdict:
        return Verdict(decode_result(task, frame))

    def stop_if_idle(self) -> None:
        """Nothing runs."""

    stop = clear = stop_if_idle


# real agents


def _agents(number: int) -> dict[str, Any]:
    """Agents as processes, with their own settings but for where they tell their metrics."""
    with tempfile.TemporaryDirectory(prefix="wardround-bench-") as scratch, serve_s3(Path(scratch) / "s3") as s3:
        os.environ["WARDROUND_STORE_OPTIONS"] = json.dumps(s3.options)
        (root := Path(scratch) / "world").mkdir()
        world = World(root, s3.url, number)
        ports = range(9500, 9500 + number)
        for port, site in zip(ports, world.hospitals, strict=True):
            for name in ("WARDROUND_SYNC_SECONDS", "WARDROUND_POLL_SECONDS"):
                site._env.pop(name)
            site._env["WARDROUND_METRICS"] = f"127.0.0.1:{port}"
        try:
            world.open(store_options=s3.options)
            submission = world.approved(ROUNDS)
            before = [_told(port) for port in ports]
            began = time.monotonic()
            Rounds(submission, evaluate=False).run()
            time.sleep(5.1)  # a metric is told anew after five seconds
            busy, middle = time.monotonic() - began, [_told(port) for port in ports]
            time.sleep(60)  # silence, and after a minute of it
            settled = [_told(port) for port in ports]
            time.sleep(IDLE_SECONDS)
            after = [_told(port) for port in ports]
        finally:
            world.close()
    mean = lambda now, then, over: {  # noqa: E731
        call: round(sum(n[call] - t[call] for n, t in zip(now, then, strict=True)) / number / over, 2) for call in CALLS
    }
    return {
        "agents": number,
        "seconds_of_rounds": round(busy, 1),
        "calls_a_round": mean(middle, before, ROUNDS),
        "calls_a_minute_after_a_minute_of_silence": mean(after, settled, IDLE_SECONDS / 60),
    }


def _told(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    begins = "wardround_store_calls_total{call="
    found = (line.removeprefix(begins).split("} ") for line in lines if line.startswith(begins))
    return {name.strip('"'): float(value) for name, value in found}


if __name__ == "__main__":
    sys.exit(main())
