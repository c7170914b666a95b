from __future__ import annotations

import sys

import pytest

from datasites.cli import main
from datasites.cli.exits import Exit
from policies.errors import InvalidInput, Refused, Unavailable, WardroundError


@pytest.mark.parametrize(
    ("error", "code"), [(InvalidInput("x"), 1), (Refused("x"), 3), (Unavailable("x"), 4), (WardroundError("x"), 1)]
)
def test_scripts_can_rely_on_the_numbers(error: WardroundError, code: int) -> None:
    assert Exit.of(error) == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("policy check standard", 0),
        ("policy check no-such-policy.toml", 1),
        ("datasite status --home no-such-home", 1),
        ("datasite aprove study", 2),
        ("datasite deny study", 2),  # without --reason
    ],
)
def test_a_command_ends_with_the_code_that_the_page_names(
    line: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["wardround", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert "Traceback" not in capsys.readouterr().err
