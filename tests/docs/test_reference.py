from __future__ import annotations

import ast
from pathlib import Path

import pytest
import typer

from datasites.cli import app
from datasites.cli.exits import Exit
from docs.generate import PAGES, commands, policy, settings
from policies.rules import RULES
from tests.support.pages import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_without_a_word_of_explanation(name: str) -> None:
    assert PAGES[name].undocumented() == [], (
        "Give it a help text, a description or a docstring: the site is made of them."
    )


def test_every_command_option_and_exit_code_is_on_the_page() -> None:
    text = commands.page()
    for path, command in commands.tree(typer.main.get_command(app), "wardround"):
        assert f"`{path}`" in text
        for parameter in command.params:
            assert all(option in text for option in parameter.opts if option.startswith("-"))
    assert all(f"| {code.value} | {code.meaning} |" in text for code in Exit)


def test_every_setting_rule_and_entry_is_on_its_page() -> None:
    text = settings.page()
    assert all(f"| `{name}` |" in text for name, _ in settings.fields(settings.DatasiteSettings))
    assert "| `limits.memory_bytes` |" in text
    text = policy.page()
    assert all(f"| `{rule}` |" in text for rule in RULES)
    assert all(f"| `{entry}` |" in text for _, section in policy.sections() for entry in section.model_fields)


@pytest.mark.parametrize("path", sorted((ROOT / "datasites" / "cli").glob("*.py")), ids=lambda path: path.stem)
def test_no_command_ends_with_a_code_that_has_no_name(path: Path) -> None:
    """`typer.Exit(3)` says nothing to who reads it: `typer.Exit(Exit.REFUSED)` does, and is on the page."""
    ends = [
        call.lineno
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("typer.Exit", "sys.exit", "SystemExit", "exit")
        if any(isinstance(part, ast.Constant) for argument in call.args for part in ast.walk(argument))
    ]
    assert ends == [], f"{path.name}, lines {ends}: name the code in datasites/cli/exits.py"
