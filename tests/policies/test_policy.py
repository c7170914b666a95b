from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.errors import InvalidInput
from policies.examples import NAMES, example, example_text
from policies.explain import explain
from policies.policy import Policy
from policies.request import StudyRequest
from policies.rules import RULES

Ask = Callable[..., StudyRequest]

BROKEN = """
title = " "
wat = 1
data = 3
[asking]
researcher = ["a"]
purposes = "x"
[running]
tiers = ["privat"]
rounds = "12"
minutes_per_round = 0
megabytes_per_round = true
[code]
imports = ["numpy", "torch.nn"]
allow = ["unreadable"]
[release]
metrics = ["loss"]
min_cohort = 0
min_cell = 1.5
decimals = 3
secure_aggregation = 1
[release.arrays]
"a b" = [2]
[budget]
epsilon_per_study = 3
epsilon_total = 1
delta = 1e-5
"""


def edited(name: str, **changes: str) -> str:
    """An example's text with whole entries replaced: name="new value"."""
    lines = example_text(name).splitlines()
    for entry, value in changes.items():
        (at,) = (n for n, line in enumerate(lines) if line.startswith(f"{entry} = "))
        assert not lines[at].rstrip().endswith("[")
        lines[at] = f"{entry} = {value}" if value else ""
    return "\n".join(lines)


def test_every_problem_is_told_in_its_authors_words() -> None:
    with pytest.raises(InvalidInput) as raised:
        Policy.from_toml(BROKEN)
    told = raised.value.message
    for problem in (
        "The policy: `title` must be one line of text.",
        "The policy has `wat`, which is no entry of a policy.",
        "The policy: `data` must be a section of its own.",
        "The policy needs the section [approval].",
        "[asking] needs `researchers`.",
        "[asking] has `researcher`, which is no entry of a policy; did you mean `researchers`?",
        "[asking]: `purposes` must be a list in brackets.",
        "[running]: `tiers`, entry 1, must be 'private' or 'reviewed'.",
        "[running]: `rounds` must be a whole number.",
        "[running]: `minutes_per_round` must be greater than 0.",
        "[running]: `megabytes_per_round` must be a number.",
        "[code]: `imports`, entry 2, must be a name of letters, digits and underscores, without dots.",
        "[code]: `allow`, entry 1, must be 'file', 'process', 'network', 'evaluation', 'monkeypatch' or 'reflection'.",
        "[release]: `min_cohort` must be greater than or equal to 1.",
        "[release]: `min_cell` must be a whole number.",
        "[release]: `secure_aggregation` must be true or false.",
        "[release.arrays] has `a b`, which must be a name of letters, digits and underscores, without dots.",
        "[budget]: `epsilon_per_study` is above `epsilon_total`.",
    ):
        assert f"\n- {problem}\n" in told
    assert told.count("\n- ") == 18


def _paths(table: dict[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        yield (*before, name)
        if isinstance(value, dict) and name not in ("arrays", "tables"):
            yield from _paths(value, (*before, name))


LEFT_OFF = (("running", "kept_megabytes"), ("release", "tables"))  # may be left off: then nothing is kept, or leaves


@pytest.mark.parametrize("path", [p for p in _paths(tomllib.loads(example_text("standard"))) if p not in LEFT_OFF])
def test_nothing_is_allowed_by_leaving_it_out(path: tuple[str, ...]) -> None:
    raw = tomllib.loads(example_text("standard"))
    section = raw
    for name in path[:-1]:
        section = section[name]
    del section[path[-1]]
    with pytest.raises(ValueError, match=path[-1]):
        Policy.model_validate(raw)


def test_one_process_where_the_policy_does_not_speak_of_it(asks: Ask) -> None:
    """And such a policy has the digest from before there was that entry; where it allows several, PyTorch's own way to
    speak with each other is no ground for refusal, and other networks are."""
    raw = tomllib.loads(example_text("standard"))
    plain = Policy.model_validate(raw)
    several = Policy.model_validate({**raw, "running": {**raw["running"], "processes": 2}})
    said = plain.model_dump(mode="json")
    del said["running"]["processes"]
    before = json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert plain.digest == hashlib.sha256(before.encode()).hexdigest() != several.digest
    asked = {"files": {"study.py": "import torch.distributed as dist\ndist.init_process_group('gloo')\n"}}
    assert {one.rule for one in several.check(asks(**asked, processes=2))} == set()
    for policy, more in ((several, {}), (plain, {"processes": 2}), (several, {"processes": 3})):
        assert "calls" in {one.rule for one in policy.check(asks(**asked, **more))}
    other = {"files": {"study.py": "import socket\n"}, "processes": 2}
    assert "calls" in {one.rule for one in several.check(asks(**other))}


def test_nothing_is_kept_where_the_policy_does_not_speak_of_it() -> None:
    """And such a policy has the digest from before there was that entry."""
    raw = tomllib.loads(example_text("standard"))
    del raw["running"]["kept_megabytes"]
    policy = Policy.model_validate(raw)
    assert policy.running.kept_bytes == 0
    content = policy.model_dump(mode="json")
    for name in ("kept_megabytes", "processes"):
        content["running"].pop(name)
    before = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert (
        policy.digest
        == hashlib.sha256(before.encode()).hexdigest()
        != Policy.model_validate({**raw, "running": {**raw["running"], "kept_megabytes": 1.0}}).digest
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"decimals": "3\ngate_noise = 1.0"}, "[release]: `gate_noise` is a multiple of `max_update_norm`"),
        ({"decimals": "3\nmax_update_norm = 1.0\ngate_noise = 0.01"}, "[release]: `gate_noise` must be greater than"),
        ({"min_cohort": "nan"}, "[release]: `min_cohort` must be a whole number."),
        ({"epsilon_total": "inf"}, "[budget]: `epsilon_total`"),
        ({"researchers": '["a\\u001b[31m"]'}, "[asking]: `researchers`, entry 1, must be one line of text."),
    ],
)
def test_senseless_values(changes: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Policy.from_toml(edited("standard", **changes))
    assert problem in raised.value.message


def test_gate_noise_needs_a_budget() -> None:
    text = edited("standard", decimals="3\nmax_update_norm = 1.0\ngate_noise = 2.0", tiers='["reviewed"]')
    with pytest.raises(InvalidInput, match=r"`gate_noise` is paid for from a \[budget\]"):
        Policy.from_toml(text[: text.index("[budget]")])


def test_a_researcher_may_have_a_limit_of_their_own() -> None:
    text = example_text("standard") + "epsilon_per_researcher = 5\none_row_per_person = true\n"
    told = explain(Policy.from_toml(text))["Privacy budget"]
    assert "All studies of one researcher together may spend at most 5." in told
    assert "Each row of the table is another person." in told
    with pytest.raises(InvalidInput, match="`epsilon_per_researcher` is above `epsilon_total`"):
        Policy.from_toml(text.replace("researcher = 5", "researcher = 50"))


def test_the_private_tier_needs_a_budget() -> None:
    text = example_text("standard").split("[budget]")[0]
    with pytest.raises(InvalidInput, match="The policy: the private tier needs a \\[budget\\]"):
        Policy.from_toml(text)
    assert Policy.from_toml(text.replace('"private", ', "")).budget is None


def test_load_tells_what_is_wrong_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Cannot read"):
        Policy.load(tmp_path / "none.toml")
    with pytest.raises(InvalidInput, match="Cannot read"):
        Policy.load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(InvalidInput, match="not UTF-8"):
        Policy.load(tmp_path / "latin.toml")
    (tmp_path / "half.toml").write_text("title = ")
    with pytest.raises(InvalidInput, match="not TOML"):
        Policy.load(tmp_path / "half.toml")


@pytest.mark.parametrize("name", NAMES)
def test_an_example_fits_a_page_and_is_told_whole(name: str) -> None:
    assert len(example_text(name).splitlines()) <= 70
    policy, told = example(name), " ".join(s for sentences in explain(example(name)).values() for s in sentences)
    for number in (policy.running.rounds, policy.data.min_patients, policy.release.min_cohort, policy.approval.days):
        assert f"{number:,}" in told
    for word in (*policy.code.imports, *policy.release.metrics, *policy.data.never_columns):
        assert word in told


def test_a_notebook_reads_it_aloud_and_runs_nothing() -> None:
    policy = Policy.from_toml(edited("standard", title='"<script>alert(1)</script>"'))
    page = policy._repr_html_()
    assert "A table with fewer than 50 patients takes part in no study." in page
    assert "<script" not in page


def test_examples_grow_stricter(asks: Ask) -> None:
    teaching, standard, strict = example("teaching"), example("standard"), example("strict")
    assert not standard.check(asks())
    assert not teaching.check(asks(patients=3))
    assert {"cohort"} == {v.rule for v in standard.check(asks(patients=3))}
    assert {"researchers", "purposes", "columns", "tiers", "outputs"} == {v.rule for v in strict.check(asks())}
    private = {"tier": "private", "pseudonyms": False, "files": {}, "evaluate_arrays": {}}
    assert not strict.check(asks(researcher="ada@hospital.example.org", purpose="Readmission planning", **private))


def test_digest_is_of_what_it_says() -> None:
    text = example_text("standard")
    assert Policy.from_toml(text + "\n# a comment\n").digest == example("standard").digest
    assert Policy.from_toml(edited("standard", rounds="101")).digest != example("standard").digest


def test_only_an_exact_repetition_is_approved_without_a_person(asks: Ask) -> None:
    policy = Policy.from_toml(edited("standard", automatic='"same-digest"'))
    earlier = frozenset({"d" * 64})
    again = {"digest": "2" * 64, "first": "d" * 64, "approved_digests": earlier}
    assert policy.approves(asks(**again))
    assert not policy.approves(asks(**{**again, "first": "e" * 64}))
    assert not policy.approves(asks(**{**again, "approved_digests": frozenset()}))
    assert not policy.approves(asks(**{**again, "rounds": 101}))
    assert not policy.approves(asks(digest="d" * 64, first="d" * 64, approved_digests=earlier))  # repeats nothing
    assert not example("standard").approves(asks(**again))


def test_every_rule_gives_its_verdict(asks: Ask) -> None:
    verdicts = example("standard").verdicts(asks(patients=3, files={"study.py": "import os\n"}))
    assert list(verdicts) == list(RULES)
    assert {rule for rule, found in verdicts.items() if found} == {"cohort", "imports", "calls"}
    assert [v for found in verdicts.values() for v in found] == example("standard").check(
        asks(patients=3, files={"study.py": "import os\n"})
    )


def test_explain_tells_of_every_protection() -> None:
    release = "4\nmax_update_norm = 2.5\ngate_noise = 0.5"
    policy = Policy.from_toml(edited("standard", decimals=release, secure_aggregation="true", allow='["file"]'))
    told = " ".join(explain(policy)["What may leave"])
    assert "to a distance of 2.5 in one round, and noise of 0.5 times that distance" in told
    assert "hides this hospital's whole table" in told
    assert "Only sums over several hospitals" in told
    hidden = Policy.from_toml(edited("standard", decimals="4\nhide_counts = true"))
    assert "does not leave: in averages this hospital weighs as any other." in " ".join(
        explain(hidden)["What may leave"]
    )
    assert "Code that reads or writes files is allowed." in explain(policy)["What its code may do"]
