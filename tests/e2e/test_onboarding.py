"""A hospital from a sealed file to a study, over mutual TLS, by the commands people give: found, invite, join, serve.

The certificate is renewed while the agent runs, the old one is revoked, and the study goes on. Then it is stolen.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import researcher as wr
from datasites import cli
from tests.support.federation import DICTIONARY, PATIENCE, POLICY, STUDY, expected_state, same_bits, stays, wait_for
from tests.support.front import start
from tests.support.s3 import _free_port

COMMAND = shutil.which("wardround", path=str(Path(sys.executable).parent)) or "wardround"
HOOK = "key-of-the-kms"


def do(*words: object, code: int = 0, **environment: str) -> str:
    """What a command says, on one line. A passphrase comes from the environment, as nobody sits there."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.setattr(sys, "argv", ["wardround", *map(str, words)])
        patch.setenv("COLUMNS", "200")
        patch.delenv("WARDROUND_PASSPHRASE", raising=False)  # the researcher's: another person's
        for name, value in environment.items():
            patch.setenv(name, value)
        with contextlib.redirect_stderr(out), pytest.raises(SystemExit) as ended:
            cli.main()
    said = " ".join(out.getvalue().split())
    assert (ended.value.code or 0) == code, said
    return said


class Consortium:
    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._root = {"WARDROUND_CA_PASSPHRASE": "only in the safe of the consortium"}
        people = ("--hospital", "north=do@north.org", "--researcher", "ada=ada@uni.org")
        self.do("init", "--name", "Readmission", "--store", f"localhost:{port}", *people)

    def do(self, *words: str) -> str:
        return do("federation", *words, "--folder", self.folder, **self._root)

    def invite(self, label: str) -> tuple[Path, str]:
        """(the file, and its passphrase as it is told over the telephone)."""
        said = self.do("invite", label)
        file, words = re.search(r"(\S+\.invitation) is .* here: (\S+)", said).groups()  # type: ignore[union-attr]
        return Path(file), words

    def revoke(self, label: str, *options: str) -> None:
        self.do("revoke", label, *options)
        subprocess.run([str(self.folder / "store/reload.sh")], check=True, capture_output=True)


@pytest.mark.slow
def test_from_an_invitation_to_a_study_and_on_with_a_new_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays(1, 30).to_csv(tmp_path / "stays.csv", index=False)
    secret = tmp_path / "secret"
    secret.write_text(HOOK + "\n")
    secret.chmod(0o600)
    home, port = tmp_path / "north", _free_port()
    consortium = Consortium(tmp_path / "consortium", port)
    with start(consortium.folder / "store", port):
        file, words = consortium.invite("north")
        table = ("--table", tmp_path / "stays.csv", "--dictionary", DICTIONARY)
        joining = ("federation", "join", file, "--home", home, "--passphrase-file", secret)
        said = do(*joining, *table, WARDROUND_INVITATION_PASSPHRASE=words)
        assert "30 rows fit" in said
        assert "the store lets this datasite use its own boxes only" in said
        do("policy", "set", "stays", POLICY, "--home", home)
        with (tmp_path / "north.log").open("wb") as log:
            quick = {"WARDROUND_SYNC_SECONDS": "0.2", "WARDROUND_POLL_SECONDS": "0.1"}
            argv = [COMMAND, "datasite", "serve", "--home", str(home)]
            agent = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **quick})
        try:
            file, words = consortium.invite("ada")
            ada_home = tmp_path / "ada"
            do("federation", "join", file, "--home", ada_home, WARDROUND_INVITATION_PASSPHRASE=words)
            monkeypatch.setenv("WARDROUND_PASSPHRASE", words)
            federation = wr.connect(ada_home / "federation.toml", "ada@uni.org", home=ada_home)
            do("datasite", "trust", "ada@uni.org", "--fingerprint", federation.fingerprint, "--home", home)
            federation.wait_for_datasets("stays", PATIENCE)
            study = wr.Study("counting", "Count days", code=STUDY, dataset="stays", rounds=2)
            submission = federation.submit(study, federation.rehearse(study))
            assert agent.poll() is None
            wait_for(lambda: "counting" in do("datasite", "requests", "--json", "--home", home), "the study")
            do("datasite", "approve", submission.manifest.job_name, "--home", home)
            submission.wait(timeout=PATIENCE)
            rounds = wr.Rounds(submission)
            rounds.run(1)

            before = json.loads(do("doctor", "--json", "--home", home))["findings"]
            file, words = consortium.invite("north")
            assert "renewed" in do("federation", "join", file, "--home", home, WARDROUND_INVITATION_PASSPHRASE=words)
            consortium.revoke("north", "--older")
            assert same_bits(rounds.run(1).parameters, expected_state([stays(1, 30)], [1, 3]))
            again = json.loads(do("doctor", "--json", "--home", home))["findings"]
            keys = [next(one["found"] for one in findings if one["what"] == "keys") for findings in (before, again)]
            assert keys[0] == keys[1]  # the datasite's own keys are the same, so no peer has to compare them anew

            consortium.revoke("north")
            said = do("doctor", "--json", "--home", home, code=1)
            store = next(one for one in json.loads(said)["findings"] if one["what"] == "store")
            assert (store["ok"], "certificate revoked" in store["found"]) == (False, True)
            assert "new" in store["mend"]
            assert agent.poll() is None  # it goes on looking, so that a new certificate is enough
        finally:
            agent.terminate()
            agent.wait(PATIENCE)
            print((tmp_path / "north.log").read_text())
    for path in (*home.rglob("*"), *ada_home.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in (b"BEGIN PRIVATE KEY", b'"d":', HOOK.encode())), path
