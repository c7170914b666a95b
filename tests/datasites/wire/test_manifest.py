from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest, code_problems, describe_files, sign_manifest, verify_manifest
from datasites.wire.outputs import ArraySpec, OutputContract

FILES = {"study.py": b"x = 1\n", "model/net.py": b"y = 2\n"}


def fields(**changes: Any) -> dict[str, Any]:
    contract = {
        "parameters": {"w": {"shape": [3, 2], "dtype": "float32"}},
        "fit_metrics": ["loss"],
        "evaluate_metrics": ["auc"],
        "evaluate_arrays": {"score_histogram": {"shape": [2, 10], "dtype": "int64"}},
    }
    described = {path: file.model_dump() for path, file in describe_files(FILES).items()}
    return {
        "name": "readmission",
        "purpose": "Predict readmission.",
        "researcher": "ada@uni.org",
        "dataset": "stays",
        "dictionary": "a" * 64,
        "columns": ["age", "ward"],
        "files": described,
        "config": {"epochs": 1},
        "rounds": 5,
        "seconds_per_round": 60,
        "outputs": contract,
        **changes,
    }


def manifest(**changes: Any) -> Manifest:
    return Manifest.model_validate(fields(**changes))


TWIN = {
    "hospital": "do@north.org",
    "fit_seconds": 0.5,
    "evaluate_seconds": 0.25,
    "train_examples": 80,
    "test_examples": 20,
    "fit_metrics": {"loss": 0.7},
    "evaluate_metrics": {},
}
SUM = {f"do@h{i}.org": " ".join(f"{i:04x}" for _ in range(8)) for i in range(3)}
CURVE = {"curve": {"shape": [4], "dtype": "float64"}}
OTHER: dict[str, Any] = {
    "name": "other",
    "purpose": "Something else.",
    "researcher": "bob@uni.org",
    "dataset": "visits",
    "dictionary": "b" * 64,
    "columns": ["ward", "age"],
    "files": {"study.py": {"sha256": "c" * 64, "size": 6}},
    "config": {"epochs": 1.0},
    "rounds": 6,
    "seconds_per_round": 61,
    "outputs": {**fields()["outputs"], "fit_metrics": []},
    "repetition": 2,
    "state_compression": "int8+zstd",
    "processes": 2,
    "secure_aggregation": {"hospitals": SUM},
    "gossip": {"hospitals": SUM, "links": [["do@h0.org", "do@h1.org"], ["do@h1.org", "do@h2.org"]]},
    "rehearsal": {"sandbox": "bubblewrap", "twins": [TWIN]},
}


@pytest.mark.parametrize("field", OTHER)
def test_the_digest_changes_with_every_field(field: str) -> None:
    assert manifest(**{field: OTHER[field]}).digest != manifest().digest


def test_every_field_is_in_that_list() -> None:
    assert OTHER.keys() | {"version", "tier", "training", "statistics"} == Manifest.model_fields.keys()


def test_the_digest_is_the_same_everywhere() -> None:
    reordered = dict(reversed(fields().items()))
    assert Manifest.model_validate(reordered).digest == manifest().digest
    assert Manifest.model_validate_json(manifest().canonical()).digest == manifest().digest
    assert manifest().job_name == f"readmission-{manifest().digest[:12]}"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Read Mission"},
        {"name": "../x"},
        {"name": ""},
        {"purpose": ""},
        {"purpose": "two\nlines"},
        {"purpose": "\x1b[2J"},
        {"researcher": "ada"},
        {"dataset": "../x"},
        {"dictionary": "A" * 64},
        {"columns": []},
        {"columns": ["age", "age"]},
        {"columns": ["age; drop"]},
        {"files": {}},
        {"files": {"main.py": {"sha256": "c" * 64, "size": 1}}},
        {"config": {"rate": float("nan")}},
        {"config": {"f": b"bytes"}},
        {"rounds": 0},
        {"rounds": 100_001},
        {"rounds": 5.0},
        {"rounds": True},
        {"seconds_per_round": 0},
        {"tier": "private"},
        {"version": 2},
        {"extra": 1},
        {"state_compression": "zip"},
        {"state_compression": "delta+int8"},
        {"outputs": {**fields()["outputs"], "compression": "zip"}},
        {"outputs": {**fields()["outputs"], "parameters": {}, "compression": "int8"}},
        {"outputs": {**fields()["outputs"], "kept": {"compression/w": {"shape": [1], "dtype": "float32"}}}},
        {"outputs": {**fields()["outputs"], "compression": "int8"}, "secure_aggregation": {"hospitals": SUM}},
        {"outputs": {**fields()["outputs"], "evaluate_arrays": CURVE}, "secure_aggregation": {"hospitals": SUM}},
        {"secure_aggregation": {"hospitals": dict(list(SUM.items())[:2])}},
        {"secure_aggregation": {"hospitals": SUM, "honest": 3}},  # study code has no noise to share
        {"secure_aggregation": {"hospitals": SUM, "honest": 0}},
        {"secure_aggregation": {"hospitals": SUM, "tables": ["nothing"]}},
        {"secure_aggregation": {"hospitals": SUM, "sums": ["score_histogram"]}},
    ],
    ids=str,
)
def test_a_manifest_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        manifest(**changes).canonical()


