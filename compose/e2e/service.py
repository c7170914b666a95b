"""`python -m compose.e2e.service`: the systemd unit that `wardround datasite systemd` writes, under a live systemd.

A container stands in for the hospital's machine: the datasite's image with Debian's systemd as its first process. It is
privileged, as a machine is; what is tried is what systemd then takes away from the agent.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compose import images
from compose.containers import ContainersFailed, wait_for
from compose.images import engine

IMAGE, MACHINE = "localhost/wardround-machine", "wardround-machine"
UNIT = "wardround-do-north.org.service"
_UNITS = "/etc/systemd/system"
_HOME, _SECRET = "/var/lib/wardround", "/etc/wardround/passphrase"
_PATIENCE_SECONDS = 120.0
_LEAST_EXPOSED = 3.5  # of 10, by systemd's own count; a unit without any hardening has 9.6
_SET_UP = f"""
set -eu
install -d -m 0700 /etc/wardround
head -c 24 /dev/urandom | base64 >{_SECRET}
chmod 0600 {_SECRET}
install -d -o wardround /srv/store
as="runuser -u wardround -- env HOME=/tmp WARDROUND_HOME={_HOME}"
$as wardround datasite init --email do@north.org --store file:///srv/store
$as WARDROUND_NEW_PASSPHRASE="$(cat {_SECRET})" wardround federation passphrase
wardround datasite systemd --home {_HOME} --user wardround --passphrase-file {_SECRET} >{_UNITS}/{UNIT}
# the same unit, for what a doctor finds when it runs in the agent's place
sed -e 's/^Type=.*/Type=oneshot/' -e 's/^Restart=.*/Restart=no/' \\
    -e 's/^ExecStart=\\([^ ]*\\) datasite serve \\(.*\\)/ExecStart=\\1 doctor --json \\2\\nStandardOutput=file:\\/srv\\/store\\/doctor.json/' \\
    {_UNITS}/{UNIT} >{_UNITS}/doctor.service
