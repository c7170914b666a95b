"""A shell in a terminal of its own, as a person has one: commands are typed, questions answered, all written down."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pexpect

COLUMNS, LINES = 110, 40
PATIENCE = 240.0  # other work may share the machine
_DONE = re.compile(r"\x1b\]777;(\d+)\x07\$ ")  # an order that no terminal knows, and so none shows
_SHELL = {"PS1": r"\[\e]777;$?\a\]$ ", "PS2": "> ", "TERM": "xterm-256color"}


@dataclass(frozen=True)
class Typed:
    """One command, what the terminal showed of it, and how it ended."""

    command: str
    shown: str
    status: int


@dataclass
class Recording:
    """What a terminal showed, piece by piece, with the seconds since it was opened."""

    began: float = field(default_factory=time.monotonic)
    pieces: list[tuple[float, str]] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.pieces.append((time.monotonic() - self.began, text))

    def flush(self) -> None:
        """For pexpect, which treats it as a file."""

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\]777;\d+\x07", "", "".join(piece for _, piece in self.pieces))

    def cast(self, title: str) -> str:
        """As asciicast, version 2, which asciinema's players play. No wait is longer than two seconds."""
        header = {"version": 2, "width": COLUMNS, "height": LINES, "title": title, "env": {"TERM": "xterm-256color"}}
        lines, at, before = [json.dumps(header)], 0.0, 0.0
        for seconds, piece in self.pieces:
            at, before = at + min(seconds - before, 2.0), seconds
            if shown := re.sub(r"\x1b\]777;\d+\x07", "", piece):
                lines.append(json.dumps([round(at, 3), "o", shown]))
        return "\n".join(lines) + "\n"


class Terminal:
    """bash, in `folder`. Environment: this process's, without anything of Wardround's, and `more`."""

    def __init__(self, folder: Path, more: Mapping[str, str] | None = None) -> None:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("WARDROUND_", "PYTEST_"))}
        self.recording = Recording()
        self._bash = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile", "--noediting"],
            cwd=str(folder),
            env={**mine, **_SHELL, **(more or {})},
            dimensions=(LINES, COLUMNS),
            encoding="utf-8",
            timeout=PATIENCE,
        )
        self._bash.logfile_read = self.recording
        self._bash.expect(_DONE)

    def send(self, command: str) -> None:
        """Types a command, and waits for nothing."""
        self._bash.sendline(command)

    def wait_for(self, text: str) -> str:
        """Until it shows the text; returns what came before it. pexpect.TIMEOUT tells what it shows instead."""
        self._bash.expect_exact(text)
        return str(self._bash.before)

    def finished(self, answers: Mapping[str, str] | None = None) -> tuple[str, int]:
        """Until the command that was sent has ended: what it showed, and its exit status. answers: what to type where
        a text is shown."""
        asked = list(answers or {})
        shown = ""
        while (found := self._bash.expect([_DONE, *(re.escape(one) for one in asked)])) > 0:
            shown += self._bash.before + self._bash.after
            self._bash.sendline((answers or {})[asked[found - 1]])
        return shown + self._bash.before, int(self._bash.match[1])

    def run(self, command: str, answers: Mapping[str, str] | None = None) -> Typed:
        self.send(command)
        shown, status = self.finished(answers)
        return Typed(command, re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown).replace("\r\n", "\n"), status)

    def close(self) -> None:
        """Ends what still runs in it."""
        self._bash.close(force=True)


def commands(block: str) -> Iterator[str]:
    """The whole commands of a block of lines; a loop is one."""
    waiting: list[str] = []
    for line in block.splitlines():
        waiting.append(line)
        text = "\n".join(waiting)
        if subprocess.run(["bash", "-n", "-c", text], capture_output=True).returncode == 0:
            if text.strip():
                yield text
            waiting = []
    assert not waiting, f"not a command: {waiting}"


def project(folder: Path) -> Path:
    """A folder that looks like the project's, for commands that are typed there: its files, and this environment."""
    root = Path(__file__).parents[2]
    for name in ("notebooks", "docs", "Makefile"):
        (folder / name).symlink_to(root / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder
