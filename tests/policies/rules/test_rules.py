"""Each rule: what it lets pass, what it refuses, and that it says what to change."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from policies.examples import example, example_text
from policies.policy import Policy
from policies.privacy.events import Gaussian, SharedGaussian
from policies.request import StudyRequest

Ask = Callable[..., StudyRequest]
ALONE: dict[str, Any] = {  # nothing leaves but the model, with the gate's noise
    "fit_metrics": (),
    "evaluate_metrics": (),
    "evaluate_arrays": {},
    "protections": frozenset({"gate_noise"}),
}

SHARED: dict[str, Any] = {"tier": "private", "events": (SharedGaussian(9.0, 19, 20),)}  # one may collude
SUMMED: dict[str, Any] = {"evaluate_arrays": {"statistics_counts": (2, 10)}, "summed": ("statistics_counts",)}


def standard(section: str, **changes: Any) -> Policy:
    raw = tomllib.loads(example_text("standard"))
    raw[section] |= changes
    return Policy.model_validate(raw)


@pytest.mark.parametrize(
    ("rule", "policy", "asked"),
    [
        ("researchers", standard("asking", researchers=["eve@uni.org"]), {}),
        ("researchers", standard("asking", researchers=["*@uni.org"]), {"researcher": "ada@uni.org.evil.org"}),
        ("researchers", standard("asking", researchers=["ada@un?.org", "[a]da@uni.org"]), {}),
        ("researchers", standard("asking", researchers=[]), {}),
        ("purposes", standard("asking", purposes=["Quality of care"]), {}),
        ("purposes", example("standard"), {"purpose": "  "}),
        ("columns", standard("data", columns=["female"]), {}),
        ("columns", standard("data", never_columns=["AGE_*"]), {}),
        ("columns", standard("data", pseudonyms=False), {}),
        ("columns", example("standard"), {"columns": ()}),
        ("cohort", example("standard"), {"patients": 49}),
        ("cohort", example("standard"), {"patients": None}),
        ("tiers", standard("running", tiers=["private"]), {}),
        ("tiers", example("standard"), {"tier": "unheard-of"}),
        ("rounds", example("standard"), {"rounds": 101}),
        ("rounds", example("standard"), {"rounds": 0}),
        ("kept", standard("running", kept_megabytes=None), {"kept_bytes": 1}),
        ("kept", standard("running", kept_megabytes=0.001), {"kept_bytes": 1001}),
        ("kept", example("standard"), {"kept_bytes": -1}),
        ("kept", example("standard"), {"kept_bytes": 8, "tier": "private"}),
        ("processes", example("standard"), {"processes": 2}),
        ("processes", standard("running", processes=4), {"processes": 5}),
        ("processes", standard("running", processes=4), {"processes": 0}),
        ("processes", standard("running", processes=4), {"processes": 2, "tier": "private"}),
        ("runtime", example("standard"), {"seconds_per_round": 3601}),
        ("size", example("standard"), {"max_bytes": 64_000_001}),
        ("outputs", example("standard"), {"fit_metrics": ("secret",)}),
        ("outputs", example("standard"), {"evaluate_metrics": ("loss", "LOSS")}),
        ("outputs", example("standard"), {"evaluate_arrays": {"rows": (1,)}}),
        ("outputs", example("standard"), {"evaluate_arrays": {"score_histogram": (2, 1001)}}),
        ("outputs", example("standard"), {"evaluate_arrays": {"score_histogram": (2000,)}}),
        ("outputs", example("standard"), {"evaluate_arrays": {"private_statistics": (5,)}}),
        ("outputs", example("standard"), {**SUMMED, "summed": ()}),
        ("protections", standard("release", secure_aggregation=True), {}),
        ("protections", standard("release", max_update_norm=1.0, gate_noise=1.0), {}),
        ("neighbours", example("standard"), {"neighbours": ("do@south.org",)}),
        (
            "neighbours",
            standard("release", neighbours=["*@south.org"]),
            {"neighbours": ("do@south.org", "do@east.org")},
        ),
        ("outputs", standard("release", max_update_norm=1.0, gate_noise=30.0), {}),
        ("privacy", standard("release", max_update_norm=1.0, gate_noise=1.0), {}),
        ("privacy", standard("release", max_update_norm=1.0, gate_noise=12.0), {"rounds": 1, "rounds_asked": 100}),
        ("privacy", example("standard"), {"tier": "private", "events": (Gaussian(1.0, 3),)}),
        ("privacy", example("standard"), {"tier": "private", "events": (Gaussian(9.0),), "patients": 1_000_000}),
        ("sharing", example("standard"), SHARED),
        ("sharing", standard("budget", colluding_hospitals=2), SHARED),
        ("protections", standard("release", max_update_norm=1.0, gate_noise=1.0), {"tier": "unheard-of"}),
        ("imports", example("standard"), {"files": {"study.py": "import requests_html"}}),
        ("imports", standard("code", imports=["torch"]), {}),
        ("calls", example("standard"), {"files": {"study.py": "open('x')"}}),
        ("calls", standard("code", allow=["file", "process"]), {"files": {"study.py": "eval('x')"}}),
        ("calls", example("standard"), {"files": {"study.py": "def"}}),
    ],
)
def test_refuses(asks: Ask, rule: str, policy: Policy, asked: dict[str, Any]) -> None:
    found = [violation for violation in policy.check(asks(**asked)) if violation.rule == rule]
    assert found
    for violation in found:
        assert violation.reason.endswith(".")
        assert violation.change.endswith(".")


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        (example("standard"), {}),
        (standard("asking", researchers=["ADA@uni.org"]), {}),
        (standard("asking", researchers=["*@uni.org"]), {}),
        (standard("asking", purposes=["plan *  calls"]), {}),
        (standard("data", columns=["age_*", "female"]), {}),
        (standard("data", pseudonyms=False), {"pseudonyms": False}),
        (example("standard"), {"patients": 50}),
        (example("standard"), {"max_bytes": 64_000_000, "seconds_per_round": 3600, "rounds": 100}),
        (example("standard"), {"evaluate_arrays": {"score_histogram": (2, 10)}}),
        (
            example("standard"),
            {"tier": "private", "events": (Gaussian(9.0),), "evaluate_arrays": {"private_statistics": (5,)}},
        ),
        (standard("release", neighbours=["*@south.org", "DO@*"]), {"neighbours": ("a@south.org", "do@east.org")}),
        (standard("release", secure_aggregation=True), {"protections": frozenset({"secure_aggregation"})}),
        (standard("release", max_update_norm=1.0, gate_noise=1.0), {"tier": "private", "events": (Gaussian(9.0),)}),
        (example("standard"), {"tier": "private", "events": (Gaussian(9.0),), "patients": 999_999}),
        (example("standard"), SUMMED),
        (example("standard"), {**SUMMED, "summed": None}),
        (standard("budget", colluding_hospitals=1), SHARED),
        (standard("budget", colluding_hospitals=0), SHARED),
        (standard("release", max_update_norm=1.0, gate_noise=12.0), {**ALONE, "rounds_asked": 12}),
        (standard("code", imports=[]), {"files": {"study.py": "import parts", "parts.py": ""}}),
        (standard("code", allow=["file"]), {"files": {"study.py": "open('x')"}}),
    ],
)
def test_lets_pass(asks: Ask, policy: Policy, asked: dict[str, Any]) -> None:
    assert policy.check(asks(**asked)) == []


def test_every_violation_is_told_at_once(asks: Ask) -> None:
    found = example("strict").check(
        asks(rounds=999, patients=None, max_bytes=10**9, columns=("race", "birth"), files={"study.py": "eval('1')"})
    )
    told = {"researchers", "purposes", "columns", "cohort", "tiers", "rounds", "size", "outputs", "calls"}
    assert {violation.rule for violation in found} == told
    assert sum("'race'" in v.reason or "'birth'" in v.reason for v in found) == 2


def test_code_alone_is_judged_as_within_a_request(asks: Ask) -> None:
    files = {"study.py": "import os\nos.system('x')\n"}
    alone = example("standard").check_code(files)
    assert alone == example("standard").check(asks(files=files))
    assert [(v.rule, v.reason.split(":")[0]) for v in alone] == [
        ("imports", "study.py, line 1"),
        ("calls", "study.py, line 1"),
        ("calls", "study.py, line 2"),
    ]


def test_a_refusal_does_not_tell_how_many_patients_there_are(asks: Ask) -> None:
    (violation,) = example("standard").check(asks(patients=37))
    assert "37" not in str(violation)
