"""`python3 -I healthy.py datasite|researcher|store`: a container's health check. Exit status 0, or 1 and a sentence."""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import time
import urllib.request
from pathlib import Path

_SILENT_SECONDS = 90  # a sync of a busy agent may take that long


def datasite() -> str:
    """The agent has said lately that it runs, and nothing keeps it from its work."""
    beat = Path(os.environ["WARDROUND_HOME"]) / "agent.json"
    if not beat.exists():
        return "the agent does not serve yet"
    silent = time.time() - beat.stat().st_mtime
    if silent > _SILENT_SECONDS:
        return f"the agent has said nothing for {silent:.0f} seconds"
    return str(json.loads(beat.read_text())["problem"])


def researcher() -> str:
    """JupyterLab answers."""
    with urllib.request.urlopen("http://127.0.0.1:8888/api", timeout=5) as answer:
        json.load(answer)
    return ""


def store() -> str:
    """It shows the certificate that participants expect, in force today. Who is not signed in is told no more."""
    trusted = ssl.create_default_context(cafile="/run/secrets/store_ca")
    with socket.create_connection(("127.0.0.1", 9000), 5) as plain:
        trusted.wrap_socket(plain, server_hostname="store").close()
    return ""


def main(what: str) -> int:
    """Returns the exit status."""
    try:
        problem = {"datasite": datasite, "researcher": researcher, "store": store}[what]()
    except (OSError, ValueError, KeyError) as why:
        problem = f"{type(why).__name__}: {why}"
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
