"""A study from an empty folder to a model, as people do it: every step by the command line and the library."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import researcher as wr
from tests.support.federation import (
    DICTIONARY,
    PATIENCE,
    POLICY,
    STUDY,
    World,
    expected_state,
    same_bits,
    stays,
    wait_for,
)
from tests.support.s3 import serve_s3

SITES = {"north": 1, "south": 2}
COMMAND = shutil.which("wardround", path=str(Path(sys.executable).parent)) or "wardround"


class Desk:
    """A data owner at a terminal."""

    def __init__(self, root: Path, label: str) -> None:
        self.label, self.home = label, root / label
        self.table = stays(SITES[label], 30)
        self.table.to_csv(root / f"{label}.csv", index=False)
        self._root = root

    def do(self, command: str, *arguments: str) -> str:
        argv = [COMMAND, "datasite", command, *arguments, "--home", str(self.home)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def open(self) -> subprocess.Popen[bytes]:
        email, store = f"do@{self.label}.org", f"file://{self._root}/store"
        assert "fingerprint" in self.do("init", "--email", email, "--store", store, "--name", self.label.title())
        table = str(self._root / f"{self.label}.csv")
        assert "30 rows fit" in self.do("publish", "--table", table, "--dictionary", str(DICTIONARY))
        policy = [COMMAND, "policy", "set", "stays", str(POLICY), "--home", str(self.home)]
        subprocess.run(policy, check=True, capture_output=True, timeout=PATIENCE)
        with (self._root / f"{self.label}.log").open("wb") as log:
            argv = [COMMAND, "datasite", "serve", "--home", str(self.home)]
            return subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, "WARDROUND_SYNC_SECONDS": "0.2"})


def decide(desk: Desk, study: str) -> None:
    wait_for(lambda: study in desk.do("requests", "--json"), "the study to arrive")
    shown = json.loads(desk.do("show", study, "--json"))
    assert shown["problems"] == []
    assert "There is no differential-privacy guarantee" in shown["summary"]
    assert shown["files"]["study.py"] == (STUDY / "study.py").read_text()
    assert "approved for 2 rounds" in " ".join(desk.do("approve", study, "--expires", "30d").split())


@pytest.mark.slow
def test_from_an_empty_folder_to_a_model(tmp_path: Path) -> None:
    desks = [Desk(tmp_path, label) for label in SITES]
    with ThreadPoolExecutor() as pool:
        agents = list(pool.map(Desk.open, desks))
        try:
            hospitals = "\n".join(f'[hospitals.{d.label}]\nemail = "do@{d.label}.org"' for d in desks)
            (tmp_path / "federation.toml").write_text(f'store = "file://{tmp_path}/store"\n{hospitals}\n')
            federation = wr.connect(tmp_path / "federation.toml", "ada@uni.org", home=tmp_path / "ada")
            assert federation.fingerprint in desks[0].do("requests", "--json")
            trust = ("ada@uni.org", "--fingerprint", federation.fingerprint)
            assert all("accepted" in said for said in pool.map(lambda d: d.do("trust", *trust), desks))
            federation.wait_for_hospitals(PATIENCE)
            twins = federation.wait_for_datasets("stays", PATIENCE)
            assert [t.hospital_name for t in twins] == ["North", "South"]
            assert federation.hospitals()["accepted"].all()

            study = wr.Study("counting", "Count days", code=STUDY, dataset="stays", rounds=2)
            rehearsal = federation.rehearse(study)
            submission = federation.submit(study, rehearsal)
            list(pool.map(lambda d: decide(d, submission.manifest.job_name), desks))
            assert submission.wait(timeout=PATIENCE)["decision"].tolist() == ["approved", "approved"]
            result = wr.Rounds(submission).run()
            assert same_bits(result.parameters, expected_state([d.table for d in desks], [1, 2]))
            result.save(tmp_path / "model.safetensors")
            assert same_bits(load_file(tmp_path / "model.safetensors"), result.parameters)

            status = json.loads(desks[0].do("status", "--json"))
            assert status["agent"] is True
            assert (status["tables"], status["peers"]) == (["stays"], ["ada@uni.org"])
            assert [(s["rounds_used"], s["last_outcome"]) for s in status["studies"]] == [(2, "released")]
            assert status["refused_messages"] == []
            assert "revoked" in desks[0].do("revoke", submission.manifest.job_name, "--reason", "Done.")
            wait_for(lambda: len(submission.participants()) == 1, "the revocation to arrive")
        finally:
            for agent in agents:
                agent.send_signal(signal.SIGTERM)
            assert [agent.wait(PATIENCE) for agent in agents] == [0, 0]
    assert "Traceback" not in (tmp_path / "north.log").read_text()


@pytest.mark.slow
def test_over_an_s3_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_s3(tmp_path / "s3") as s3:
        monkeypatch.setenv("WARDROUND_STORE_OPTIONS", json.dumps(s3.options))
        world = World(tmp_path, s3.url)
        try:
            study = world.open(store_options=s3.options).approved(rounds=2)
            result = wr.Rounds(study).run()
        finally:
            world.close()
    assert same_bits(result.parameters, expected_state([h.table for h in world.hospitals], [1, 2]))
    assert not any(result.hospitals["problem"])
