"""Each act of the hostile study, in a real round at a real hospital: its rows stay, and the next round goes on."""

from __future__ import annotations

import json
from urllib.request import urlopen

import pytest

from datasites.audit.entry import Kind
from tests.attacks.system.hostile import study
from tests.attacks.system.ward import Ward
from tests.support.federation import wait_for

RELEASED = {  # what these do leaves nothing in the result, which the approval allows to leave
    study.prints_rows_to_stdout_and_stderr,
    study.writes_rows_to_the_descriptors_themselves,
    study.warns_and_logs_rows,
    study.prints_rows_when_it_ends,
    study.prints_rows_from_a_thread_that_goes_on,
    study.names_files_in_its_scratch_after_rows,
    study.leaves_a_fifo_and_a_socket_in_its_scratch,
    study.replaces_its_scratch_by_a_link,
    study.names_its_process_after_a_row,
    study.looks_for_secrets_in_environments_and_command_lines,
    study.reads_the_agents_own_files,
}
MAY_END_EITHER_WAY = {study.goes_on_answering_after_its_end, study.returns_rows_as_an_array_metric}


@pytest.mark.parametrize("act", study.ACTS, ids=lambda act: act.__name__)
def test_attack(ward: Ward, act: object) -> None:
    used = ward.used(ward.hostile.study)
    released = act in RELEASED
    with ward.attack(Kind.RELEASED if released else None, charged=None) as line:
        reply = line.act(study.number_of(act))
        if act not in MAY_END_EITHER_WAY:
            assert (reply.reason is None) == released
        if reply.reason is None:
            assert reply.fit
            assert (reply.fit.num_examples, reply.fit.metrics) == (1, {"total": 0.0})
    assert ward.used(ward.hostile.study) == (used[0] + (reply.reason is None), used[1])
    assert "FOUND ['" not in ward.north.study_log(line.study)
    assert "FOUND [b'" not in ward.north.study_log(line.study)


def test_what_it_printed_is_in_the_hospitals_own_log_alone(ward: Ward) -> None:
    """Or the search for rows would look for the wrong thing."""
    with ward.attack(Kind.RELEASED, charged=(1, 0)) as line:
        line.act(study.number_of(study.prints_rows_to_stdout_and_stderr))
    mark = str(ward.north.table["mark"].iloc[0])
    assert mark in ward.north.study_log(line.study)
    assert ward.opened_replies() > 0


def test_neither_the_agents_log_nor_its_metrics_tell_of_a_row(ward: Ward) -> None:
    """With rows in its exceptions, its metrics' names and its own name; on the page and in the lines of all attacks."""
    acts = (
        study.raises_an_exception_with_a_row_in_it,
        study.names_an_exception_class_after_a_row,
        study.chains_exceptions_with_rows_in_their_notes,
        study.names_a_metric_after_a_row,
        study.names_its_process_after_a_row,
    )
    with ward.attack(None, charged=None) as line:
        before = series(ward)
        for act in acts:
            line.act(study.number_of(act))
    logged = ward.north.log.read_bytes()
    assert ward.mark_in(ward.north.study_log(line.study).encode())  # or the search would look for the wrong thing
    assert ward.mark_in(logged) is None
    assert any("%s round %d" in json.loads(entry)["event"] for entry in logged.splitlines())
    wait_for(lambda: failed(ward) >= 3, "the next look at the numbers")
    page = metrics(ward)
    assert ward.mark_in(page) is None
    for text in ("hostile", "mallory", "evil.org", line.study.digest[:8]):
        assert text.encode() not in page
    assert series(ward) == before


def metrics(ward: Ward) -> bytes:
    """What the agent of north tells now."""
    entries = [json.loads(entry) for entry in ward.north.log.read_text().splitlines()]
    last = next(entry for entry in reversed(entries) if entry["event"].startswith("metrics are served at"))
    with urlopen(last["message"].split()[-1], timeout=60) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def failed(ward: Ward) -> float:
    """How many rounds have ended with an error of a study's code."""
    told = dict(one.rsplit(" ", 1) for one in metrics(ward).decode().splitlines())
    return float(told['wardround_rounds_answered_total{outcome="code_error"}'])


def series(ward: Ward) -> set[str]:
    lines = metrics(ward).decode().splitlines()
    return {line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")}
