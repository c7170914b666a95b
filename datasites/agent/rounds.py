"""One round at one hospital: from the researcher's plaintext to the plaintext of the answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from datasites.agent.admission import Admission, RoundRefused
from datasites.agent.kept import Kept
from datasites.agent.secure import SecureSums
from datasites.agent.spending import Spending
from datasites.agent.workbench import Workbench
from datasites.audit.entry import Kind
from datasites.audit.log import AuditLog
from datasites.release.compressed import Unfit, without_residual
from datasites.release.examine import Verdict
from datasites.release.held import hold
from datasites.release.layout import released_bytes
from datasites.runner.errors import Code, NotStarted, WorkerFailed
from datasites.runner.replies import Outcome, Task
from datasites.state import NOT_THE_CODES, now
from datasites.wire.arrays import Arrays
from datasites.wire.compression import packed, read_state
from datasites.wire.contract import array_problems
from datasites.wire.pieces import Pieces
from datasites.wire.reasons import Reason
from datasites.wire.rounds import (
    EvaluateReport,
    FitReport,
    RoundReply,
    RoundRequest,
    decode_request,
    reply_pieces,
    request_digest,
)
from datasites.wire.secagg.messages import SecureReply, SecureRequest, decode_secure_request, encode_secure
from datasites.wire.spool import Buffer
from policies.errors import Refused, Unavailable, WardroundError

log = logging.getLogger(__name__)


class Interrupted(Exception):
    """The agent is stopping: the round stays unanswered and is run after the restart."""


class Message:
    """What a researcher sent. It is read once, and then only its digest is kept: a model may be large.

    in_chunks: whether it was sealed so."""

    def __init__(self, plaintext: Buffer, in_chunks: bool = False) -> None:
        self.plaintext, self.in_chunks = plaintext, in_chunks
        self.digest = request_digest(plaintext)

    def taken(self) -> Buffer:
        """The plaintext, which is not here any more afterwards."""
        plaintext, self.plaintext = self.plaintext, b""
        return plaintext


@dataclass(frozen=True)
class Answer:
    """`kept`: what the round leaves here for the next one; empty where that stays what it was."""

    pieces: Pieces
    outcome: str  # "released" or a reason's code
    fit: bool
    evaluate: bool
    seconds: float
    kept: Arrays

    @property
    def plaintext(self) -> bytes:
        """What is sealed for the researcher, joined."""
        return self.pieces.join()


@dataclass(frozen=True)
class Worked:
    """What a round gave, past the gate. leaving: the model as it travels. left: what stays here for the next one.
    noise: the gate noise in it."""

    fitted: Outcome | None = None
    evaluated: Outcome | None = None
    leaving: Arrays = field(default_factory=dict)
    left: Arrays = field(default_factory=dict)
    noise: float | None = None

    def fit_report(self) -> FitReport | None:
        one = self.fitted
        return FitReport(num_examples=one.num_examples, metrics=one.metrics) if one else None

    def evaluate_report(self) -> EvaluateReport | None:
        one = self.evaluated
        return EvaluateReport(num_examples=one.num_examples, metrics=one.metrics) if one else None


class RoundRunner:
    """Answers rounds of one study. Whatever happens, the answer says so in one of the fixed reasons."""

    def __init__(
        self,
        bench: Workbench,
        admission: Admission,
        spending: Spending,
        kept: Kept,
        hospital: str,
        audit: AuditLog,
        stopping: Callable[[], bool],
        sums: SecureSums | None = None,
    ) -> None:
        self._bench = bench
        self._admission = admission
        self._spending = spending
        self._kept = kept
        self._audit = audit
        self._hospital = hospital
        self._stopping = stopping
        self._study = bench.manifest.digest
        self._sums = sums
        self._told_round = 0
        self._ran = False  # whether anything of this round has met the table

    def answer(self, number: int, given: Message | bytes, in_order: bool) -> Answer:
        """Takes the message. Raises Interrupted when the agent is stopping."""
        message = given if isinstance(given, Message) else Message(given)
        if self._sums is not None:
            return self._added(self._sums, number, message, in_order)
        started = time.monotonic()
        request: RoundRequest | None = None
        reason: Reason | None = None
        worked = Worked()
        try:
            request, parameters = self._read(number, message, in_order)
            self._admission.check(request.fit)
            worked = self._worked(request, message.digest, parameters, number)
            parameters = {}
        except RoundRefused as refused:
            reason = refused.reason
            log.warning("study %s round %d: %s", self._study[:12], number, reason.text)
        seconds = time.monotonic() - started
        reply = RoundReply(
            study=self._study,
            number=number,
            hospital=self._hospital,
            request=message.digest,
            reason=reason,
            fit=worked.fit_report(),
            evaluate=worked.evaluate_report(),
            seconds=self.told(seconds, worked.noise),
        )
        return Answer(
            pieces=reply_pieces(reply, worked.leaving, worked.evaluated.arrays if worked.evaluated else None),
            outcome=reason or "released",
            fit=bool(request and request.fit),
            evaluate=bool(request and request.evaluate),
            seconds=seconds,
            kept=worked.left,
        )

    def work(self, request: RoundRequest, digest: str, parameters: Arrays) -> Worked:
        """Runs a round that nobody asked for by a message of its own. digest: by which it is told from others.

        Raises RoundRefused, and Interrupted when the agent is stopping.
        """
        self._admission.check(request.fit)
        return self._worked(request, digest, parameters, request.number)

    def _added(self, sums: SecureSums, number: int, message: Message, in_order: bool) -> Answer:
        """The answer to one step of a secure sum; only that of the numbers runs anything."""
        started, digest = time.monotonic(), message.digest
        worked = Worked()
        arrays: Arrays = {}
        adds: RoundRequest | None = None
        reply = SecureReply(study=self._study, number=number, hospital=self._hospital, request=digest)

        def work() -> tuple[Outcome | None, Outcome | None]:
            nonlocal worked
            self._admission.check(request.fit)
            if adds is None:
                raise RoundRefused(Reason.BAD_MESSAGE)
            worked = self._worked(adds, digest, sent, request.round)
            return worked.fitted, worked.evaluated

        try:
            request, sent = self._read_step(number, message, in_order)
            if request.step == "numbers":
                about = {name: getattr(request, name) for name in ("study", "number", "hospital", "evaluate", "fit")}
                adds = RoundRequest.model_validate(about)
            reply, arrays = sums.answer(request, reply, sent, work)
        except RoundRefused as refused:
            reply = reply.model_copy(update={"reason": refused.reason})
            log.warning("study %s message %d: %s", self._study[:12], number, refused.reason.text)
        return Answer(
            pieces=Pieces((encode_secure(reply, arrays),)),
            outcome=reply.reason or "released",
            fit=bool(adds and adds.fit),
            evaluate=bool(adds and adds.evaluate),
            seconds=time.monotonic() - started,
            kept=worked.left if reply.reason is None else {},
        )

    def _worked(self, request: RoundRequest, digest: str, parameters: Arrays, told: int) -> Worked:
        """Pays for a round and runs it. told: the round's number, for the study's code. Raises RoundRefused."""
        number, kept = request.number, self._left_before(request.number)
        own = without_residual(kept)
        noise = self._spending.reserve(request, digest)
        self._audit.record(Kind.RUN_STARTED, study=self._study, round=number)
        self._told_round, self._ran = told, False
        evaluated = self._run("evaluate", number, parameters, own) if request.evaluate else None
        if not request.fit:
            return Worked(evaluated=evaluated, noise=noise)
        spent = released_bytes("evaluate", self._bench.manifest.outputs) if evaluated else 0
        fitted = self._trained(number, parameters, own, spent, noise)
        leaving, left = self._leaving(number, fitted, parameters, kept, noise)
        return Worked(fitted, evaluated, leaving, left, noise)

    def _read_step(self, number: int, given: Message, in_order: bool) -> tuple[SecureRequest, Arrays]:
        """A step of a secure sum, and the state that comes with the step of the numbers."""
        try:
            request, message = decode_secure_request(given.taken())
            sent = read_state(self._bench.manifest, message) if request.step == "numbers" else message
        except WardroundError:
            raise RoundRefused(Reason.BAD_MESSAGE) from None
        if (request.study, request.hospital, request.number) != (self._study, self._hospital, number):
            raise RoundRefused(Reason.BAD_MESSAGE)
        if not in_order:
            raise RoundRefused(Reason.OUT_OF_ORDER)
        if array_problems(sent, self._bench.manifest.outputs.parameters if request.step == "numbers" else {}):
            raise RoundRefused(Reason.BAD_MESSAGE)
        return request, sent

    def _left_before(self, number: int) -> Arrays:
        """What the study's last round left here. Raises RoundRefused, before anything is paid for."""
        try:
            return self._kept.load()
        except Refused as problem:
            log.error("study %s round %d: %s", self._study[:12], number, problem)
            raise RoundRefused(Reason.KEPT) from None

    def _read(self, number: int, given: Message, in_order: bool) -> tuple[RoundRequest, Arrays]:
        try:
            request, message = decode_request(given.taken())
            parameters = read_state(self._bench.manifest, message)
        except WardroundError:
            raise RoundRefused(Reason.BAD_MESSAGE) from None
        if (request.study, request.hospital, request.number) != (self._study, self._hospital, number):
            raise RoundRefused(Reason.BAD_MESSAGE)
        if not in_order:
            raise RoundRefused(Reason.OUT_OF_ORDER)
        if array_problems(parameters, self._bench.manifest.outputs.parameters):
            raise RoundRefused(Reason.BAD_MESSAGE)
        return request, parameters

    def _trained(self, number: int, parameters: Arrays, kept: Arrays, spent: int, noise: float | None) -> Outcome:
        """What the gate lets out of training. Raises RoundRefused.

        With gate noise, a failure that the code has a say in gives noise alone: that it failed may tell of a patient.
        Then nothing new is kept, and the next round is given what this one was.
        """
        try:
            return self._run("fit", number, parameters, kept, spent, noise)
        except RoundRefused as refused:
            if noise is None or refused.reason in NOT_THE_CODES:
                raise
            log.warning("study %s round %d: %s Noise alone leaves.", self._study[:12], number, refused.reason.text)
        with self._failures(number):
            verdict = self._bench.cover(parameters, noise)
        if verdict.released is None:
            raise RoundRefused(verdict.reason or Reason.HOSPITAL)
        return verdict.released

    def _leaving(
        self, number: int, fitted: Outcome, parameters: Arrays, kept: Arrays, noise: float | None
    ) -> tuple[Arrays, Arrays]:
        """What of the gate's outcome is put into the answer, and what the round leaves here. Raises RoundRefused."""
        if not self._bench.manifest.outputs.compression:
            return fitted.parameters, fitted.kept
        with self._failures(number):
            try:
                small = self._bench.compress(fitted.parameters, parameters, kept, noise)
            except Unfit as problem:
                log.warning("study %s round %d: %s", self._study[:12], number, problem)
                raise RoundRefused(problem.reason) from None
        # where training left nothing new, its next round is given what this one was
        left = {**(fitted.kept or without_residual(kept)), **small.residual}
        return packed(small.blob), left if left.keys() == self._bench.manifest.outputs.stays.keys() else {}

    def _run(
        self, task: Task, number: int, parameters: Arrays, kept: Arrays, spent: int = 0, noise: float | None = None
    ) -> Outcome:
        """One function of the study, and what the gate lets out of its result. Raises RoundRefused."""
        with self._failures(number):
            frame = self._bench.call(task, parameters, self._told_round, self._must_stop, kept)
            self._ran = True
            verdict = self._judge(task, number, frame, parameters, spent, noise)
        if verdict.released is None:
            self._hold(task, number, frame, verdict, told=noise is None)
            raise RoundRefused(verdict.reason or Reason.HOSPITAL)
        return verdict.released

    def _judge(
        self, task: Task, number: int, frame: Buffer, parameters: Arrays, spent: int, noise: float | None
    ) -> Verdict:
        try:
            return self._bench.release(task, frame, parameters, spent, self._must_stop, noise)
        except WorkerFailed:  # stopped while the gate was at work
            raise
        except (WardroundError, OSError) as problem:  # the gate is broken, or the policy damaged: nothing leaves
            log.error("study %s round %d: %s", self._study[:12], number, problem)
            return Verdict(None, Reason.HOSPITAL, (str(problem),))

    def _hold(self, task: Task, number: int, frame: Buffer, verdict: Verdict, told: bool) -> None:
        """told: in the audit log, whose length others see; with gate noise that would tell them what noise hides."""
        reason, at = verdict.reason or Reason.HOSPITAL, now().isoformat()
        try:
            held = hold(self._bench.home.held, self._study, number, task, frame, reason, verdict.details, at)
        except OSError as problem:  # it stays here all the same
            log.error("study %s round %d: the output could not be kept: %s", self._study[:12], number, problem)
            return
        if told:
            self._audit.record_once(
                Kind.OUTPUT_HELD,
                "output",
                study=self._study,
                round=number,
                output=held.name,
                reason=reason.value,
                bytes=len(frame),
            )
        log.warning("study %s round %d: the output was held back (%s)", self._study[:12], number, held.name)

    @contextmanager
    def _failures(self, number: int) -> Iterator[None]:
        """Turns what may go wrong in a run into RoundRefused, or into Interrupted where the agent is stopping."""
        try:
            yield
        except WorkerFailed as failure:
            if failure.code is Code.STOPPED and self._stopping():
                self._audit.record(Kind.RUN_INTERRUPTED, study=self._study, round=number)
                raise Interrupted from None
            raise RoundRefused(self._admission.refusal() or Reason(failure.code)) from None
        except NotStarted as problem:
            log.error("study %s round %d: %s", self._study[:12], number, problem)
            raise RoundRefused(Reason.HOSPITAL if self._ran else Reason.NOT_STARTED) from None
        except (WardroundError, OSError) as problem:
            log.error("study %s round %d: %s", self._study[:12], number, problem)
            # not the table's fault: the approved copy was changed, or the disk is full
            here = isinstance(problem, Refused | Unavailable | OSError)
            raise RoundRefused(Reason.HOSPITAL if here else Reason.TABLE) from None

    def told(self, seconds: float, noise: float | None) -> float:
        """In tenths: finer, it would be a number of the code's choice. How long a round of the private tier takes grows
        with the number of patients, and is not told; with gate noise, the code's tenths are not told either."""
        private = self._bench.manifest.tier == "private" or noise is not None
        return 0.0 if private else math.ceil(seconds * 10) / 10

    def _must_stop(self) -> bool:
        return self._stopping() or self._admission.refusal() is not None
