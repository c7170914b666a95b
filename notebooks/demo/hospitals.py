"""Local hospitals, each with a home folder, a table and an agent process of its own; driven by the command line, as a
data owner would."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasites.home import DatasiteHome
from datasites.wire.files import write_atomically

DICTIONARY = Path(__file__).parents[1] / "readmission" / "dictionary.toml"
# A hospital makes its own secret key; the demo's is fixed, so that every run tests on the same patients.
PSEUDONYM_KEY = hashlib.sha256(b"wardround demo").digest()
_COMMAND = Path(sys.executable).parent / "wardround"


class DemoFailed(Exception):
    """A step of the demo did not work; the text says which."""


@dataclass
class Hospital:
    """`table` is the private file; it stays where it is. `key` is the secret of its patients' pseudonyms."""

    label: str
    home: Path
    table: Path
    store: str
    agent: subprocess.Popen[bytes] | None = None
    key: bytes = PSEUDONYM_KEY
    dictionary: Path = DICTIONARY

    @property
    def email(self) -> str:
        return f"data-office@{self.label}.example.org"

    def command(self, *arguments: str) -> str:
        """Runs `wardround datasite ...` for this hospital; returns what it prints."""
        done = subprocess.run(
            [str(_COMMAND), "datasite", *arguments, "--home", str(self.home)],
            capture_output=True,
            text=True,
            env={**os.environ, "COLUMNS": "120"},
        )
        if done.returncode:
            raise DemoFailed(f"{self.label}: `wardround datasite {arguments[0]}` failed: {done.stderr.strip()}")
        return done.stdout

    def create(self) -> None:
        self.command("init", "--email", self.email, "--store", self.store, "--name", self.label.title())
        write_atomically(DatasiteHome(self.home).pseudonym_key, self.key)
        self.command("publish", "--table", str(self.table), "--dictionary", str(self.dictionary))

    def start(self) -> None:
        with (self.home / "agent.log").open("ab") as log:
            self.agent = subprocess.Popen(
                [str(_COMMAND), "datasite", "serve", "--home", str(self.home)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        if self.agent and self.agent.poll() is None:
            self.agent.send_signal(signal.SIGTERM)
            try:
                self.agent.wait(20)
            except subprocess.TimeoutExpired:
                self.agent.kill()
                self.agent.wait()

    def wait_for_study(self, name: str, seconds: float = 120) -> None:
        """Until the study has arrived in this hospital's Syft inbox."""
        inbox = self.home / "syftbox" / self.email / "app_data" / "job" / "inbox"
        until = time.monotonic() + seconds
        while not any(inbox.glob(f"*/v*/{name}/config.yaml")):
            if time.monotonic() > until or (self.agent and self.agent.poll() is not None):
                raise DemoFailed(f"{self.label}: the study did not arrive; see {self.home / 'agent.log'}")
            time.sleep(0.1)


def side_by_side(work: Callable[[Hospital], object], hospitals: list[Hospital]) -> None:
    """Does the same at every hospital, as many at a time as the machine has cores."""
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        list(pool.map(work, hospitals))


def write_federation(path: Path, store: str, hospitals: list[Hospital]) -> None:
    """The file that a researcher connects with."""
    lines = ['name = "demo"', f'store = "{store}"']
    for hospital in hospitals:
        lines += [f"\n[hospitals.{hospital.label}]", f'email = "{hospital.email}"']
    path.write_text("\n".join(lines) + "\n")


@contextmanager
def local_federation(
    folder: Path, tables: Mapping[str, Path], dictionary: Path = DICTIONARY
) -> Iterator[list[Hospital]]:
    """Hospitals that have published their tables and are serving, with `folder/federation.toml` beside them.

    `folder` is emptied of what an earlier run left. The agents are stopped at the end of the block.
    """
    store = f"file://{(folder / 'store').resolve()}"
    hospitals = [
        Hospital(label, folder / label, table, store, dictionary=dictionary) for label, table in tables.items()
    ]
    for old in ("store", "researcher", *tables):
        shutil.rmtree(folder / old, ignore_errors=True)
    (folder / "store").mkdir(parents=True)
    try:
        side_by_side(Hospital.create, hospitals)
        for hospital in hospitals:
            hospital.start()
        write_federation(folder / "federation.toml", store, hospitals)
        yield hospitals
    finally:
        for hospital in hospitals:
            hospital.stop()
