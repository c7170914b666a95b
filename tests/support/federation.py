"""Real datasites for tests: private homes, agents as processes of their own, and a connected researcher."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

import researcher as wr
from datasites.datasite import Datasite
from datasites.wire.arrays import Arrays
from researcher.rehearsal import rehearse

STUDY = Path(__file__).parent / "counting"
DICTIONARY = STUDY / "stays.toml"
POLICY = Path(__file__).parent / "policy.toml"
PATIENCE = 180.0  # other work may share the machine: an agent has taken more than a minute to start
WARDROUND = [sys.executable, "-c", "from datasites.cli import main; main()", "datasite"]
_QUICK = {"WARDROUND_SYNC_SECONDS": "0.2", "WARDROUND_POLL_SECONDS": "0.1"}


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE, pause: float = 0.02) -> Any:
    """The first true value of `condition`."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, f"still waiting for: {what}"
        time.sleep(pause)
    return value


def stays(site: int, rows: int) -> pd.DataFrame:
    """A hospital's table: whole numbers, the same at every call."""
    rng = np.random.default_rng(site)
    return pd.DataFrame(
        {
            "patient_id": np.arange(rows) // 2,
            "site": site,
            "days": rng.integers(1, 91, rows),
            "readmitted": rng.integers(0, 2, rows),
        }
    )


