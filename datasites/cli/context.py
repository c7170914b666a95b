"""What most commands need: the datasite in its home folder, opened as far as a command requires."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from datasites.home import DatasiteHome
from datasites.settings import DatasiteSettings
from datasites.state import State
from datasites.wire.identity import Identity

HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="WARDROUND_HOME", help="The datasite's private folder.", file_okay=False),
]
DEFAULT_HOME = Path.home() / ".wardround" / "datasite"
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table.")]
StudyArgument = Annotated[str, typer.Argument(help="The study's name, or its digest's first 8 or more characters.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="What the researcher will read.")]


class Datasite:
    """Settings, keys and state of a datasite; Syft is only loaded by what needs it (it takes a second)."""

    def __init__(self, home: Path) -> None:
        self.home = DatasiteHome(home.expanduser().resolve())
        self.settings = DatasiteSettings.load(self.home.path)
        self.identity = Identity.load(self.settings.email, self.home.keys)
        self.state = State(self.home.state)

    def office(self) -> Any:
        """The approval office, on what the agent has synced so far."""
        from syft_job import SyftJobConfig
        from syft_job.client import JobClient

        from datasites.approval.office import Office

        config = SyftJobConfig(
            syftbox_folder=self.home.syftbox, current_user_email=self.settings.email, has_do_role=True
        )
        (self.home.syftbox / self.settings.email).mkdir(parents=True, exist_ok=True)
        return Office(self.home, self.identity, JobClient.from_config(config), self.state)

    def login(self) -> Any:
        """A connected Syft client."""
        from datasites.wire.login import login

        return login(self.settings.email, self.home, self.settings.store, "owner", self.settings.store_options)


@contextmanager
def opened(home: Path) -> Iterator[Datasite]:
    site = Datasite(home)
    try:
        yield site
    finally:
        site.state.close()


def person() -> str:
    """Who decides, for the record: the name of the account on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
