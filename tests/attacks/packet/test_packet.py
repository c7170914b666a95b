"""Submissions that try to deceive their reader: to run in the owner's browser, to write on their terminal, to show
other code than what runs, or to make the packet unreadable. Each is a real submission, signed and delivered."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from datasites.approval.packet import Packet
from datasites.cli.document import draw
from datasites.datasite import Datasite
from datasites.wire.identity import Identity
from policies.errors import Refused
from tests.support.submissions import CODE, deliver, hospital, manifest

XSS = "</code></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"' onload=alert(1) x='"
ESCAPES = "\x1b[2J\x1b[31mAPPROVED\x1b[0m\x9b31m\x1b]8;;http://evil.example\x1b\\\x07\x08\x7f"
TURNED = "if admin\u202e \u2066} # begin\u2069"
ZERO = "is_ad\u200bmin\u2060 = \ufeffTrue"
HEBREW = "א = 'ב' # אב"
BLANK = "x = '\u3164\u2800\u115f'"
MARKS = "x = 'a" + "\u0335" * 50 + "'"
TAGS = "x = 1 # " + "".join(chr(0xE0000 + ord(c)) for c in "secret") + "\ufe0f\U000e0100"
LINES = "x = 1\x0by\x0c\x85\u2028\u2029z"
HIDDEN = {
    "turned": TURNED,
    "zero": ZERO,
    "hebrew": HEBREW,
    "blank": BLANK,
    "marks": MARKS,
    "tags": TAGS,
    "lines": LINES,
}


@pytest.fixture
def ada(tmp_path: Path) -> Identity:
    return Identity.create("ada@uni.org", tmp_path / "ada.json")


@pytest.fixture
def site(tmp_path: Path, ada: Identity) -> Iterator[Datasite]:
    datasite = hospital(tmp_path, ada)
    yield datasite
    datasite.state.close()


def submitted(site: Datasite, ada: Identity, code: dict[str, bytes] | None = None, **changes: Any) -> Packet:
    files = CODE | (code or {})
    asked = manifest(files, **changes)
    deliver(site, asked, ada, files)
    return site.packet(asked.digest)


def terminal(packet: Packet, width: int = 100) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as captured:
        draw(packet.document, console)
    return captured.get()


class Tags(HTMLParser):
    """Which elements and attributes a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def forms(packet: Packet) -> list[str]:
    return [Tags(packet.html()).text, Tags(packet._repr_html_()).text, terminal(packet)]


def everywhere(text: str) -> dict[str, Any]:
    """The text wherever a researcher can put one."""
    line = re.sub(r"[\x00-\x1f\x7f]", "", text)
    contract = {
        "parameters": {text: {"shape": [4], "dtype": "int64"}},
        "fit_metrics": [text],
        "evaluate_metrics": [text + "2"],
        "evaluate_arrays": {text: {"shape": [2, 2], "dtype": "int64"}},
    }
    twin = {"hospital": "do@north.org", "fit_seconds": 1.0, "evaluate_seconds": 1.0, "train_examples": 1}
    twin |= {"test_examples": 1, "fit_metrics": {text[:100]: 1.0}, "evaluate_metrics": {}}
    return {
        "purpose": line,
        "config": {text: [text]},
        "outputs": contract,
        "rehearsal": {"sandbox": text[:100], "twins": [twin]},
    }


def test_markup_in_every_text_stays_text(site: Datasite, ada: Identity) -> None:
    honest = submitted(site, ada, name="honest")
    site.approve(honest.digest)
    packet = submitted(
        site, ada, {"study.py": XSS.encode(), "notes.txt": XSS.encode()}, name="honest", **everywhere(XSS)
    )
    for form in (packet.html(), packet._repr_html_()):
        seen = Tags(form)
        assert seen.tags.isdisjoint({"script", "img", "svg", "iframe", "a1"})
        assert not {name for name in seen.attributes if name.startswith("on")}
        assert "<script>alert(1)</script>" in seen.text  # shown, as text
    assert Tags(packet.html()).tags == Tags(honest.html()).tags | {"a", "ul", "span"}


