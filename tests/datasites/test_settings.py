from __future__ import annotations

from pathlib import Path

import pytest

from datasites.settings import FILE, DatasiteSettings, write_settings
from policies.errors import InvalidInput


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_settings(tmp_path, "do@north.org", 'The "North" \\ Ward', "file:///srv/store")
    return tmp_path


def test_what_was_written_is_read(home: Path) -> None:
    settings = DatasiteSettings.load(home)
    assert (settings.email, settings.name, settings.store) == (
        "do@north.org",
        'The "North" \\ Ward',
        "file:///srv/store",
    )
    assert settings.approval_days == 90


def test_the_environment_overrides_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (home / FILE).open("a") as stream:
        stream.write("\n[limits]\nprocesses = 3\nmemory_bytes = 300000000\n")
    monkeypatch.setenv("WARDROUND_SYNC_SECONDS", "5")
    monkeypatch.setenv("WARDROUND_LIMITS__PROCESSES", "7")
    monkeypatch.setenv("WARDROUND_STORE_OPTIONS", '{"aws_region": "eu-1"}')
    settings = DatasiteSettings.load(home)
    assert settings.sync_seconds == 5
    assert (settings.limits.processes, settings.limits.memory_bytes) == (7, 300_000_000)
    assert settings.store_options == {"aws_region": "eu-1"}


def test_every_wrong_setting_is_named_and_no_value(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (home / FILE).open("a") as stream:
        stream.write("sync_secs = 1\npoll_seconds = -8675309\n")
    monkeypatch.setenv("WARDROUND_APPROVAL_DAYS", "soon")
    with pytest.raises(InvalidInput) as caught:
        DatasiteSettings.load(home)
    text = str(caught.value)
    assert all(name in text for name in ("sync_secs", "poll_seconds", "approval_days"))
    assert "8675309" not in text


def test_a_variable_that_is_not_json_is_told_in_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARDROUND_STORE_OPTIONS", "{aws_secret_access_key: 8675309")
    with pytest.raises(InvalidInput, match="store_options") as caught:
        DatasiteSettings.load(home)
    assert "8675309" not in str(caught.value)


def test_no_datasite_and_broken_toml(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no datasite in"):
        DatasiteSettings.load(tmp_path)
    (tmp_path / FILE).write_text("email = do@north.org")
    with pytest.raises(InvalidInput, match="not valid TOML"):
        DatasiteSettings.load(tmp_path)
    (tmp_path / FILE).write_bytes(b'email = "\xff"')
    with pytest.raises(InvalidInput, match="not valid TOML"):
        DatasiteSettings.load(tmp_path)


IMAGE = f'image = "registry.hospital.org/wardround@sha256:{"a" * 64}"'


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('executor = "slurm"', "there is no [slurm] section that says how"),
        ('executor = "cloud"', "executor: Input should be 'local', 'slurm' or 'kubernetes'"),
        ('[slurm]\nshared = "here"', "slurm: Value error, shared must be an absolute path"),
        ('[slurm]\nshared = "/s"\npartition = "a --export=ALL"', "slurm.partition"),
        ('[slurm]\nshared = "/s"\nexport = "ALL"', "slurm.export: Extra inputs are not permitted"),
        (f'[kubernetes]\nshared = "/s"\nnamespace = "w"\n{IMAGE}', "give either claim or host_path"),
        ('[kubernetes]\nshared = "/s"\nnamespace = "w"\nclaim = "c"\nimage = "wardround:latest"', "kubernetes.image"),
        (f'[kubernetes]\nshared = "/s"\nnamespace = "w"\nclaim = "c"\nuser = 0\n{IMAGE}', "kubernetes.user"),
    ],
)
def test_a_cluster_that_cannot_be_used_so_is_told(home: Path, lines: str, problem: str) -> None:
    with (home / FILE).open("a") as stream:
        stream.write(lines)
    with pytest.raises(InvalidInput) as caught:
        DatasiteSettings.load(home)
    assert problem in str(caught.value)


def test_a_cluster_is_named_in_the_file_or_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (home / FILE).open("a") as stream:
        stream.write('executor = "slurm"\n[slurm]\nshared = "/shared"\n')
    monkeypatch.setenv("WARDROUND_SLURM__PARTITION", "ward")
    settings = DatasiteSettings.load(home)
    assert settings.slurm
    assert (settings.executor, str(settings.slurm.shared), settings.slurm.partition) == ("slurm", "/shared", "ward")
