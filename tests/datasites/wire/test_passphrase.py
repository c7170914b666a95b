from __future__ import annotations

from pathlib import Path

import pytest

from datasites.wire.passphrase import HOOK, invented, new_passphrase, passphrase, write_hook
from policies.errors import InvalidInput, Refused, Unavailable


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for suffix in ("", "_FILE", "_COMMAND"):
        monkeypatch.delenv(f"WARDROUND_PASSPHRASE{suffix}", raising=False)
    (tmp_path / "home/tls").mkdir(parents=True)
    return tmp_path / "home/tls/identity.pem"


def secret(tmp_path: Path, mode: int = 0o600) -> Path:
    path = tmp_path / "secret"
    path.write_text("from the file\nnot this line\n")
    path.chmod(mode)
    return path


def test_every_place_it_can_come_from(key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="protected by a passphrase"):
        passphrase(key)
    write_hook(tmp_path / "home", file=secret(tmp_path))
    assert passphrase(key) == b"from the file"
    write_hook(tmp_path / "home", command="printf '%s %s' from command")
    assert passphrase(key) == b"from command"
    assert (tmp_path / "home" / HOOK).stat().st_mode & 0o077 == 0
    monkeypatch.setenv("WARDROUND_PASSPHRASE", "from the environment")
    assert passphrase(key) == b"from the environment"
    monkeypatch.setenv("WARDROUND_PASSPHRASE_FILE", str(tmp_path / "secret"))
    assert passphrase(key) == b"from the file"
    monkeypatch.setenv("WARDROUND_PASSPHRASE_COMMAND", "printf 'a; touch /tmp/not-a-shell'")
    assert passphrase(key) == b"a; touch /tmp/not-a-shell"


def test_a_file_that_everybody_can_read_is_refused(key: Path, tmp_path: Path) -> None:
    write_hook(tmp_path / "home", file=secret(tmp_path, 0o644))
    with pytest.raises(Refused, match="Every user"):
        passphrase(key)


@pytest.mark.parametrize("command", ["false", "no-such-program", "printf ''", "'"])
def test_a_command_that_fails_is_told_without_what_it_said(key: Path, tmp_path: Path, command: str) -> None:
    write_hook(tmp_path / "home", command=command)
    with pytest.raises((Unavailable, InvalidInput)) as caught:
        passphrase(key)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "command = 1", 'command = "a"\nfile = "b"', 'shell = "a"', "command ="])
def test_a_hook_that_is_not_understood_is_refused(key: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "home" / HOOK).write_text(text)
    with pytest.raises(InvalidInput, match="is not understood"):
        passphrase(key)


def test_a_new_one_is_long_and_an_invented_one_is_another_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDROUND_PASSPHRASE", "elevenchars")
    with pytest.raises(InvalidInput, match="too short"):
        new_passphrase("the key")
    assert len({invented() for _ in range(100)}) == 100
    assert all(len(invented()) == 29 for _ in range(10))