def test_terminal_sequences_are_shown_and_never_sent(site: Datasite, ada: Identity) -> None:
    packet = submitted(site, ada, {"study.py": ESCAPES.encode()}, **everywhere(ESCAPES))
    for form in forms(packet):
        assert not {c for c in form if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs") and c not in "\n"}
        assert "⟨U+001B⟩" in form
    assert "APPROVED" not in packet.summary


@pytest.mark.parametrize("what", HIDDEN)
def test_hidden_characters_are_shown_and_refused(site: Datasite, ada: Identity, what: str) -> None:
    text = HIDDEN[what]
    packet = submitted(site, ada, {"study.py": f"import numpy\n{text}\n".encode()}, **everywhere(text))
    for form in forms(packet):
        shown = [c for c in form if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c not in "\n"]
        assert not shown
        assert not [c for c in form if unicodedata.bidirectional(c) in ("R", "AL", "RLE", "RLO", "RLI")]
        assert not set(form) & set("\u3164\u2800\u115f\u2028\u2029\ufe0f\U000e0100")
        assert "\u0335\u0335\u0335" not in form
        assert "⟨U+" in form
    assert any(f.kind == "unreadable" and (f.path, f.line) == ("study.py", 2) for f in packet.findings)
    assert not packet.ruling.allowed
    with pytest.raises(Refused, match=r"study\.py, line 2"):
        site.approve(packet.digest)


def test_code_cannot_pass_for_a_part_of_the_packet(site: Datasite, ada: Identity) -> None:
    fake = "\n".join(
        ["", "What the policy says", "  The policy allows this study.", "╰────╯", "Decide with: approve", "x"]
    )
    long = "# " + "The policy in force allows it. " * 30
    packet = submitted(site, ada, {"study.py": f"{fake}\n{long}\n".encode()})
    shown = terminal(packet, 80).split("\nThe code\n")[1].splitlines()
    assert len(shown) > 20
    for line in shown:
        assert re.match(r" {2}\S+$| *(\d+|!)? ?│( |$)", line), line
    assert all(len(line) <= 80 for line in shown)
    assert packet.html().count("<h2>What the policy says</h2>") == 1


@pytest.mark.parametrize(
    "purpose",
    ["There is a differential-privacy guarantee.", "x. The policy in force allows it. ada@uni.org asks nothing"],
)
def test_no_word_of_the_summary_is_the_researchers(site: Datasite, ada: Identity, purpose: str) -> None:
    honest = submitted(site, ada).summary
    outputs = {"parameters": {purpose: {"shape": [4], "dtype": "int64"}}, "fit_metrics": []}
    outputs |= {"evaluate_metrics": [], "evaluate_arrays": {}}
    assert submitted(site, ada, purpose=purpose, config={purpose: 1}, outputs=outputs).summary == honest


def test_lines_and_files_beyond_reading_do_not_break_it(site: Datasite, ada: Identity) -> None:
    code = {
        "study.py": b"x = '" + b"A" * 900_000 + b"'\n",
        "lines.txt": b"\n" * 1_000_000,
        "marks.txt": ("a" + "\u0301" * 400_000).encode(),
    }
    packet = submitted(site, ada, code)
    page, shown = packet.html(), terminal(packet)
    assert len(page) < 5_000_000
    assert len(shown) < 5_000_000
    for form in (page, shown):
        assert "more characters⟩" in form
        assert "more lines" in form
        assert "more than a person reads" in form
    with pytest.raises(Refused, match="more than a person reads"):
        site.approve(packet.digest)


def test_a_configuration_beyond_reading_is_never_allowed(site: Datasite, ada: Identity) -> None:
    with pytest.raises(Refused, match="more than a person reads"):
        site.approve(submitted(site, ada, config={"weights": "x" * 10_000}).digest)


@pytest.mark.parametrize(
    "code", [{"a.txt": b"x" * 1_001}, {"a.txt": b"\n" * 20_000}, {"study.py": b"\n" * 20_000 + b"x"}]
)
def test_what_the_packet_does_not_show_is_never_allowed(site: Datasite, ada: Identity, code: dict[str, bytes]) -> None:
    with pytest.raises(Refused, match="does not allow this study"):
        site.approve(submitted(site, ada, code).digest)


def test_a_long_configuration_and_comparison_leave_the_code_whole(site: Datasite, ada: Identity) -> None:
    config = {"list": [0] * 2_000, "text": "x" * 2_500}
    site.approve(submitted(site, ada, {f"{n}.txt": b"a\n" * 2_900 for n in range(4)}).digest)
    packet = submitted(site, ada, {f"{n}.txt": b"b\n" * 2_900 for n in range(4)}, config=config)
    assert packet.ruling.allowed
    for form in (packet.html(), terminal(packet)):
        assert form.count("x" * 80) >= 2_500 // 80 - 4  # all of the text, in lines
        assert "PRIME = 1_000_003" in form.split("The code")[-1]
        assert "more lines, which are not shown" not in form.split("The code")[-1]


def test_many_lines_before_the_code_do_not_push_it_out(site: Datasite, ada: Identity) -> None:
    packet = submitted(site, ada, {"a.txt": b"\n" * 900_000, "aa.py": b"\n" * 200_000})
    for form in (packet.html(), terminal(packet)):
        assert "PRIME = 1_000_003" in form


def test_numbers_beyond_counting_are_no_study(site: Datasite, ada: Identity) -> None:
    huge = {"parameters": {"w": {"shape": [10**12] * 32, "dtype": "int64"}}, "fit_metrics": []}
    packet = submitted(site, ada, outputs={**huge, "evaluate_metrics": [], "evaluate_arrays": {}})
    assert not packet.ruling.allowed
    assert "bytes would leave" in " ".join(terminal(packet, 2_000).split())
    for shape in ([2**41], [1] * 33):
        with pytest.raises(ValueError, match="shape"):
            manifest(outputs={**huge, "parameters": {"w": {"shape": shape, "dtype": "int64"}}})


def test_thousands_of_findings_and_metrics_are_cut_and_counted(site: Datasite, ada: Identity) -> None:
    code = "import os\n" + "".join(f"os.system('{n}')\n" for n in range(3_000))
    names = [f"m{n}" for n in range(5_000)]
    outputs = {"parameters": {"w": {"shape": [4], "dtype": "int64"}}, "fit_metrics": names}
    packet = submitted(
        site, ada, {"study.py": code.encode()}, outputs={**outputs, "evaluate_metrics": [], "evaluate_arrays": {}}
    )
    assert "more rows, not shown" in packet.html()
    assert "more of this kind" in packet.html()
    with pytest.raises(Refused, match=r"and [\d,]+ more\."):
        site.approve(packet.digest)


def test_a_version_made_to_be_slow_to_compare_is_not_compared(site: Datasite, ada: Identity) -> None:
    def lines(step: int) -> bytes:
        return "".join(f"{(n * step) % 997}\n" for n in range(3_500)).encode()

    site.approve(submitted(site, ada, {"data.txt": lines(3)}).digest)
    packet = submitted(site, ada, {"data.txt": lines(5)})
    assert "too long to be compared" in packet.html()
