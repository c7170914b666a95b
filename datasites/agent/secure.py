"""A hospital's side of secure sums of one study: each step's message answered by `secagg.participant`.

One sum at a time, in memory. A new one, or a new process, forgets the last one: then its hospital has left that sum.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from datasites.agent.admission import Admission, RoundRefused
from datasites.runner.replies import Outcome
from datasites.secagg.participant import Participant
from datasites.wire.arrays import Arrays
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest
from datasites.wire.reasons import Reason
from datasites.wire.secagg.messages import SecureReply, SecureRequest, as_bytes, as_text, numbers_out
from datasites.wire.secagg.numbers import Part, written
from datasites.wire.secagg.terms import SecureAggregation
from policies.errors import InvalidInput, Refused

log = logging.getLogger(__name__)
Work = Callable[[], tuple[Outcome | None, Outcome | None]]  # training's and the test's, past the gate


class SecureSums:
    def __init__(
        self,
        identity: Identity,
        manifest: Manifest,
        terms: SecureAggregation,
        admission: Admission,
        rounding: Callable[[], int],
    ) -> None:
        """rounding: what the policy in force rounds counts to multiples of."""
        self._identity, self._manifest, self._terms, self._rounding = identity, manifest, terms, rounding
        self._admission = admission
        self._now: Participant | None = None

    def answer(
        self, request: SecureRequest, reply: SecureReply, sent: Arrays, work: Work
    ) -> tuple[SecureReply, Arrays]:
        """The reply to a step, filled in, and its arrays. work: what is added up, run only once the step may go on.
        sent: the state, with the step of the numbers.

        Raises RoundRefused.
        """
        try:
            return self._step(request, reply, sent, work)
        except Refused as problem:
            log.warning("study %s message %d: %s", request.study[:12], request.number, problem)
            raise RoundRefused(Reason.SECURE) from None

    def _step(self, request: SecureRequest, reply: SecureReply, sent: Arrays, work: Work) -> tuple[SecureReply, Arrays]:
        if request.step == "keys":
            self._admission.check(request.fit)
            self._now = Participant(self._identity, self._terms, request.study, request.first)
            return reply.model_copy(update={"keys": self._now.keys()}), {}
        if reason := self._admission.refusal():
            raise RoundRefused(reason)
        at = self._now
        if at is None or at.first != request.first:
            raise Refused("This hospital has left that secure sum: it was started again, or another sum has begun.")
        if request.step == "shares":
            return reply.model_copy(update={"sealed": as_text(at.shares(request.roster))}), {}
        if request.step == "numbers":
            return reply, self._masked(at, request, sent, work)
        if request.step == "agree":
            return reply.model_copy(update={"signature": at.agree(request.survivors)}), {}
        told = at.unmask(request.signatures)
        shares = {"of_masks": as_text(told.of_masks), "of_keys": as_text(told.of_keys)}
        return reply.model_copy(update=shares), {}

    def _masked(self, at: Participant, request: SecureRequest, sent: Arrays, work: Work) -> Arrays:
        at.receive(as_bytes(request.sealed))
        fitted, evaluated = work()
        trained = Part(fitted.num_examples, fitted.metrics, fitted.parameters) if fitted else None
        # in the private tier only what has noise is told: how many were tested, by the sum of their counts
        private = self._manifest.tier == "private"
        tested = None
        if evaluated:
            tested = Part(1 if private else evaluated.num_examples, evaluated.metrics, evaluated.arrays)
        try:
            numbers = written(
                self._manifest.outputs, self._terms, sent, trained, tested, noisy=private, rounding=self._rounding()
            )
        except InvalidInput as problem:
            log.warning("study %s message %d: %s", request.study[:12], request.number, problem)
            raise RoundRefused(Reason.CONTRACT) from None
        return numbers_out(at.masked(numbers))
