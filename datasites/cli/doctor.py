"""`wardround doctor`: whether this machine can run studies on patients' data, and its datasite take part in any."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from datasites.cli.exits import Exit
from datasites.cli.options import DEFAULT_HOME, HomeOption, JsonOption
from datasites.onboarding.finding import Finding
from policies.errors import Unavailable

_GIB = 1024**3
_LEAST_DISK = 2 * _GIB


def doctor(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show whether this machine can confine studies, and whether its datasite can take part in any: its keys,
    certificate, store, clock, disk and tables, and what to do about each. Exit code 1 when it cannot."""
    from datasites.onboarding.checks import datasite_findings

    machine, datasite = examine(home), datasite_findings(home)
    elsewhere = next((one for one in datasite if one.what == "executor"), None)
    usable = elsewhere.ok if elsewhere else machine[0].ok  # the nodes' own sandboxes are tried when a job begins there
    here = [one for one in machine if one.what == "disk" or (one.what == "sandbox" and elsewhere is None)]
    ready = all(one.ok is not False for one in (*here, *datasite))
    findings = [*machine, *datasite]
    if as_json:
        said = {"private_data": usable, "ready": ready, "findings": [asdict(one) for one in findings]}
        typer.echo(json.dumps(said, indent=1))
    else:
        show_findings(findings)
    raise typer.Exit(Exit.DONE if usable and ready else Exit.UNUSABLE)


def examine(home: Path) -> list[Finding]:
    """What this machine offers; the first finding, "sandbox", decides."""
    return [
        _sandbox(),
        _bubblewrap(),
        _namespaces(),
        _landlock(),
        _filter(),
        _user(),
        _memory(),
        _gpus(),
        _disk(home),
        _python(),
    ]


def _sandbox() -> Finding:
    from datasites.runner.sandbox.choose import default_sandbox

    try:
        chosen = default_sandbox(private=True)
    except Unavailable as why:
        return Finding("sandbox", f"none: {why.message}", ok=False, mend=why.hint)
    return Finding("sandbox", f"{chosen.name}. {chosen.confines}", ok=True)


def _bubblewrap() -> Finding:
    from datasites.runner.sandbox import bubblewrap

    problem = bubblewrap.problem()
    if problem:
        return Finding("bubblewrap", problem, ok=False, mend="apt-get install bubblewrap")
    said = subprocess.run([bubblewrap.program(), "--version"], capture_output=True, text=True)
    return Finding("bubblewrap", f"{said.stdout.strip()}, and it works", ok=True)


def _namespaces() -> Finding:
    allowed = _read("/proc/sys/user/max_user_namespaces")
    for setting, closed in (("unprivileged_userns_clone", "0"), ("apparmor_restrict_unprivileged_userns", "1")):
        if _read(f"/proc/sys/kernel/{setting}") == closed:
            return Finding("user namespaces", f"not for ordinary users: kernel.{setting} is {closed}")
    if allowed in ("", "0"):
        return Finding("user namespaces", "none: user.max_user_namespaces is 0, or this is not Linux")
    return Finding("user namespaces", f"up to {allowed}")


def _landlock() -> Finding:
    from datasites.runner.sandbox import landlock

    problem = landlock.problem()
    return Finding("Landlock", problem or f"version {landlock.version()}", ok=not problem)


def _filter() -> Finding:
    from datasites.runner.sandbox import seccomp

    try:
        seccomp.program()
    except Unavailable as why:
        return Finding("system call filter", str(why), ok=False)
    return Finding("system call filter", f"known for {platform.machine()}", ok=True)


def _user() -> Finding:
    if os.geteuid() == 0:
        return Finding("user", "root: make a user of its own for the agent; root's studies have one limit less")
    return Finding("user", f"an ordinary one ({os.geteuid()})", ok=True)


def _memory() -> Finding:
    from datasites.runner.limits import Limits

    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = Limits().memory_bytes
    enough = (
        "" if available >= needed else f"; a study may use {needed / _GIB:.0f} GiB unless limits.memory_bytes is set"
    )
    return Finding("memory", f"{available / _GIB:.1f} GiB free{enough}", ok=available >= needed or None)


def _gpus() -> Finding:
    from datasites.runner.sandbox import gpus

    cards = [path.name for path in gpus.devices() if path.name.removeprefix("nvidia").isdecimal()]
    if not cards:
        return Finding("graphics cards", "none that studies could use (NVIDIA)")
    return Finding("graphics cards", f"{len(cards)}; studies see them only with the setting limits.gpus = true")


def _disk(home: Path) -> Finding:
    place = home.expanduser().resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    mend = "" if free >= _LEAST_DISK else f"Free space until there are {_LEAST_DISK / _GIB:.0f} GiB, or move --home."
    return Finding("disk", f"{free / _GIB:.1f} GiB free at {place}", ok=free >= _LEAST_DISK, mend=mend)


def _python() -> Finding:
    return Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.release()}")


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def show_findings(findings: list[Finding]) -> None:
    """A table, and below it what to do."""
    marks = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}
    table, console = Table("", "what", "found"), Console(highlight=False)
    for one in findings:
        table.add_row(marks[one.ok], one.what, escape(one.found))
    console.print(table)
    for one in findings:
        if one.mend and one.ok is not True:
            console.print(f"{one.what}: {one.mend}", markup=False)
