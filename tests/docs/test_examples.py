from __future__ import annotations

import ast
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import researcher as wr
from datasites.cli import app
from tests.support.pages import ROOT, page, written

WRITTEN = [path for path in written() if path.name != "CHANGELOG.md"]
COMMAND = typer.main.get_command(app)
TARGETS = set(re.findall(r"(?m)^([a-z][\w-]*):", (ROOT / "Makefile").read_text()))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _commands(path: Path) -> list[str]:
    """Calls of `wardround` in blocks (also behind a prompt, or within a container) and in lines."""
    lines = [
        found[1]
        for info, text in page(path).blocks
        if info.split(" ")[0] in ("", "sh", "bash", "console")
        for line in text.replace("\\\n", " ").splitlines()
        if (found := re.match(r"(?:[$#] )?(?:.*\bexec .* )?(?:\S*/)?(wardround .*?)(?:\s+>\s.*)?$", line.strip()))
    ]
    return lines + [code for code in page(path).codes if code.startswith("wardround ")]


def _alternatives(line: str) -> Iterator[list[str]]:
    """`datasite deny|revoke STUDY` and `budget show | history` stand for two commands each."""
    words = shlex.split(line, comments=True)[1:]
    if "|" in words:
        group = words[:1]
        for part in " ".join(words[1:]).split(" | "):
            yield group + part.split()
    elif both := next((word for word in words if re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", word)), None):
        for one in both.split("|"):
            yield [one if word == both else word for word in words]
    else:
        yield words


def _problem(words: list[str]) -> str:
    command: Any = COMMAND
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")}
    places = sum(one.param_type_name == "argument" for one in command.params)
    while words:
        word, *words = words
        option = word.split("=")[0]
        if option in ("--help", "--install-completion", "--show-completion", "...", "&"):
            continue
        if word.startswith("-"):
            if option not in options:
                return f"{command.name} has no option {option}"
            if not getattr(options[option], "is_flag", False) and "=" not in word:
                words = words[1:]
        else:
            places -= 1
    return f"{command.name} takes fewer arguments" if places < 0 else ""


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_commands_exist_as_they_are_written(path: Path) -> None:
    calls = [(line, words) for line in _commands(path) for words in _alternatives(line)]
    assert [f"{line}: {problem}" for line, words in calls if (problem := _problem(words))] == []
    text = "\n".join([*(text for info, text in page(path).blocks if not info), *page(path).codes])
    targets = re.findall(r"(?m)^make ([a-z][\w-]*)", text)
    assert [target for target in targets if target not in TARGETS] == []


def test_wrong_commands_are_found() -> None:
    wrong = "datasite aprove x", "datasite approve x --round 3", "budget show a b", "nothing", "policy set a"
    assert [bool(_problem(line.split())) for line in wrong] == [True, True, True, True, False]


@pytest.mark.parametrize("path", WRITTEN, ids=_name)
def test_python_can_be_parsed_and_names_what_there_is(path: Path) -> None:
    for info, text in page(path).blocks:
        if info.split(" ")[0] != "python":
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "wr":
                assert node.attr in wr.__all__, f"there is no wr.{node.attr}"
            if isinstance(node, ast.Call) and re.fullmatch(r"wr(\.\w+)+", ast.unparse(node.func)):
                _check_arguments(node)


def _check_arguments(call: ast.Call) -> None:
    called: Any = wr
    for part in ast.unparse(call.func).split(".")[1:]:
        called = getattr(called, part)
    if any(isinstance(one, ast.Constant) and one.value is ... for one in call.args):
        return  # an excerpt
    takes = inspect.signature(called)
    named = {one.arg: None for one in call.keywords if one.arg}
    starred = any(one.arg is None for one in call.keywords) or any(isinstance(one, ast.Starred) for one in call.args)
    bind = takes.bind_partial if starred else takes.bind
    bind(*call.args, **named)  # TypeError names what does not fit


RUNNABLE = [path for path in WRITTEN if any(info == "python runnable" for info, _ in page(path).blocks)]


@pytest.mark.parametrize("path", RUNNABLE, ids=_name)
def test_examples_that_say_so_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a page in one go, as a reader would; `print(...)  # ...` must print what stands behind it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    printed: list[str] = []
    names: dict[str, object] = {"print": lambda *values: printed.append(" ".join(map(str, values)))}
    expected = []
    for info, text in page(path).blocks:
        if info == "python runnable":
            exec(compile(text, _name(path), "exec"), names)  # noqa: S102 - the project's own pages
            expected += re.findall(r"(?m)^print\(.*\)  # (.*)$", text)
    assert printed == expected
