"""One round at one hospital: from the researcher's plaintext to the plaintext of the answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from datasites.agent.admission import Admission, RoundRefused
from datasites.agent.workbench import Workbench
from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.release import OutputRefused, check_evaluate, check_fit, check_input
from datasites.runner.errors import Code, WorkerFailed
from datasites.runner.replies import Outcome, Task
from datasites.wire.arrays import Arrays
from datasites.wire.reasons import Reason
from datasites.wire.rounds import (
    EvaluateReport,
    FitReport,
    RoundReply,
    RoundRequest,
    decode_request,
    encode_reply,
    request_digest,
)
from policies.errors import Refused, WardroundError

log = logging.getLogger(__name__)


class Interrupted(Exception):
    """The agent is stopping: the round stays unanswered and is run after the restart."""


@dataclass(frozen=True)
class Answer:
    plaintext: bytes
    outcome: str  # "released" or a reason's code
    fit: bool
    evaluate: bool
    seconds: float


class RoundRunner:
    """Answers rounds of one study. Whatever happens, the answer says so in one of the fixed reasons."""

    def __init__(
        self, bench: Workbench, admission: Admission, hospital: str, audit: AuditLog, stopping: Callable[[], bool]
    ) -> None:
        self._bench = bench
        self._admission = admission
        self._audit = audit
        self._hospital = hospital
        self._stopping = stopping
        self._study = bench.manifest.digest

    def answer(self, number: int, plaintext: bytes, in_order: bool) -> Answer:
        """Raises Interrupted when the agent is stopping."""
        started = time.monotonic()
        request: RoundRequest | None = None
        fitted = evaluated = None
        reason: Reason | None = None
        try:
            request, parameters = self._read(number, plaintext, in_order)
            self._admission.check(request.fit)
            self._audit.record(Kind.RUN_STARTED, study=self._study, round=number)
            evaluated = self._evaluate(number, parameters) if request.evaluate else None
            fitted = self._fit(number, parameters) if request.fit else None
        except RoundRefused as refused:
            reason, fitted, evaluated = refused.reason, None, None
            log.warning("study %s round %d: %s", self._study[:12], number, reason.text)
        seconds = time.monotonic() - started
        reply = RoundReply(
            study=self._study,
            number=number,
            hospital=self._hospital,
            request=request_digest(plaintext),
            reason=reason,
            fit=FitReport(num_examples=fitted.num_examples, metrics=fitted.metrics) if fitted else None,
            evaluate=EvaluateReport(num_examples=evaluated.num_examples, metrics=evaluated.metrics)
            if evaluated
            else None,
            seconds=math.ceil(seconds * 10) / 10,  # finer, it would be a number of the code's choice
        )
        return Answer(
            plaintext=encode_reply(
                reply, fitted.parameters if fitted else None, evaluated.arrays if evaluated else None
            ),
            outcome=reason or "released",
            fit=bool(request and request.fit),
            evaluate=bool(request and request.evaluate),
            seconds=seconds,
        )

    def _read(self, number: int, plaintext: bytes, in_order: bool) -> tuple[RoundRequest, Arrays]:
        try:
            request, parameters = decode_request(plaintext)
        except WardroundError:
            raise RoundRefused(Reason.BAD_MESSAGE) from None
        if (request.study, request.hospital, request.number) != (self._study, self._hospital, number):
            raise RoundRefused(Reason.BAD_MESSAGE)
        if not in_order:
            raise RoundRefused(Reason.OUT_OF_ORDER)
        try:
            check_input(parameters, self._bench.manifest.outputs)
        except OutputRefused:
            raise RoundRefused(Reason.BAD_MESSAGE) from None
        return request, parameters

    def _fit(self, number: int, parameters: Arrays) -> Outcome:
        outcome = self._call("fit", number, parameters)
        self._release(number, lambda: check_fit(outcome.parameters, outcome.metrics, self._bench.manifest.outputs))
        return outcome

    def _evaluate(self, number: int, parameters: Arrays) -> Outcome:
        outcome = self._call("evaluate", number, parameters)
        self._release(number, lambda: check_evaluate(outcome.arrays, outcome.metrics, self._bench.manifest.outputs))
        return outcome

    def _release(self, number: int, check: Callable[[], None]) -> None:
        try:
            check()
        except OutputRefused as why:
            log.warning("study %s round %d was not released: %s", self._study[:12], number, why)
            raise RoundRefused(Reason.CONTRACT) from None

    def _call(self, task: Task, number: int, parameters: Arrays) -> Outcome:
        try:
            return self._bench.call(task, parameters, number, self._must_stop)
        except WorkerFailed as failure:
            if failure.code is Code.STOPPED and self._stopping():
                self._audit.record(Kind.RUN_INTERRUPTED, study=self._study, round=number)
                raise Interrupted from None
            raise RoundRefused(self._admission.refusal() or Reason(failure.code)) from None
        except (WardroundError, OSError) as problem:
            log.error("study %s round %d: %s", self._study[:12], number, problem)
            # not the table's fault: the approved copy was changed, or the disk is full
            raise RoundRefused(Reason.HOSPITAL if isinstance(problem, Refused | OSError) else Reason.TABLE) from None

    def _must_stop(self) -> bool:
        return self._stopping() or self._admission.refusal() is not None
