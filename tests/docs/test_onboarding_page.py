"""The page names every command and option of `federation` and `ca`, and says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from datasites.cli import ca, federation
from datasites.onboarding import access, authority, checks, invitation
from datasites.wire.passphrase import HOOK

PAGE = (Path(__file__).parents[2] / "docs" / "onboarding.md").read_text()


@pytest.mark.parametrize(("group", "app"), [("federation", federation.app), ("ca", ca.app)])
def test_every_command_is_on_the_page(group: str, app: typer.Typer) -> None:
    names = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert [name for name in names if f"{group} {name}" not in PAGE] == []


def test_the_numbers_on_the_page() -> None:
    assert f"certificates are good for {authority.CERTIFICATE_DAYS} days" in PAGE
    assert f"for {authority.LIST_DAYS};" in PAGE
    assert f"from {checks.RENEW_DAYS} days on" in PAGE
    assert f"no more than {invitation.MOST_BYTES // 2**20} MiB" in PAGE
    assert f"`{HOOK}`" in PAGE


def test_every_kind_of_name_that_a_rule_speaks_of_is_on_the_page() -> None:
    rules = [one for role in access.ROLES for one in (*access.written(role), *access.read(role))]
    assert [kind for kind in {rule.split("/")[0] for rule in rules} if f"| `{kind}/" not in PAGE] == []
