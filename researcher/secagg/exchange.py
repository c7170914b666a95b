"""Secure sums over the store, as an `Exchange` with one participant: the sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from datasites.wire.arrays import Arrays
from datasites.wire.compression import send_state
from datasites.wire.manifest import Manifest
from datasites.wire.rounds import EvaluateReport, FitReport, RoundReply, RoundRequest, encode_request, request_digest
from datasites.wire.secagg.masks import Ring
from datasites.wire.secagg.messages import STEPS, SecureReply, SecureRequest, Step, as_bytes, as_text, numbers_in
from datasites.wire.secagg.numbers import Part, read, size
from datasites.wire.secagg.statements import SignedKeys
from datasites.wire.secagg.terms import SecureAggregation
from datasites.wire.training import HISTOGRAM
from policies.errors import InvalidInput, Refused
from researcher.errors import RoundFailed
from researcher.exchange import Answer, Ticket, judged
from researcher.secagg.collector import Collector
from researcher.secagg.post import Post

SUM = "sum@hospitals.secure"
_PATIENCE = 60.0  # seconds for a step that runs nothing
Take = Callable[[str, SecureReply, Arrays], None]


@dataclass
class _Round:
    """gone: why a hospital is not in the sum."""

    number: int
    state: Arrays
    evaluate: bool
    fit: bool
    seconds: float = 0.0
    gone: dict[str, str] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The number of its first message: each step has a message of its own."""
        return len(STEPS) * (self.number - 1) + 1


class SumExchange:
    """hospitals: those that may take part now."""

    def __init__(
        self,
        manifest: Manifest,
        terms: SecureAggregation,
        post: Post,
        hospitals: Callable[[], list[str]],
        label: Callable[[str], str],
    ) -> None:
        self._manifest, self._terms, self._post = manifest, terms, post
        self._hospitals, self._label = hospitals, label
        self._rounds: dict[int, _Round] = {}

    def post(
        self, number: int, hospitals: list[str], parameters: Arrays, evaluate: bool, fit: bool
    ) -> dict[str, Ticket]:
        """Nothing is posted before `answers` is asked for."""
        self._rounds[number] = _Round(number, parameters, evaluate, fit)
        request = RoundRequest(study=self._manifest.digest, number=number, hospital=SUM, evaluate=evaluate, fit=fit)
        return {SUM: Ticket(number, request_digest(encode_request(request, parameters)), evaluate, fit)}

    def answers(self, tickets: Mapping[str, Ticket], seconds: float) -> Iterator[Answer]:
        """The sum's. seconds: for the step in which hospitals work."""
        for ticket in tickets.values():
            about = self._rounds[ticket.number]
            about.seconds = seconds
            try:
                yield self._sum(about, ticket)
            except (RoundFailed, Refused, InvalidInput) as problem:
                told = [f"{self._label(hospital)}: {why}" for hospital, why in sorted(about.gone.items())]
                yield Answer(SUM, None, problem=" ".join([problem.message, *told]))

    def withdraw(self, tickets: Mapping[str, Ticket]) -> None:
        for ticket in tickets.values():
            self._rounds.pop(ticket.number, None)

    def _sum(self, about: _Round, ticket: Ticket) -> Answer:
        contract = self._manifest.outputs
        message, sent = send_state(self._manifest, about.state)
        total, hospitals = self._total(about, message)
        fitted, evaluated = read(contract, self._terms, sent, total, about.fit, about.evaluate)
        reply = RoundReply(
            study=self._manifest.digest,
            number=about.number,
            hospital=SUM,
            request=ticket.digest,
            fit=FitReport(num_examples=fitted.examples, metrics=fitted.metrics) if fitted else None,
            evaluate=self._tested(evaluated) if evaluated else None,
        )
        arrays = evaluated.arrays if evaluated else {}
        answer = judged(reply, fitted.arrays if fitted else {}, arrays, ticket, contract)
        return replace(answer, hospitals=hospitals, rounding=evaluated.rounding if evaluated else {})

    def _tested(self, evaluated: Part) -> EvaluateReport:
        """In the private tier hospitals tell how many were tested by their noisy counts alone."""
        counted = evaluated.arrays.get(HISTOGRAM) if self._manifest.tier == "private" else None
        examples = evaluated.examples if counted is None else max(1, int(counted.sum()))
        return EvaluateReport(num_examples=examples, metrics=evaluated.metrics)

    def _total(self, about: _Round, state: Arrays) -> tuple[Ring, int]:
        """The five steps: the sum, and of how many hospitals."""
        sums = Collector(self._terms, self._manifest.digest, about.first)
        count = size(self._manifest.outputs, self._terms, about.fit, about.evaluate)
        self._ask(about, "keys", {h: {} for h in self._hospitals()}, lambda h, r, _: sums.add_keys(h, _keys(r)))
        roster = sums.roster()
        named = [one.keys.hospital for one in roster]
        take: Take = lambda h, r, _: sums.add_shares(h, as_bytes(r.sealed))  # noqa: E731
        self._ask(about, "shares", {h: {"roster": roster} for h in named}, take)
        sealed = {h: {"sealed": as_text(sums.shares_for(h))} for h in sums.dealt}
        self._ask(about, "numbers", sealed, lambda h, _, a: sums.add_numbers(h, numbers_in(a, count)), state)
        survivors = sums.survivors
        take = lambda h, r, _: sums.add_signature(h, r.signature)  # noqa: E731
        self._ask(about, "agree", {h: {"survivors": survivors} for h in survivors}, take)
        signed = {"signatures": sums.signatures}
        take = lambda h, r, _: sums.add_unmasking(h, as_bytes(r.of_masks), as_bytes(r.of_keys))  # noqa: E731
        self._ask(about, "unmask", dict.fromkeys(sums.signatures, signed), take)
        return sums.total(), len(survivors)

    def _ask(
        self,
        about: _Round,
        step: Step,
        asked: Mapping[str, Mapping[str, Any]],
        take: Take,
        arrays: Arrays | None = None,
    ) -> None:
        """One step at all hospitals that it is for; those that do not go along are noted, and left out from here on."""
        requests = {hospital: self._request(about, step, hospital, more) for hospital, more in asked.items()}
        patience = about.seconds if step == "numbers" else min(about.seconds, _PATIENCE)
        silent = set(requests)
        for hospital, reply, came in self._post.ask(requests, arrays or {}, patience):
            silent.discard(hospital)
            try:
                if reply.reason is not None:
                    raise Refused(reply.reason.text)
                take(hospital, reply, came)
            except (Refused, InvalidInput) as problem:
                about.gone[hospital] = problem.message
        about.gone.update(dict.fromkeys(silent, f"No answer within {patience:g} seconds."))

    def _request(self, about: _Round, step: Step, hospital: str, more: Mapping[str, Any]) -> SecureRequest:
        return SecureRequest(
            study=self._manifest.digest,
            number=about.first + STEPS.index(step),
            hospital=hospital,
            step=step,
            first=about.first,
            round=about.number,
            evaluate=about.evaluate,
            fit=about.fit,
            **more,
        )


def _keys(reply: SecureReply) -> SignedKeys:
    if reply.keys is None:
        raise Refused("It sent no keys.")
    return reply.keys
