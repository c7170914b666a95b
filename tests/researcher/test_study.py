from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datasites.wire.dictionary import Dictionary
from datasites.wire.limits import SUBMISSION_FILE_BYTES, SUBMISSION_FILES
from datasites.wire.outputs import OutputContract
from policies.errors import InvalidInput
from researcher.study import Study
from tests.support.federation import DICTIONARY

NOTHING = OutputContract(parameters={}, fit_metrics=(), evaluate_metrics=(), evaluate_arrays={})


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "parts").mkdir(parents=True)
    (folder / "study.py").write_text("import parts.net\n")
    (folder / "parts" / "net.py").write_text("LAYERS = 3\n")
    return folder


def study(code: Path, **options: Any) -> Study:
    return Study(**{"name": "demo", "purpose": "Test", "code": code, "dataset": "stays", "rounds": 3, **options})


class TestFiles:
    def test_everything_a_reviewer_must_read_and_nothing_else(self, code: Path) -> None:
        for litter in ("__pycache__/study.cpython-311.pyc", ".git/config", ".ipynb_checkpoints/study.py", "old.pyc"):
            path = code / litter
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"\xff")
        assert set(study(code).files()) == {"study.py", "parts/net.py"}

    def test_no_study_py(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match=r"There is no study\.py"):
            study(tmp_path / "missing").files()

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"\x80\x81", "not text"),
            (b"a = 1\r\n", "Windows line ends"),
            (b"a = '\0'\n", "NUL"),
            (b"#" * (SUBMISSION_FILE_BYTES + 1), "bytes"),
        ],
    )
    def test_what_cannot_be_read_or_sent(self, code: Path, data: bytes, why: str) -> None:
        (code / "more.py").write_bytes(data)
        with pytest.raises(InvalidInput, match=why) as caught:
            study(code).files()
        assert "more.py" in str(caught.value)

    def test_too_many(self, code: Path) -> None:
        for number in range(SUBMISSION_FILES):
            (code / f"m{number}.py").write_text("")
        with pytest.raises(InvalidInput, match="holds 202 files"):
            study(code).files()


class TestManifest:
    def test_all_columns_when_none_are_named_and_the_order_given(self, code: Path) -> None:
        dictionary = Dictionary.load(DICTIONARY)
        assert study(code).manifest("ada@uni.org", dictionary, NOTHING).columns == ("site", "days", "readmitted")
        chosen = study(code, columns=["readmitted", "days"])
        assert chosen.manifest("ada@uni.org", dictionary, NOTHING).columns == ("readmitted", "days")

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"columns": ["days", "income"]}, "no column income"),
            ({"columns": ["days", "days"]}, "named twice"),
            ({"columns": []}, "columns"),
            ({"name": "Demo Study"}, "name"),
            ({"purpose": "two\nlines"}, "purpose"),
            ({"rounds": 0}, "rounds"),
            ({"seconds_per_round": 0}, "seconds_per_round"),
            ({"config": {"f": object()}}, "config"),
        ],
    )
    def test_what_cannot_be_submitted_is_told_in_a_sentence(
        self, code: Path, options: dict[str, Any], why: str
    ) -> None:
        with pytest.raises(InvalidInput, match=why):
            study(code, **options).manifest("ada@uni.org", Dictionary.load(DICTIONARY), NOTHING)

    def test_every_byte_and_setting_is_part_of_the_studys_identity(self, code: Path) -> None:
        dictionary = Dictionary.load(DICTIONARY)

        def digest(**options: Any) -> str:
            return study(code, **options).manifest("ada@uni.org", dictionary, NOTHING).digest

        digests = [digest(), digest(rounds=4), digest(config={"a": 1}), digest(columns=["days"])]
        (code / "parts" / "net.py").write_text("LAYERS = 4\n")
        digests.append(digest())
        assert len(set(digests)) == len(digests)
        assert digest() == digest()

    def test_a_rehearsal_is_void_when_what_it_ran_changes(self, code: Path) -> None:
        dictionary = Dictionary.load(DICTIONARY)
        before = study(code).fingerprint(dictionary)
        assert study(code, rounds=9, purpose="Another").fingerprint(dictionary) == before
        assert study(code, config={"a": 1}).fingerprint(dictionary) != before
        (code / "study.py").write_text("import parts.net as net\n")
        assert study(code).fingerprint(dictionary) != before
        for value in (object(), float("nan"), {1, 2}):
            with pytest.raises(InvalidInput, match="config is not JSON"):
                study(code, config={"f": value}).fingerprint(dictionary)