@pytest.mark.parametrize(
    "path",
    [
        "../x.py",
        "/x.py",
        "a//b.py",
        "a/../b.py",
        ".hidden",
        "a/.hidden",
        "x y.py",
        "a\\b.py",
        "manifest.json",
        "Study.py",
        *["a/b/c/d/e/f/g.py", "x" * 70, "é.py", "x\n.py", "manifest.sig", ""],
    ],
)
def test_a_file_name_that_could_lie_elsewhere_is_refused(path: str) -> None:
    described = {"sha256": "c" * 64, "size": 1}
    with pytest.raises(ValidationError):
        manifest(files={**fields()["files"], path: described})


@pytest.mark.parametrize(
    "spec", [{"shape": [-1], "dtype": "float32"}, {"shape": [2], "dtype": "object"}, {"shape": [2]}]
)
def test_an_array_that_could_be_anything_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ArraySpec.model_validate(spec)


@pytest.mark.parametrize(("dtype", "width"), [("bool", 1), ("int8", 1), ("float16", 2), ("int32", 4), ("float64", 8)])
def test_bytes_of_an_array(dtype: str, width: int) -> None:
    assert ArraySpec(shape=(3, 2), dtype=dtype).nbytes == 6 * width
    assert ArraySpec(shape=(), dtype=dtype).nbytes == width
    assert ArraySpec(shape=(0, 5), dtype=dtype).nbytes == 0


def test_the_contract_says_how_much_can_leave() -> None:
    contract = OutputContract.model_validate(fields()["outputs"])
    assert contract.max_bytes == 3 * 2 * 4 + 2 * 10 * 8 + 8 * 4


def test_a_study_that_keeps_nothing_has_the_digest_from_before_it_could() -> None:
    plain = manifest()
    assert b'"kept"' not in plain.canonical()
    outputs = fields()["outputs"]
    keeps = manifest(outputs={**outputs, "kept": {"c": {"shape": [3], "dtype": "float64"}}})
    assert keeps.digest != plain.digest
    assert (keeps.outputs.kept_bytes, plain.outputs.kept_bytes) == (24, 0)
    assert keeps.outputs.max_bytes == plain.outputs.max_bytes
    assert Manifest.model_validate_json(keeps.canonical()) == keeps
    assert manifest(outputs={**outputs, "kept": {}}).digest == plain.digest


def test_a_study_of_one_process_has_the_digest_from_before_it_could_have_several() -> None:
    plain, several = manifest(), manifest(processes=2)
    assert b'"processes"' not in plain.canonical()
    assert several.digest != plain.digest == manifest(processes=1).digest
    assert Manifest.model_validate_json(several.canonical()) == several
    for wrong in (0, 65):
        with pytest.raises(ValueError, match="processes"):
            manifest(processes=wrong)


def test_a_signed_manifest_is_its_researchers_only(ada: Identity, stranger: Identity, ward: Identity) -> None:
    signed = manifest()
    signature = sign_manifest(signed, ada)
    assert verify_manifest(signed.canonical(), signature, ada.public) == signed
    for public, made in ((stranger.public, signature), (ward.public, sign_manifest(signed, ward)), (ada.public, "")):
        with pytest.raises(ValueError, match="not signed by the researcher"):
            verify_manifest(signed.canonical(), made, public)


def test_only_the_canonical_form_is_taken(ada: Identity) -> None:
    signed = manifest()
    pretty = json.dumps(json.loads(signed.canonical()), indent=1).encode()
    with pytest.raises(ValueError, match="canonical"):
        verify_manifest(pretty, ada.sign("study-manifest", pretty), ada.public)


def test_every_difference_of_the_code_is_named() -> None:
    assert code_problems(manifest(), FILES) == []
    changed = {"study.py": b"x = 2\n", "numpy.py": b""}
    problems = code_problems(manifest(), changed)
    assert [problem.split()[0] for problem in problems] == ["model/net.py", "numpy.py", "study.py"]


def test_repetitions_of_the_same_work_have_their_first_in_common() -> None:
    first = manifest()
    assert (first.repetition, first.first) == (1, first.digest)
    again = manifest(repetition=2)
    assert again.digest != first.digest
    assert again.first == manifest(repetition=3).first == first.digest
    for field in OTHER.keys() - {"repetition"}:  # a byte more or less is other work
        assert manifest(repetition=2, **{field: OTHER[field]}).first != first.digest


@pytest.mark.parametrize(
    "change",
    [
        {"hospital": "<script>"},
        {"fit_seconds": -1.0},
        {"evaluate_seconds": float("nan")},
        {"fit_metrics": {"loss": float("inf")}},
        {"fit_metrics": {"x" * 101: 1.0}},
        {"evaluate_metrics": {f"m{number}": 1.0 for number in range(101)}},
        {"note": "a free text"},
    ],
)
def test_a_report_of_a_rehearsal_is_small_and_holds_numbers(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        manifest(rehearsal={"sandbox": "bubblewrap", "twins": [{**TWIN, **change}]})
    with pytest.raises(ValidationError):
        manifest(rehearsal={"sandbox": "x" * 101, "twins": [TWIN]})
