"""Approve, narrow, deny and revoke by clicking, in a data owner's notebook.

Each button asks once more before anything is decided, and then calls what the data owner would call in code. Nothing is
decided where somebody has decided meanwhile, or where the study is not what was shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import ipywidgets as widgets

from datasites.approval.expiry import until
from datasites.wire.decision import Decision
from datasites.wire.shown import heading, paragraph
from policies.errors import InvalidInput, Refused, WardroundError

if TYPE_CHECKING:
    from datasites.datasite import Datasite

Act = Literal["approve", "deny", "revoke"]
_MEANWHILE = "Somebody has decided on this study since the buttons were shown."
_READ = "I have read what would run, and what may leave"
_WIDE = {"description_width": "5em"}


class Buttons(widgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """For one study, by name or digest. `Datasite.buttons` makes them.

    To narrow an approval, or a study's wishes, lower `rounds` or give an earlier end before approving.
    """

    def __init__(self, site: Datasite, study: str) -> None:
        packet = site.packet(study)
        self._site, self._manifest, self._digest = site, packet.manifest, packet.digest
        asked = packet.manifest.rounds
        self.rounds = widgets.BoundedIntText(value=asked, min=1, max=asked, description="rounds", style=_WIDE)
        self.expires = widgets.Text(placeholder="30d, or 2027-01-31", description="until", style=_WIDE)
        self.reason = widgets.Textarea(
            placeholder="The researcher reads it. Needed to deny and to revoke.",
            description="reason",
            style=_WIDE,
            layout={"width": "36em"},
        )
        self.approve, self.deny, self.revoke = (self._button(act) for act in ("approve", "deny", "revoke"))
        self.read = widgets.Checkbox(description=_READ, indent=False, layout={"width": "auto"})
        self.question, self.said, self._head = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.confirm, self.back = widgets.Button(), widgets.Button(description="Back")
        self.confirm.on_click(lambda _: self._confirmed())
        self.back.on_click(lambda _: self._ask(None))
        choices = widgets.HBox([self.approve, self.deny, self.revoke])
        self._sure = widgets.VBox([self.question, self.read, widgets.HBox([self.confirm, self.back])])
        parts = [self._head, self.rounds, self.expires, self.reason, choices, self._sure, self.said]
        super().__init__(parts)
        self._act: Act = "deny"
        self._seen, self._limits = 0, (asked, "")
        self._look()

    def __repr__(self) -> str:
        return f"<Buttons: {self._manifest.job_name}; {self._verdict()}>"

    def _button(self, act: Act) -> widgets.Button:
        button = widgets.Button(description=f"{act.capitalize()} …")
        button.on_click(lambda _: self._ask(act))
        return button

    def _verdict(self) -> str:
        current = self._site.state.decision(self._digest)
        return current.decision.verdict if current else "waiting"

    def _look(self) -> None:
        """Shows how the study stands now."""
        self._seen, verdict = len(self._site.state.decisions(self._digest)), self._verdict()
        self._head.value = heading(self._manifest.job_name, f"{verdict}; digest {self._digest}")
        self.deny.disabled, self.revoke.disabled = verdict == "approved", verdict != "approved"
        self._ask(None)

    def _ask(self, act: Act | None) -> None:
        """The question that comes before anything is decided; none where nothing is asked for."""
        self._sure.layout.display = "none" if act is None else ""
        self.rounds.disabled = self.expires.disabled = act is not None  # what is confirmed is what the question said
        if act is None:
            return
        self._limits = self.rounds.value, self.expires.value.strip()
        self._act, self.said.value, self.read.value = act, "", False
        self.read.layout.display = "" if act == "approve" else "none"
        self.confirm.description = f"Yes, {act} it"
        rounds, end = self._limits
        told = _QUESTIONS[act].format(rounds=rounds, asked=self._manifest.rounds, end=f", until {end}" if end else "")
        self.question.value = paragraph(told)

    def _confirmed(self) -> None:
        try:
            if len(self._site.state.decisions(self._digest)) != self._seen:
                raise Refused(_MEANWHILE, "Nothing was decided. This is how it stands now.")
            decision = _ACTS[self._act](self)
        except sqlite3.IntegrityError:  # two decisions took the same number
            self._tell(Refused(_MEANWHILE, "Nothing was decided. This is how it stands now."))
        except WardroundError as problem:
            self._tell(problem)
        else:
            self._look()
            self.said.value = decision._repr_html_()

    def _tell(self, problem: WardroundError) -> None:
        self._look()
        self.said.value = paragraph(str(problem))

    def _approve(self) -> Decision:
        if not self.read.value:
            raise InvalidInput("Nothing was approved.", f"Tick “{_READ}”.")
        rounds, end = self._limits
        return self._site.approve(
            self._digest,
            rounds=rounds,
            expires_at=until(end) if end else None,
            reason=self.reason.value.strip(),
        )

    def _deny(self) -> Decision:
        return self._site.deny(self._digest, reason=self._why())

    def _revoke(self) -> Decision:
        return self._site.revoke(self._digest, reason=self._why())

    def _why(self) -> str:
        if not (reason := self.reason.value.strip()):
            raise InvalidInput("There is no reason yet, and nothing was done.", "Write one: the researcher reads it.")
        return str(reason)


_QUESTIONS: dict[Act, str] = {
    "approve": "Approve exactly these bytes, for {rounds:,} of the {asked:,} rounds asked for{end}? "
    "Your decision is signed. What has left cannot be taken back.",
    "deny": "Deny it? The researcher reads your reason.",
    "revoke": "Take the approval back? A round that runs is stopped, and none follows. "
    "The researcher reads your reason.",
}
_ACTS: dict[Act, Callable[[Buttons], Decision]] = {
    "approve": Buttons._approve,
    "deny": Buttons._deny,
    "revoke": Buttons._revoke,
}