systemctl daemon-reload
"""  # noqa: E501


def findings() -> Iterator[tuple[str, str, bool]]:
    """(what was tried, what came of it, whether it is as it should be), one after the other."""
    told = _said("systemd-analyze", "verify", f"{_UNITS}/{UNIT}")
    yield "systemd takes the unit", told or "without a word", not told
    exposed = _said("systemd-analyze", "security", "--no-pager", UNIT).split("Overall exposure level for")[1]
    yield "exposure, of 10", exposed.split(":")[1].strip(), float(exposed.split(":")[1].split()[0]) <= _LEAST_EXPOSED
    _said("systemctl", "start", "doctor.service", check=False)  # its status also tells of what is wrong
    doctor = json.loads(_said("cat", "/srv/store/doctor.json"))
    wrong = ", ".join(str(one["what"]) for one in doctor["findings"] if one["ok"] is False)
    yield "a doctor under it finds wrong", wrong or "nothing", not wrong
    sandbox = next(str(one["found"]) for one in doctor["findings"] if one["what"] == "sandbox").split(".")[0]
    yield "studies are confined under it by", sandbox, sandbox == "bubblewrap"

    _said("systemctl", "enable", "--now", UNIT)
    _until_it_serves()
    first = _main()
    yield "it serves", f"process {first}", True
    status = dict(line.split(":", 1) for line in _said("cat", f"/proc/{first}/status").splitlines())
    capabilities = int(status["CapEff"], 16) | int(status["CapBnd"], 16)
    bare = status["Uid"].split()[0] != "0" and not capabilities and status["NoNewPrivs"].strip() == "1"
    yield "its process", f"user {status['Uid'].split()[0]}, capabilities {capabilities:x}", bare
    mounts = [line.split() for line in _said("cat", f"/proc/{first}/mountinfo").splitlines()]
    writable = sorted({m[4] for m in mounts if m[4].startswith(("/var", "/srv", "/etc", "/usr", "/home")) and _rw(m)})
    root = [m for m in mounts if m[4] == "/"][-1]
    yield "what it can write to", ", ".join(writable), not _rw(root) and set(writable) <= _WRITES
    read = _said("runuser", "-u", "wardround", "--", "cat", _SECRET, check=False)
    yield "its user reads the passphrase's file", read.splitlines()[-1], "Permission denied" in read

    _said("systemctl", "kill", "--signal=KILL", "--kill-whom=main", UNIT)
    _until_it_serves(other_than=first)
    yield "after kill -9", f"process {_main()} serves", True
    _engine("restart", MACHINE)
    _until_it_serves()
    yield "after the machine started anew", f"process {_main()} serves", True
    _said("systemctl", "stop", UNIT)
    ended = _shown("ActiveState"), _shown("Result"), _serving() or "nobody serves"
    yield "after systemctl stop", ", ".join(ended), ended == ("inactive", "success", "nobody serves")
    other = ["runuser", "-u", "wardround", "--", "env", "HOME=/tmp", f"WARDROUND_PASSPHRASE={_said('cat', _SECRET)}"]
    command = [engine(), "exec", "-d", *_PATH, MACHINE, *other, "wardround", "datasite", "serve", "--home", _HOME]
    subprocess.run(command, check=True, capture_output=True)
    wait_for(_serving, "an agent beside the service does not serve", _PATIENCE_SECONDS)
    _said("systemctl", "start", UNIT, check=False)
    wait_for(lambda: _shown("ActiveState") == "failed", "a second agent goes on", _PATIENCE_SECONDS)
    refused = f"exit status {_shown('ExecMainStatus')}, {_shown('NRestarts')} restarts"
    yield "where another agent serves the same home", refused, refused == "exit status 3, 0 restarts"


_PATH = ["-e", "PATH=/opt/wardround/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
_WRITES = {_HOME, "/srv/store", "/var/tmp"}  # noqa: S108 # the last is its own: PrivateTmp


def main() -> int:
    """Returns the exit status."""
    console = Console(highlight=False, width=120)
    try:
        _build()
        _remove()
        options = ["--systemd=always", "--privileged", "--network=none", f"--name={MACHINE}"]
        _engine("run", "-d", *options, IMAGE)
        wait_for(
            lambda: _said("systemctl", "is-system-running", check=False) == "running", "systemd does not start", 60
        )
        _said("sh", "-c", _SET_UP)
        tried = list(findings())
    except ContainersFailed as problem:
        console.print(f"The unit could not be tried to the end: {problem}", markup=False)
        return 1
    finally:
        _remove()
    table = Table("", "what", "found", title="The agent as a systemd service")
    for what, found, good in tried:
        table.add_row("[green]yes[/]" if good else "[bold red]no[/]", what, escape(found))
    console.print(table)
    return 0 if all(good for _, _, good in tried) else 1


def _build() -> None:
    if not images.exists("localhost/wardround-datasite"):
        raise ContainersFailed("there is no image of the datasite. Run: make images")
    content = (
        "FROM localhost/wardround-datasite\nUSER root\n"
        "RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd systemd-sysv dbus\n"
        # mounts that systemd makes for one service are shared on a machine, and private in a container
        'ENTRYPOINT ["/bin/sh", "-c", "/bin/mount --make-rshared / && exec /sbin/init"]\n'
    )
    _engine("build", "-q", "--network=host", "-t", IMAGE, "-f", "-", ".", text=content)


def _engine(*command: str, text: str | None = None) -> None:
    done = subprocess.run([engine(), *command], input=text, capture_output=True, text=True)
    if done.returncode:
        raise ContainersFailed(f"`{engine()} {command[0]}` failed: {done.stderr.strip()[-2000:]}")


def _remove() -> None:
    subprocess.run([engine(), "rm", "-f", MACHINE], capture_output=True)


def _said(*command: str, check: bool = True) -> str:
    done = subprocess.run(
        [engine(), "exec", *_PATH, MACHINE, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if check and done.returncode:
        raise ContainersFailed(f"`{' '.join(command[:3])}` failed with status {done.returncode}: {done.stdout[-2000:]}")
    return done.stdout.strip()


def _shown(name: str) -> str:
    return _said("systemctl", "show", "--value", f"--property={name}", UNIT)


def _main() -> str:
    return _shown("MainPID")


def _serving() -> str:
    """The process that has last said that it serves; empty where there is none."""
    said = _said("cat", f"{_HOME}/agent.json", check=False)
    process = str(json.loads(said)["pid"]) if said.startswith("{") else ""
    return process if process and not _said("ls", f"/proc/{process}/stat", check=False).startswith("ls:") else ""


def _until_it_serves(other_than: str = "") -> None:
    try:
        wait_for(
            lambda: _main() not in ("0", other_than) and _main() == _serving(), "it does not serve", _PATIENCE_SECONDS
        )
    except ContainersFailed:
        raise ContainersFailed(f"it does not serve:\n{_journal()}") from None


def _rw(mount: list[str]) -> bool:
    return "rw" in mount[5].split(",")


def _journal() -> str:
    return _said("journalctl", "--no-pager", "-n", "30", "-u", UNIT, check=False)


if __name__ == "__main__":
    sys.exit(main())
