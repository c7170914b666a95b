"""A consortium's store as it is really run: nginx that asks for certificates, before rclone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasites.onboarding.authority import CERTIFICATE, REVOKED, Authority, Role, locked, plain
from datasites.onboarding.front import BUCKET, write_front
from datasites.wire.files import private_folder, write_atomically
from datasites.wire.passphrase import write_hook
from tests.support.federation import wait_for
from tests.support.s3 import KEY, SECRET, _free_port, _wait_for, rclone

PASSPHRASE = b"a long passphrase"


@dataclass
class Front:
    """A running front. `options` are what a Store takes; a participant's files lie in `folder/certs`."""

    folder: Path
    port: int
    authority: Authority
    process: Any = None
    url: str = f"s3://{BUCKET}"
    made: dict[str, Path] = field(default_factory=dict)

    def certificate(self, name: str, role: Role = "hospital", days: float = 397) -> Path:
        """One PEM file with a new certificate and its key under a passphrase; replaces an earlier one of that name."""
        pem, key = self.authority.issue(name, role, days=days)
        path = self.folder / "certs" / f"{name}.pem"
        write_atomically(path, pem + locked(key, PASSPHRASE))
        return path

    def options(self, certificate: Path | None) -> dict[str, Any]:
        told: dict[str, Any] = {
            "aws_endpoint": f"https://localhost:{self.port}",
            "aws_region": "us-east-1",
            "aws_virtual_hosted_style_request": "false",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "ca_file": str(self.folder / "store/ca.pem"),
        }
        return told | ({"certificate_file": str(certificate)} if certificate else {})

    def reload(self) -> None:
        """As an operator does after a revocation: the new list to the front, and its own script."""
        (self.folder / "store/crl.pem").write_bytes((self.authority.folder / REVOKED).read_bytes())
        with self.reloaded():
            subprocess.run([str(self.folder / "store/reload.sh")], check=True)

    @contextlib.contextmanager
    def reloaded(self) -> Iterator[None]:
        """Around what reloads nginx: new workers begin beside the old ones, which go on to answer until they end."""
        old = self._workers()
        yield
        wait_for(lambda: not old & self._workers(), "the end of nginx's old workers")

    def _workers(self) -> set[str]:
        """The processes whose parent is nginx's own."""
        nginx, found = (self.folder / "store/nginx.pid").read_text().strip(), set()
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if stat.read_text().rpartition(")")[2].split()[1] == nginx:
                    found.add(stat.parent.name)
        return found


@contextlib.contextmanager
def serve_front(folder: Path, *, rules: bool = True) -> Iterator[Front]:
    """A front of its own authority below `folder`, by its own start script, until the block ends. rules: False for one
    that lets everybody with a certificate do everything, to see what the rules are for.

    Its participants' passphrase is found through a hook: in the environment every other test would find it too.
    """
    store = folder / "store"
    write_atomically(folder / "passphrase", PASSPHRASE)
    write_hook(folder / "certs", file=folder / "passphrase")
    port = _free_port()
    authority = Authority.create(folder / "ca", "a consortium", PASSPHRASE)
    certificate, key = authority.issue("store", "store", ("localhost", "127.0.0.1"))
    private_folder(store)
    write_front(store, BUCKET, port, "127.0.0.1")
    if not rules:
        _take_rules_off(store / "nginx.conf")
    (store / "store.pem").write_bytes(certificate)
    write_atomically(store / "store.key", plain(key))
    write_atomically(store / "s3.key", f'"{KEY},{SECRET}"'.encode())
    for name in (CERTIFICATE, REVOKED):
        (store / name).write_bytes((authority.folder / name).read_bytes())
    with start(store, port):
        yield Front(folder, port, authority)


@contextlib.contextmanager
def start(store: Path, port: int) -> Iterator[None]:
    """Runs a store's start script until the block ends."""
    program = rclone()
    assert program
    path = f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin"
    with (store / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(store / "start.sh")], stdout=log, stderr=log, env={**os.environ, "PATH": path}, start_new_session=True
        )
        try:
            _wait_for(port, process)
            wait_for((store / "objects.sock").is_socket, "rclone to start")
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _take_rules_off(conf: Path) -> None:
    text = conf.read_text()
    for line, instead in (
        ('map "$object$list" $allowed { default 0; 10 1; 01 1; }', "map $role $allowed { default 1; }"),
        ('proxy_set_header x-amz-copy-source "";', ""),
    ):
        assert line in text
        text = text.replace(line, instead)
    conf.write_text(text)