def load_study() -> ModuleType:
    """The study's own functions, to work out what hospitals must answer."""
    spec = importlib.util.spec_from_file_location("counting_study", STUDY / "study.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected_state(tables: list[pd.DataFrame], messages: list[int], config: Mapping[str, Any] | None = None) -> Arrays:
    """The state after training on `tables` with these messages' numbers: FedAvg by its formula, without our code."""
    state: Arrays = load_study().initialize({})
    for number in messages:
        state = next_state(state, tables, number, config)
    return state


def next_state(
    state: Arrays, tables: list[pd.DataFrame], number: int, config: Mapping[str, Any] | None = None
) -> Arrays:
    """The state after one more round, in which hospitals with these tables took part."""
    with contextlib.redirect_stdout(None):
        results = [load_study().fit(state, table, {**(config or {}), "round": number}) for table in tables]
    total = sum(n for _, n, _ in results)
    mean = {name: sum(p[name].astype(np.float64) * n for p, n, _ in results) / total for name in state}
    return {"w": np.rint(mean["w"]).astype(np.int64), "b": np.asarray(mean["b"])}


def same_bits(left: Arrays, right: Arrays) -> bool:
    return left.keys() == right.keys() and all(
        a.dtype == right[n].dtype and a.shape == right[n].shape and a.tobytes() == right[n].tobytes()
        for n, a in left.items()
    )


class Hospital:
    """One datasite and its agent's process."""

    dictionary = DICTIONARY
    make_table = staticmethod(stays)

    def __init__(self, home: Path, label: str, site: int, rows: int, store: str) -> None:
        self.label, self.email = label, f"do@{label}.org"
        self.table = self.make_table(site, rows)
        self.source = home.with_suffix(".csv")
        self.table.to_csv(self.source, index=False)
        self.log = home.with_suffix(".log")
        self._env = {**os.environ, **_QUICK}
        self._agent: subprocess.Popen[bytes] | None = None
        self.datasite = Datasite.create(home, self.email, store, name=label.title())
        self.datasite.set_policy("stays", POLICY)
        self.home = self.datasite.home

    def publish(self) -> None:
        self.datasite.publish(self.dictionary, self.source)

    def start(self) -> None:
        """Starts the agent, unless it runs; lets it go on if it was paused."""
        if self._agent and self._agent.poll() is None:
            self._agent.send_signal(signal.SIGCONT)
        else:
            with self.log.open("ab") as log:
                argv = [*WARDROUND, "serve", "--home", str(self.home.path)]
                self._agent = subprocess.Popen(argv, env=self._env, stdout=log, stderr=log)

    def wait_until_serving(self) -> None:
        def alive() -> bool:
            assert self._agent
            assert self._agent.poll() is None, self.log.read_text()
            try:
                return bool(json.loads(self.home.heartbeat.read_bytes())["pid"] == self._agent.pid)
            except (OSError, ValueError):
                return False

        wait_for(alive, f"the agent of {self.label}")

    def kill(self) -> None:
        """kill -9."""
        assert self._agent
        self._agent.kill()
        self._agent.wait()

    def pause(self) -> None:
        if self._agent and self._agent.poll() is None:
            self._agent.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        """Ctrl-C, and the end of it."""
        if self._agent and self._agent.poll() is None:
            self._agent.send_signal(signal.SIGINT)
            self._agent.send_signal(signal.SIGCONT)
            self._agent.wait(PATIENCE)

    def folder(self, study: wr.Submission) -> Path:
        return self.home.path / "studies" / study.digest

    def study_log(self, study: wr.Submission) -> str:
        path = self.folder(study) / "study.log"
        return path.read_text() if path.exists() else ""

    def workers(self, study: wr.Submission) -> list[str]:
        """The study's processes here: those that have its folder on their command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.fsencode(self.folder(study)) in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
        return found

    def approve(self, study: wr.Submission, **limits: Any) -> None:
        self.wait_for_submission(study)
        self.datasite.approve(study.manifest.job_name, **limits)

    def wait_for_submission(self, study: wr.Submission) -> None:
        office = self.datasite.office
        wait_for(lambda: study.digest in {s.digest for s in office.submissions()}, f"{study.digest} at {self.label}")

    def job(self, study: wr.Submission) -> Any:
        """Syft's own record of the study, as the data owner sees it."""
        with self.home.syft_tree():  # the agent writes there, and Syft leaves out what is half written
            return next(j for j in self.datasite.office._jobs.jobs if j.name == study.manifest.job_name)


def _entry(hospital: Hospital) -> str:
    fingerprint = hospital.datasite.fingerprint
    return f'[hospitals.{hospital.label}]\nemail = "{hospital.email}"\nfingerprint = "{fingerprint}"'


class World:
    """Hospitals that share a store with one researcher, who is accepted by all of them."""

    hospital_type: type[Hospital] = Hospital

    def __init__(self, root: Path, store: str = "", sites: int = 2) -> None:
        self.root = root
        self.store = store or f"file://{root}/store"
        labels = ("north", "south", "east", *(f"h{number}" for number in range(4, sites + 1)))[:sites]
        self.hospitals = [
            self.hospital_type(root / label, label, i, 20 * i + 10, self.store) for i, label in enumerate(labels, 1)
        ]
        self.file = root / "federation.toml"
        self.file.write_text("\n".join([f'store = "{self.store}"', *map(_entry, self.hospitals)]))
        self.researcher: wr.Federation
        self._rehearsal: wr.Rehearsal | None = None
        self._names = 0

    def open(self, email: str = "ada@uni.org", store_options: Mapping[str, Any] | None = None) -> World:
        for hospital in self.hospitals:
            hospital.publish()
            hospital.start()
        self.researcher = self.join(email, "ada", store_options)
        return self

    def join(self, email: str, folder: str, store_options: Mapping[str, Any] | None = None) -> wr.Federation:
        """Another researcher whom all hospitals accept."""
        researcher = wr.connect(self.file, email, home=self.root / folder, store_options=store_options)
        for hospital in self.hospitals:
            wait_for(lambda h=hospital: email in set(h.datasite.peer_requests()["researcher"]), "the peer request")
            hospital.datasite.trust(email, researcher.fingerprint)
            hospital.wait_until_serving()
        researcher.wait_for_hospitals(PATIENCE)
        researcher.wait_for_datasets("stays", PATIENCE)
        return researcher

    def close(self) -> None:
        for hospital in self.hospitals:
            hospital.stop()
            hospital.datasite.state.close()

    def rest(self) -> None:
        """Until `all_serve`, agents take no part of the machine: other tests run meanwhile, and these look often."""
        for hospital in self.hospitals:
            hospital.pause()

    def all_serve(self) -> None:
        for hospital in self.hospitals:
            hospital.start()
        for hospital in self.hospitals:
            hospital.wait_until_serving()

    def study(self, rounds: int = 3, **options: Any) -> wr.Study:
        self._names += 1
        name = options.pop("name", f"study-{self._names}")
        defaults = {"purpose": "Test", "code": STUDY, "dataset": "stays", "config": {}}
        return wr.Study(name=name, rounds=rounds, **{**defaults, **options})

    def submit(self, rounds: int = 3, **options: Any) -> wr.Submission:
        """Submits the counting study; rehearsed once, as its outputs depend on nothing that tests change."""
        study = self.study(rounds, **options)
        datasets = self.researcher.datasets("stays")
        self._rehearsal = self._rehearsal or rehearse(study, datasets[:1])
        fingerprint = study.fingerprint(datasets[0].dictionary)
        return self.researcher.submit(study, dataclasses.replace(self._rehearsal, study=study, fingerprint=fingerprint))

    def approved(self, rounds: int = 3, **options: Any) -> wr.Submission:
        """A study that every hospital has approved, and whose researcher knows it."""
        submission = self.submit(rounds, **options)
        for hospital in self.hospitals:
            hospital.approve(submission)
        submission.wait(timeout=PATIENCE)
        return submission
