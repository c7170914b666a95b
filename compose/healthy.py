"""`python3 -I healthy.py datasite|researcher|store|prometheus`: a container's health check.

Exit status 0, or 1 and a sentence.
"""

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
    """Its front shows the certificate that participants expect, in force today, and turns away who has none; the store
    behind the front answers it."""
    trusted = ssl.create_default_context(cafile="/front/ca.pem")
    plain = socket.create_connection(("127.0.0.1", 9443), 5)
    with trusted.wrap_socket(plain, server_hostname="store") as front:
        front.sendall(b"GET / HTTP/1.0\r\nHost: store\r\n\r\n")
        answer = b"".join(iter(lambda: front.recv(4096), b""))
    if b"CertificateRefused" not in answer:
        return "the front does not ask for certificates"
    with socket.socket(socket.AF_UNIX) as behind:
        behind.settimeout(5)
        behind.connect("/srv/store/objects.sock")
    return ""


def prometheus() -> str:
    """It is ready, and reads the agent's numbers."""
    with urllib.request.urlopen("http://127.0.0.1:9090/api/v1/targets?state=active", timeout=5) as answer:
        targets = json.load(answer)["data"]["activeTargets"]
    return next((one["lastError"] or "no look at the agent yet" for one in targets if one["health"] != "up"), "")


def main(what: str) -> int:
    """Returns the exit status."""
    try:
        problem = {"datasite": datasite, "researcher": researcher, "store": store, "prometheus": prometheus}[what]()
    except (OSError, ValueError, KeyError) as why:
        problem = f"{type(why).__name__}: {why}"
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
