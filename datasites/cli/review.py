"""`wardround review`: the data owner's page in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from datasites.cli.options import DEFAULT_HOME, HomeOption, opened


def review(
    home: HomeOption = DEFAULT_HOME,
    port: Annotated[int, typer.Option(min=0, max=65535, help="A fixed port; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open a browser; if not, print the link.")] = True,
) -> None:
    """Open the review page: studies, packets, decisions, budget, history and the audit log, in your browser.

    It is served to this machine alone, and to the one browser that opens the link first. Ctrl-C ends it.
    """
    from datasites.review.serve import serve  # the web server takes a moment to import

    with opened(home) as site:
        serve(site, port, browser, typer.echo)
