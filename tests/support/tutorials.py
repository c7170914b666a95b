"""The tutorials, walked: every command is typed in a terminal, every block of Python run, in the page's own order."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from notebooks.demo.tables import write_tables
from tests.support.federation import wait_for
from tests.support.pages import ROOT, page
from tests.support.terminal import PATIENCE, Recording, Terminal, Typed, commands, project

OWNER = ROOT / "docs" / "ten-minutes-data-owner.md"
RESEARCHER = ROOT / "docs" / "ten-minutes-researcher.md"
_QUICK = {"WARDROUND_SYNC_SECONDS": "0.5", "WARDROUND_POLL_SECONDS": "0.2"}


@dataclass(frozen=True)
class Step:
    """A block, with the heading that it stands under. kind: what stands behind its fence."""

    section: str
    kind: str
    text: str


def steps(path: Path) -> list[Step]:
    found, section, opened = [], "", False
    for token in page(path).tokens:
        if token.type == "heading_open":
            opened = True
        elif token.type == "inline" and opened:
            section, opened = token.content, False
        elif token.type in ("fence", "code_block"):
            found.append(Step(section, token.info.strip(), token.content))
    return found


@dataclass
class Walk:
    """What the data owner typed, what their visitor saw, and the owner's whole terminal."""

    typed: list[Typed] = field(default_factory=list)
    visitor: str = ""
    recording: Recording = field(default_factory=Recording)

    def of(self, beginning: str) -> Typed:
        """The first command that begins so."""
        return next(one for one in self.typed if one.command.startswith(beginning))


def walk_as_owner(folder: Path) -> Walk:
    """`docs/ten-minutes-data-owner.md`, from its first block to its last, with a second terminal for the visitor."""
    project(folder)
    write_tables(folder / "demo-run" / "tables", None, 3)  # what `make demo` has left
    (folder / "home").mkdir()
    walk, environment = Walk(), {**_QUICK, "HOME": str(folder / "home")}
    with ExitStack() as ending:
        mine = Terminal(folder, environment)
        ending.callback(mine.close)
        theirs = Terminal(folder, environment)
        ending.callback(theirs.close)
        walk.recording = mine.recording
        for step in steps(OWNER):
            if step.kind == "python":
                (folder / "tutorial" / "visitor.py").write_text(step.text)
            elif "visitor.py" in step.text:
                _knock(theirs, step.text)
            else:
                _before(step.text, theirs, folder, walk)
                walk.typed += [mine.run(one, {"same one to you? [y/N]:": "y"}) for one in _worth_typing(step.text)]
        walk.typed.append(mine.run("kill %1"))
    return walk


def _worth_typing(text: str) -> Iterator[str]:
    yield from (re.sub(r"\s+#.*$", "", one) for one in commands(text))


def _knock(theirs: Terminal, text: str) -> None:
    *first, last = commands(text)
    for command in first:
        assert theirs.run(command).status == 0, command
    theirs.send(last)
    theirs.wait_for("My fingerprint is")


def _before(text: str, theirs: Terminal, folder: Path, walk: Walk) -> None:
    """What the page tells its reader to wait for."""
    if "datasite show" in text:
        theirs.wait_for("waiting for your decision")
        inbox = folder / "tutorial" / "my-hospital" / "syftbox"
        arrived = lambda: list(inbox.glob("*/app_data/job/inbox/*/v*/follow-up-calls*/config.yaml"))  # noqa: E731
        wait_for(arrived, "the study", PATIENCE)
    elif "datasite status" in text:
        _, status = theirs.finished()
        walk.visitor = theirs.recording.text.replace("\r\n", "\n")
        assert status == 0, walk.visitor


def walk_as_researcher(folder: Path, demo: Path) -> dict[str, Any]:
    """`docs/ten-minutes-researcher.md`, with the running local federation in `demo`, in the current folder: its names
    at the end. What its Python prints is under `printed`."""
    names: dict[str, Any] = {}
    with ExitStack() as ending:
        third = Terminal(folder, {"HOME": str(folder)})
        ending.callback(third.close)
        printed = ending.enter_context(contextlib.redirect_stdout(io.StringIO()))
        for step in steps(RESEARCHER):
            if step.kind == "python":
                exec(compile(step.text, step.section, "exec"), names)  # noqa: S102 - the project's own page
            elif not step.text.startswith("make federation"):
                if "approve" in step.text:
                    wait_for(lambda: len(_arrived(demo)) == 6, "both studies at three hospitals", PATIENCE)
                for command in commands(step.text):
                    typed = third.run(command, {"same one to you? [y/N]:": "y"})
                    assert typed.status == 0, typed
        names["printed"] = printed.getvalue()
    return names


def _arrived(demo: Path) -> list[Path]:
    """At hospitals; the researcher's own home has the studies too."""
    homes = [settings.parent for settings in demo.glob("*/datasite.toml")]
    inbox, names = "syftbox/data-office@*/app_data/job/inbox/joan@*/v*", ("table-one", "readmission-first")
    return [path for home in homes for name in names for path in home.glob(f"{inbox}/{name}*/config.yaml")]
