"""The gate's small rules; what a whole message may be is tested by `tests/attacks`."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasites.wire.gate import MessageRefused, inbox_of, safe_path, unpack_message, writable
from tests.attacks.archives import packed, sparse

ADA = "ada+b@uni-x.org"
INBOX = f"app_data/job/inbox/{ADA}/v1"


@pytest.mark.parametrize("path", ["a", "a/b.py", "a b/c-d_e.2", "0", "__init__.py"])
def test_plain_paths_are_safe(path: str) -> None:
    assert safe_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "/a",
        "a/",
        "a//b",
        "./a",
        "a/./b",
        "a/../b",
        ".git",
        "a/.env",
        "a\\b",
        "a\nb",
        "a\0b",
        "é",
        "a ",
        " a",
        *["a.", "syft.pub.yaml", "a/Syft.Pub.yaml", "syft.pub", "-a", "~", "a/~root", "x" * 200, "a:b", "a*"],
    ],
)
def test_other_paths_are_not(path: str) -> None:
    assert not safe_path(path)


def test_a_path_in_the_senders_own_inbox_is_taken_apart() -> None:
    assert inbox_of(ADA, f"{INBOX}/job/code/study.py") == (f"{INBOX}/job", "code/study.py")


@pytest.mark.parametrize(
    "path",
    [
        f"{INBOX}/job",
        f"{INBOX}/job/",
        f"{INBOX}/../job/x",
        f"{INBOX}/job/../x",
        f"app_data/job/inbox/{ADA}/job/x",
        f"app_data/job/inbox/{ADA}/v1000/job/x",
        f"app_data/job/inbox/{ADA}/v१/job/x",
        f"app_data/job/inbox/{ADA}x/v1/job/x",
        f"app_data/job/inbox/{ADA.replace('.', 'x')}/v1/job/x",
        f"app_data/job/inbox/{ADA.upper()}/v1/job/x",
        f"app_data/job/review/{ADA}/v1/job/x",
        f"x/{INBOX}/job/x",
        f"/{INBOX}/job/x",
    ],
)
def test_every_other_path_is_not_in_it(path: str) -> None:
    assert inbox_of(ADA, path) is None


def test_an_archive_is_unpacked_up_to_the_limit() -> None:
    archive = packed(b"x" * 10_000)
    assert unpack_message(archive, 20_480) == b"x" * 10_000
    with pytest.raises(MessageRefused, match="more than"):
        unpack_message(archive, 9_999)


def test_an_archive_that_pretends_is_refused() -> None:
    for data in (sparse(1 << 40), packed(b"x")[:-30], b"", b"\x1f\x8b" + bytes(50)):
        with pytest.raises(MessageRefused):
            unpack_message(data, 1 << 20)


JOB = "do@ward.org/app_data/job/review/ada@uni.org/v1/job"


@pytest.mark.parametrize("path", [f"{JOB}/state.yaml", f"{JOB}/a/b", "do@ward.org/syft.pub.yaml"])
def test_news_about_jobs_and_permissions_are_written(tmp_path: Path, path: str) -> None:
    assert writable(tmp_path / "not-there-yet", path)
    assert writable(tmp_path, path)
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text("old")
    assert writable(tmp_path, path)


@pytest.mark.parametrize(
    "path",
    [
        JOB,
        "do@ward.org",
        "do@ward.org/public",
        "do@ward.org/app_data",
        "do@ward.org/public/syft_datasets/stays/twin.csv",
        "do@ward.org/public/syft_datasets/stays/twin.csv/syft.pub.yaml",
        "do@ward.org/readme.txt",
        "syft.pub.yaml.d",
    ],
)
def test_nothing_else_is(tmp_path: Path, path: str) -> None:
    assert not writable(tmp_path, path)


def test_a_file_never_takes_a_folders_place(tmp_path: Path) -> None:
    (tmp_path / JOB / "folder").mkdir(parents=True)
    (tmp_path / JOB / "file").write_text("x")
    assert not writable(tmp_path, f"{JOB}/folder")
    assert not writable(tmp_path, f"{JOB}/file/below")
    assert not writable(tmp_path, f"{JOB}/file/below/deeper")
