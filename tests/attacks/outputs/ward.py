"""A hospital that has approved a study which returns what it should not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from datasites.agent.admission import Admission
from datasites.agent.kept import Kept
from datasites.agent.rounds import Answer, RoundRunner
from datasites.agent.secure import SecureSums
from datasites.agent.spending import Spending
from datasites.agent.workbench import Workbench
from datasites.approval.policy import PolicyBook
from datasites.approval.vault import Vault
from datasites.catalog.registry import RegisteredTable, Registry
from datasites.catalog.tables import TableSource
from datasites.home import DatasiteHome
from datasites.release.held import HeldOutput, held_outputs
from datasites.runner.executors.local import Local
from datasites.runner.limits import Limits
from datasites.runner.sandbox.choose import default_sandbox
from datasites.state import AnsweredRound, State, now
from datasites.wire.arrays import Arrays
from datasites.wire.decision import Decision, SignedDecision
from datasites.wire.dictionary import Dictionary
from datasites.wire.gossip.network import Network
from datasites.wire.identity import Identity
from datasites.wire.manifest import Manifest, describe_files
from datasites.wire.outputs import ArraySpec, OutputContract
from datasites.wire.rounds import RoundReply, RoundRequest, decode_reply, encode_request, request_digest
from datasites.wire.secagg.terms import SecureAggregation
from tests.support.federation import DICTIONARY, stays

CODE = (Path(__file__).parent / "hostile" / "study.py").read_bytes()
EMAIL = "do@north.org"
POLICY = """
title = "Ward"
asking = {researchers = ["*"], purposes = ["*"]}
data = {columns = ["*"], never_columns = [], pseudonyms = true, min_patients = 5}
running = {tiers = ["reviewed"], rounds = 1000, minutes_per_round = 1, megabytes_per_round = 1}
code = {imports = ["numpy"], allow = []}
approval = {automatic = "never", days = 90}
[release]
metrics = ["loss"]
arrays = {score_histogram = [2, 10], curve = [4]}
min_cohort = 10
min_cell = 5
decimals = 4
max_update_norm = 10
secure_aggregation = false
"""
CONTRACT = OutputContract(
    parameters={
        "w": ArraySpec(shape=(4,), dtype="float32"),
        "ids": ArraySpec(shape=(8,), dtype="int64"),
        "act": ArraySpec(shape=(), dtype="int64"),
    },
    fit_metrics=("loss", "mean_days"),
    evaluate_metrics=("loss",),
    evaluate_arrays={
        "score_histogram": ArraySpec(shape=(2, 10), dtype="int64"),
        "curve": ArraySpec(shape=(4,), dtype="float64"),
    },
)
ROWS = 60


class Ward:
    """A hospital's side of one approved study: its worker, its gate and its records; the store is left out."""

    def __init__(
        self,
        folder: Path,
        policy: str = POLICY,
        rounds: int = 1000,
        code: bytes = CODE,
        contract: OutputContract = CONTRACT,
        secure: Callable[[Identity], SecureAggregation] | None = None,
        gossip: Callable[[Identity], Network] | None = None,
    ) -> None:
        self.home = DatasiteHome(folder)
        self.home.create()
        self.policy(policy)
        self.table = stays(1, ROWS)
        self.table.to_csv(folder / "stays.csv", index=False)
        dictionary = Dictionary.load(DICTIONARY)
        Registry(self.home.datasets).add(RegisteredTable(TableSource(path=folder / "stays.csv"), dictionary))
        identity = Identity.create(EMAIL, self.home.keys)
        self.manifest = Manifest(
            name="hostile",
            purpose="Test",
            researcher="eve@evil.org",
            dataset="stays",
            dictionary=dictionary.digest,
            columns=("days", "readmitted"),
            files=describe_files({"study.py": code}),
            config={},
            rounds=rounds,
            seconds_per_round=60,
            outputs=contract,
            secure_aggregation=secure(identity) if secure else None,
            gossip=gossip(identity) if gossip else None,
        )
        Vault(self.home.approved).keep(self.manifest, "", {"study.py": code})
        self.state = State(self.home.state)
        until = now() + timedelta(days=1)
        decision = Decision(
            study=self.manifest.digest,
            hospital=EMAIL,
            number=1,
            verdict="approved",
            rounds=1000,
            expires_at=until,
            decided_at=now(),
        )
        self.state.record_decision(SignedDecision.sign(decision, identity))
        self.bench = Workbench(self.home, self.manifest, Limits(), 60, Local(default_sandbox(private=True)))
        # such a study would not be approved, nor run on: here the gate alone must hold
        admission = Admission(self.state, self.manifest.digest, identity.public, lambda _: None)
        spending = Spending(self.home, self.state.ledger, self.manifest)
        self.kept = Kept(self.bench.folder, self.state, self.manifest)
        terms = self.manifest.secure_aggregation
        sums = SecureSums(identity, self.manifest, terms, admission, self.bench.rounding) if terms else None
        self.runner = RoundRunner(
            self.bench, admission, spending, self.kept, EMAIL, self.state.audit, lambda: False, sums
        )
        self._number = 0
        self.sent = {"w": np.zeros(4, np.float32), "ids": np.zeros(8, np.int64), "act": np.asarray(0)}

    def policy(self, text: str) -> None:
        PolicyBook(self.home).put("stays", text)

    def round(self, act: int = 0, evaluate: bool = True, fit: bool = True) -> Answer:
        """One round of training, and of evaluation."""
        self._number += 1
        study = self.manifest.digest
        request = RoundRequest(study=study, number=self._number, hospital=EMAIL, evaluate=evaluate, fit=fit)
        state = {**self.sent, "act": np.asarray(act)} if "act" in self.sent else self.sent
        answer = self.runner.answer(self._number, encode_request(request, state), in_order=True)
        row = AnsweredRound(
            number=self._number,
            request=request_digest(encode_request(request, state)),
            outcome=answer.outcome,
            fit=fit,
            evaluate=evaluate,
            reply=answer.plaintext,
            answered_at=now().isoformat(),
            seconds=answer.seconds,
        )
        self.kept.commit(row, answer.kept)
        return answer

    def honest(self) -> tuple[RoundReply, Arrays, Arrays]:
        """What a round releases that hides nothing."""
        answer = self.round()
        assert answer.outcome == "released"
        return decode_reply(answer.plaintext)

    def held(self) -> list[HeldOutput]:
        return [one for one in held_outputs(self.home.held) if one.round == self._number]

    def audited(self) -> list[dict[str, object]]:
        rows = self.state.audit.rows("SELECT entry FROM audit_entries WHERE kind = 'output_held'")
        return [entry for (text,) in rows if (entry := json.loads(text))["round"] == self._number]

    def close(self) -> None:
        self.bench.stop()
        self.state.close()
