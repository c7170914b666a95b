"""An export of 100,000 entries in the hands of somebody who changes it: found within seconds, and the entry named."""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from datasites.audit.entry import Kind
from datasites.audit.export import export
from datasites.audit.heads import OwnHeads
from datasites.audit.verify import Report, verify
from datasites.state import State
from datasites.wire.identity import Identity
from datasites.wire.merkle import leaf_hash
from policies.errors import InvalidInput

pytestmark = pytest.mark.slow
ENTRIES, SECONDS = 100_000, 30.0  # of this processor; about one is needed
Tamper = Callable[[list[bytes]], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    identity, state = Identity.create("do@north.org", folder / "identity.json"), State(folder / "state.db")
    own = OwnHeads(identity, state.audit)
    for _ in range(4):
        with state.audit.transaction():
            for number in range(ENTRIES // 4):
                state.audit.add(Kind.ROUND_RECEIVED, study="a" * 64, round=number, request="b" * 64, bytes=1000)
        own.sign()
    assert export(identity, state.audit, folder / "north.jsonl") == ENTRIES
    state.close()
    return folder / "north.jsonl"


@pytest.fixture(scope="module")
def lines(original: Path) -> list[bytes]:
    return original.read_bytes().splitlines(keepends=True)


@pytest.fixture
def tampered(lines: list[bytes], tmp_path: Path) -> Callable[[Tamper], Report]:
    """The verification of the export after something was done to its lines; line 0 holds the keys, line n entry n."""

    def attempt(tamper: Tamper) -> Report:
        changed, file = list(lines), tmp_path / "north.jsonl"
        tamper(changed)
        file.write_bytes(b"".join(changed))
        started = time.process_time()
        report = verify(file)
        assert time.process_time() - started < SECONDS
        assert not report.good
        return report

    return attempt


def wrong(report: Report, what: str) -> str:
    return next(finding.found for finding in report.findings if finding.what == what and not finding.good)


@pytest.mark.check
def test_untouched(original: Path) -> None:
    report = verify(original)
    assert report.good, report.findings
    assert report.size == ENTRIES


@pytest.mark.parametrize("seed", range(6))
def test_one_flipped_bit_anywhere_in_the_entries_names_the_entry(
    tampered: Callable[[Tamper], Report], lines: list[bytes], seed: int
) -> None:
    dice = random.Random(seed)
    number = dice.choice([1, 2, ENTRIES // 2, ENTRIES, dice.randint(1, ENTRIES)])
    line = bytearray(lines[number])
    place = dice.randrange(len(line))
    line[place] ^= 1 << dice.randrange(8)

    def flip(changed: list[bytes]) -> None:
        changed[number] = bytes(line)

    report = tampered(flip)
    file = wrong(report, "file")
    named = re.search(r"entry ([\d,]+) ", wrong(report, "entries")) if report.size < ENTRIES else None
    assert "end is missing" in file
    if place >= len(b'{"entry":'):
        assert named, report.findings
        assert int(named[1].replace(",", "")) == number


def test_one_flipped_bit_anywhere_in_the_other_lines(lines: list[bytes], tmp_path: Path) -> None:
    """One bit of each byte of the keys, an entry, the heads and the end, in a short file so that all can be tried."""
    identity, state = Identity.create("do@x.org", tmp_path / "identity.json"), State(tmp_path / "state.db")
    state.audit.record(Kind.CREATED)
    file = tmp_path / "x.jsonl"
    export(identity, state.audit, file)
    state.close()
    good = file.read_bytes()
    assert verify(file).good
    for place in range(len(good)):
        flipped = bytearray(good)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        with contextlib.suppress(InvalidInput):  # it may no longer begin as an export does, which the command says
            assert not verify(file).good, flipped[max(0, place - 20) : place + 20]


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (lambda lines: lines.pop(70_000), "entry 70,000 (line 70,001) is wrong: entry 70001 stands in its place"),
        (lambda lines: lines.insert(500, lines[499]), "entry 500 (line 501) is wrong: entry 499 stands in its place"),
        (lambda lines: lines.insert(9, lines.pop(10)), "entry 9 (line 10) is wrong: entry 10 stands in its place"),
        (
            lambda lines: lines.__setitem__(77, lines[77].replace(b'"bytes":1000', b'"bytes":1001')),
            "entry 77 (line 78) was changed: it does not have its hash",
        ),
    ],
    ids=["deleted", "inserted", "reordered", "changed"],
)
def test_entries_that_are_not_what_they_were(tampered: Callable[[Tamper], Report], tamper: Tamper, said: str) -> None:
    assert wrong(tampered(tamper), "entries").startswith(said)


def test_truncated(tampered: Callable[[Tamper], Report]) -> None:
    def cut(lines: list[bytes]) -> None:
        del lines[ENTRIES - 9 : ENTRIES + 1]

    assert "covers entries that are not there; the first 75,000" in wrong(tampered(cut), "heads")
    assert "end is missing" in wrong(tampered(lambda lines: lines.pop()), "file")
    assert "end is missing" in wrong(tampered(lambda lines: lines.__delitem__(slice(90_000, None))), "file")


def test_an_entry_rewritten_with_its_hash_is_found_between_two_heads(tampered: Callable[[Tamper], Report]) -> None:
    def rewrite(lines: list[bytes]) -> None:
        entry = lines[60_000][len(b'{"entry":') : -76].replace(b'"bytes":1000', b'"bytes":1001')
        lines[60_000] = b'{"entry":' + entry + b',"leaf":"' + leaf_hash(entry).hex().encode() + b'"}\n'

    report = tampered(rewrite)
    said = wrong(report, "heads")
    assert "the head of 75,000 entries" in said
    assert "rewritten; the first 50,000 entries are as they were signed" in said


def test_another_hospitals_head(tampered: Callable[[Tamper], Report], tmp_path: Path) -> None:
    other, state = Identity.create("do@south.org", tmp_path / "identity.json"), State(tmp_path / "state.db")
    state.audit.record(Kind.CREATED)
    export(other, state.audit, tmp_path / "south.jsonl")
    state.close()
    written = (tmp_path / "south.jsonl").read_bytes().splitlines(keepends=True)
    theirs = next(line for line in written if line.startswith(b'{"head"'))

    def swap(lines: list[bytes]) -> None:
        lines[next(n for n, line in enumerate(lines) if line.startswith(b'{"head"'))] = theirs

    assert "held by do@south.org is not signed by the hospital" in wrong(tampered(swap), "heads")


def test_another_hospitals_keys(original: Path) -> None:
    report = verify(original, fingerprint="0000 " * 8)
    assert "not the fingerprint you gave" in wrong(report, "keys")


@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"{}\n", b"[" * 50_000, b'{"format":"wardround-audit-1"}\n'])
def test_what_is_no_export_is_told_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InvalidInput):
        verify(tmp_path / "file")
    with pytest.raises(InvalidInput, match="cannot be read"):
        verify(tmp_path / "missing")
