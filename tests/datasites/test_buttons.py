"""A data owner's buttons, clicked: they ask first, decide as code does, and never over somebody else's head."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasites.buttons import Buttons
from datasites.datasite import Datasite
from policies.errors import Unavailable
from tests.support.busy import busy

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datasite]:
    site = busy(tmp_path_factory.mktemp("busy"))
    yield site
    site.state.close()


@pytest.fixture
def waiting(site: Datasite) -> Buttons:
    """Of a study that has not been decided, or was denied."""
    study = next(r.digest for r in site.studies().itertuples() if r.rounds == 20)
    if (current := site.state.decision(study)) and current.decision.verdict == "approved":
        site.revoke(study, reason="Before the next test.")
    return site.buttons(study)


def _decisions(site: Datasite, buttons: Buttons) -> list[tuple[str, int, str]]:
    found = [signed.decision for signed in site.state.decisions(buttons._digest)]
    return [(one.verdict, one.rounds, one.reason) for one in found]


def _asks(buttons: Buttons) -> bool:
    return buttons._sure.layout.display != "none"


def test_a_click_asks_and_decides_nothing(site: Datasite, waiting: Buttons) -> None:
    before = _decisions(site, waiting)
    assert not _asks(waiting)
    for button in (waiting.approve, waiting.deny):
        button.click()
        assert _asks(waiting)
        waiting.back.click()
        assert not _asks(waiting)
    assert _decisions(site, waiting) == before


def test_approving_narrower_than_asked(site: Datasite, waiting: Buttons) -> None:
    waiting.rounds.value, waiting.expires.value, waiting.reason.value = 5, "10d", "Read."
    waiting.approve.click()
    assert "for 5 of the 20 rounds asked for, until 10d" in waiting.question.value
    assert waiting.rounds.disabled
    waiting.rounds.value, waiting.expires.value = 20, "300d"  # what is confirmed is what the question said
    waiting.read.value = True
    waiting.confirm.click()
    assert _decisions(site, waiting)[-1] == ("approved", 5, "Read.")
    decision = site.state.decisions(waiting._digest)[-1].decision
    assert decision.expires_at
    assert (decision.expires_at - decision.decided_at).days in (9, 10)
    assert "Approved at do@north.org" in waiting.said.value
    assert (waiting.deny.disabled, waiting.revoke.disabled) == (True, False)
    assert repr(waiting).endswith("; approved>")


def test_nothing_is_approved_unread(site: Datasite, waiting: Buttons) -> None:
    before = _decisions(site, waiting)
    waiting.approve.click()
    waiting.confirm.click()
    assert _decisions(site, waiting) == before
    assert "Nothing was approved." in waiting.said.value
    waiting.approve.click()
    waiting.read.value = True
    waiting.back.click()
    waiting.approve.click()
    assert not waiting.read.value  # a tick counts for the question that it was made under


def test_denying_and_revoking_need_a_reason(site: Datasite, waiting: Buttons) -> None:
    before = _decisions(site, waiting)
    waiting.deny.click()
    waiting.confirm.click()
    assert "There is no reason yet" in waiting.said.value
    assert _decisions(site, waiting) == before
    waiting.reason.value = HOSTILE
    waiting.deny.click()
    waiting.confirm.click()
    assert _decisions(site, waiting)[-1] == ("denied", 0, HOSTILE)
    assert "<script" not in waiting.said.value
    site.approve(waiting._digest)
    again = site.buttons(waiting._digest)
    again.revoke.click()
    again.confirm.click()
    assert "There is no reason yet" in again.said.value
    again.reason.value = "The board withdrew its consent."
    again.revoke.click()
    again.confirm.click()
    assert _decisions(site, again)[-1][0] == "revoked"


def test_what_the_policy_does_not_allow_is_told_and_not_approved(site: Datasite) -> None:
    buttons = site.buttons("weather")
    buttons.approve.click()
    buttons.read.value = True
    buttons.confirm.click()
    assert "policy" in buttons.said.value
    assert _decisions(site, buttons) == []


def test_a_wrong_end_is_told(site: Datasite, waiting: Buttons) -> None:
    before = _decisions(site, waiting)
    waiting.expires.value = "soon"
    waiting.approve.click()
    waiting.read.value = True
    waiting.confirm.click()
    assert "soon" in waiting.said.value
    assert _decisions(site, waiting) == before


def test_somebody_else_has_decided_meanwhile(site: Datasite, waiting: Buttons) -> None:
    waiting.approve.click()
    waiting.read.value = True
    site.deny(waiting._digest, reason="At the same moment.")
    waiting.confirm.click()
    assert "Somebody has decided on this study since" in waiting.said.value
    assert _decisions(site, waiting)[-1][0] == "denied"
    assert "denied" in waiting._head.value


def test_without_ipywidgets_it_is_told_in_a_sentence(
    site: Datasite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "datasites.buttons")
    with pytest.raises(Unavailable, match="Buttons need ipywidgets"):
        site.buttons("weather")
