from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from datasites.approval.policy import PolicyBook, approved_before, request_of
from datasites.home import DatasiteHome
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.manifest import Manifest, describe_files
from datasites.wire.outputs import ArraySpec, OutputContract
from policies.errors import InvalidInput
from policies.examples import example, example_text
from policies.policy import Policy

FILES = {"study.py": b"import numpy\n", "notes.txt": b"\xff\xfe"}


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        name="demo",
        purpose="Test",
        researcher="ada@uni.org",
        dataset="stays",
        dictionary="0" * 64,
        columns=("days", "site"),
        files=describe_files(FILES),
        config={"seed": 1},
        rounds=3,
        seconds_per_round=10,
        outputs=OutputContract(
            parameters={"w": ArraySpec(shape=(4,), dtype="float32")},
            fit_metrics=("loss",),
            evaluate_metrics=("auc",),
            evaluate_arrays={"score_histogram": ArraySpec(shape=(2, 10), dtype="int64")},
        ),
    )


@pytest.fixture
def book(tmp_path: Path) -> PolicyBook:
    return PolicyBook(DatasiteHome(tmp_path))


def put(book: PolicyBook, policy: str | Path) -> Policy:
    rules, text = book.read("stays", policy)
    book.put("stays", text)
    return rules


def test_request_says_all_that_the_manifest_does(manifest: Manifest) -> None:
    asked = request_of(manifest, FILES, ["a" * 64], patients=70)
    assert (asked.researcher, asked.purpose, asked.dataset, asked.tier) == ("ada@uni.org", "Test", "stays", "reviewed")
    assert (asked.columns, asked.rounds, asked.seconds_per_round) == (("days", "site"), 3, 10)
    assert (asked.fit_metrics, asked.evaluate_metrics) == (("loss",), ("auc",))
    assert asked.evaluate_arrays == {"score_histogram": (2, 10)}
    assert asked.max_bytes == manifest.outputs.max_bytes
    assert (asked.digest, asked.approved_digests, asked.patients) == (manifest.digest, {"a" * 64}, 70)
    assert asked.pseudonyms
    assert asked.first == manifest.digest
    assert request_of(manifest.model_copy(update={"repetition": 2}), FILES).first == manifest.digest
    assert request_of(manifest, FILES, rounds=2).rounds == 2
    assert asked.protections == set()
    assert [v.rule for v in example("standard").check(asked)] == ["calls"]  # notes.txt, which is no text


def test_what_the_hospital_does_not_tell_is_refused(manifest: Manifest) -> None:
    asked = request_of(manifest, {"study.py": b""})
    assert [v.rule for v in example("standard").check(asked)] == ["cohort"]


def test_standard_applies_where_nothing_was_set(book: PolicyBook) -> None:
    assert book.get("stays") == example("standard")
    assert not book.is_set("stays")


def test_a_policy_that_was_set_applies_as_it_was_written(book: PolicyBook, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("# mine\n" + example_text("strict"))
    assert put(book, tmp_path / "mine.toml") == book.get("stays") == example("strict")
    assert book.text("stays").startswith("# mine\n")
    assert book.get("other") == example("standard")
    assert (book.folder / "stays.toml").stat().st_mode & 0o077 == 0
    assert put(book, "teaching") == book.get("stays") == example("teaching")


def test_a_wrong_policy_changes_nothing(book: PolicyBook, tmp_path: Path) -> None:
    put(book, "strict")
    (tmp_path / "wrong.toml").write_text(example_text("teaching").replace("rounds = 1000", "rounds = 0"))
    with pytest.raises(InvalidInput, match="`rounds`"):
        book.read("stays", tmp_path / "wrong.toml")
    assert book.get("stays") == example("strict")


def test_a_damaged_policy_is_never_taken_for_none(book: PolicyBook) -> None:
    put(book, "strict")
    (book.folder / "stays.toml").write_bytes(b"title = ")
    with pytest.raises(InvalidInput, match="not TOML"):
        book.get("stays")
    (book.folder / "stays.toml").unlink()
    (book.folder / "stays.toml").symlink_to("gone")
    with pytest.raises(InvalidInput, match="Cannot read"):
        book.get("stays")


@pytest.mark.parametrize("name", ["../peers", "a/b", "", "a.b"])
def test_only_names_of_tables(book: PolicyBook, name: str) -> None:
    with pytest.raises(InvalidInput, match="not the name of a table"):
        book.read(name, "strict")
    with pytest.raises(InvalidInput, match="not the name of a table"):
        book.put(name, "")


def test_whatever_changes_a_policy_changes_its_stamp(book: PolicyBook) -> None:
    stamps = [book.stamp("stays")]
    put(book, "strict")
    stamps.append(book.stamp("stays"))
    (book.folder / "stays.toml").write_text(example_text("strict") + "# a comment")
    stamps.append(book.stamp("stays"))
    (book.folder / "stays.toml").write_bytes(b"\xff")
    stamps.append(book.stamp("stays"))
    (book.folder / "stays.toml").unlink()
    (book.folder / "stays.toml").symlink_to("gone")
    stamps.append(book.stamp("stays"))
    assert len(set(stamps)) == len(stamps)


def test_only_a_persons_approval_in_force_counts_as_approved_before() -> None:
    at = datetime.now(UTC)

    def decided(study: str, verdict: str, days: int = 1, by: str = "owner") -> SignedDecision:
        decision = Decision(
            study=study * 64,
            hospital="do@a.org",
            number=1,
            verdict=verdict,  # type: ignore[arg-type]
            expires_at=at + timedelta(days=days),
            decided_by=by,
            decided_at=at,
        )
        return SignedDecision(decision=decision, signature="")

    decisions = [
        decided("a", "approved"),
        decided("b", "denied"),
        decided("c", "revoked"),
        decided("d", "approved", days=0),
        decided("e", "approved", by="policy 0123456789ab"),
    ]
    assert approved_before(decisions, at) == {"a" * 64}
