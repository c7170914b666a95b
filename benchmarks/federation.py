"""The benchmark's hospitals under Wardround: real agents in processes of their own, one approved study."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import researcher as wr
from benchmarks.baseline import workload
from datasites.datasite import Datasite
from researcher.rehearsal import rehearse

_DICTIONARY = workload.ROOT / "notebooks" / "readmission" / "dictionary.toml"
_RESEARCHER = "bench@university.example.org"


@contextmanager
def federation(
    folder: Path, store: str, environment: Mapping[str, str], hospitals: Sequence[str] = workload.HOSPITALS
) -> Iterator[wr.Federation]:
    """A connected researcher and the hospitals, accepted and serving; `environment` holds store options."""
    os.environ.update(environment)
    sites = []
    for number, hospital in enumerate(hospitals):
        table = folder / f"{hospital}.csv"
        workload.source(workload.HOSPITALS[number % len(workload.HOSPITALS)]).to_csv(table, index=False)
        site = Datasite.create(folder / hospital, f"office@{hospital}.example.org", store, hospital)
        site.publish(_DICTIONARY, table)
        sites.append(site)
    agents = [_serve(site.home.path) for site in sites]
    try:
        file = folder / "federation.toml"
        entries = "\n".join(f'[hospitals.{s.settings.name}]\nemail = "{s.settings.email}"' for s in sites)
        file.write_text(f'name = "bench"\nstore = "{store}"\n{entries}\n')
        options: dict[str, Any] = sites[0].settings.store_options
        connected = wr.connect(file, _RESEARCHER, folder / "researcher", options)
        for site in sites:
            site.trust(_RESEARCHER, connected.fingerprint)
        patience = 60 + 20 * len(sites)  # agents that share this machine's cores
        connected.wait_for_hospitals(patience)
        connected.wait_for_datasets("readmissions", patience)
        yield connected
    finally:
        for agent in agents:
            agent.send_signal(signal.SIGTERM)
        for agent in agents:
            agent.wait(30)
        for site in sites:
            site.state.close()


def approved(connected: wr.Federation, folder: Path, name: str, mode: str, rounds: int) -> wr.Submission:
    """A study of the workload that every hospital has approved."""
    study = wr.Study(name, "Measure a round", workload.STUDY, "readmissions", rounds, workload.CONFIGS[mode])
    return submitted(connected, folder, study)


def submitted(
    connected: wr.Federation,
    folder: Path,
    study: wr.Study,
    policy: str | Path = "standard",
    hospitals: Sequence[str] = workload.HOSPITALS,
) -> wr.Submission:
    """The study, approved by every hospital under a policy."""
    submission = connected.submit(study, rehearse(study, connected.datasets(study.dataset)[:3]))
    for hospital in hospitals:
        with Datasite.opened(folder / hospital) as site:
            until = time.monotonic() + 60 + 10 * len(hospitals)
            while not len(site.studies().query("digest == @submission.digest")):
                if time.monotonic() > until:
                    raise workload.BaselineFailed(f"The study did not arrive at {hospital}.")
                time.sleep(0.1)
            site.set_policy("readmissions", policy)
            site.approve(submission.digest)
    submission.wait(timeout=60 + 20 * len(hospitals))
    return submission


def _serve(home: Path) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).parent / "wardround"), "datasite", "serve", "--home", str(home)]
    with (home / "agent.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
