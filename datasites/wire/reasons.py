"""The only words with which a hospital tells a researcher why something did not happen.

The text is fixed: a hospital's own traceback or log may hold patients' data and never travels.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Codes on the wire; never give an old code a new meaning."""

    CODE_ERROR = "code_error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_TOO_LARGE = "output_too_large"
    BAD_OUTPUT = "bad_output"
    DIED = "died"
    STOPPED = "stopped"
    CONTRACT = "contract"
    NOT_APPROVED = "not_approved"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ROUNDS_USED = "rounds_used"
    POLICY = "policy"
    OUT_OF_ORDER = "out_of_order"
    BAD_MESSAGE = "bad_message"
    TABLE = "table"
    HOSPITAL = "hospital"
    COHORT = "cohort"
    NORM = "norm"
    OUTPUTS = "outputs"
    BUDGET = "budget"
    KEPT = "kept"
    QUORUM = "quorum"
    SECURE = "secure"
    NOT_STARTED = "not_started"

    @property
    def text(self) -> str:
        return _TEXT[self]


_TEXT = {
    Reason.CODE_ERROR: "The study's code raised an error; the details stay at the hospital. Does it pass a rehearsal?",
    Reason.TIMEOUT: "The study's code ran longer than the time allowed for a round.",
    Reason.OUT_OF_MEMORY: "The study's code needed more memory than allowed.",
    Reason.OUTPUT_TOO_LARGE: "The study's code returned more bytes than allowed.",
    Reason.BAD_OUTPUT: "The study's code returned something that is not the agreed kind of result.",
    Reason.DIED: "The study's process ended before it returned a result.",
    Reason.STOPPED: "The run was stopped by the data owner.",
    Reason.CONTRACT: "The result does not match the output contract that was approved, and stays at the hospital.",
    Reason.NOT_APPROVED: "The data owner has not approved this study.",
    Reason.REVOKED: "The data owner has revoked the approval.",
    Reason.EXPIRED: "The approval has expired.",
    Reason.ROUNDS_USED: "All approved rounds have been used.",
    Reason.POLICY: "The hospital's policy no longer allows this study.",
    Reason.OUT_OF_ORDER: "This round, or a later one, was already answered for another message.",
    Reason.BAD_MESSAGE: "The round's message could not be read, or is not for this study and hospital.",
    Reason.TABLE: "The hospital could not provide the table for this study; its data owner must look at it.",
    Reason.HOSPITAL: "The hospital could not run the round; its data owner must look at it.",
    Reason.NOT_STARTED: "The hospital could not start the study; nothing ran. Its data owner must look at it.",
    Reason.COHORT: "Too few patients stand behind the result, or more than there are; it stays at the hospital.",
    Reason.NORM: "The model moved further in this round than the hospital's policy allows; it stays at the hospital.",
    Reason.OUTPUTS: "The result holds what the hospital's policy does not let out; it stays at the hospital.",
    Reason.BUDGET: "The privacy budget for this table does not allow this round.",
    Reason.QUORUM: "Too few hospitals of this region answered; nothing of the round leaves the region.",
    Reason.SECURE: "This hospital has left the secure sum, or was asked for more than the sum; it told nothing.",
    Reason.KEPT: "What the study kept at this hospital between rounds is there no more. Ask again as a new repetition.",
}

# after these the hospital takes no further part in the study
FINAL = frozenset({Reason.REVOKED, Reason.EXPIRED, Reason.ROUNDS_USED, Reason.NOT_APPROVED, Reason.POLICY, Reason.KEPT})
