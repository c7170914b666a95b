"""The gate's own process: it has two pipes and nothing else, and does nothing but compute.

Started by `gate.Gate` as `python -I -m datasites.release.inside`; not for use by hand. Whatever breaks here ends the
process, and then nothing leaves.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

import numpy as np

from datasites.release.examine import examine
from datasites.release.terms import Terms
from datasites.release.words import READY, encode_verdict
from datasites.runner.frames import Closed, read_frame, write_frame
from datasites.runner.replies import Outcome, encode_result
from datasites.runner.sandbox import privileges, seccomp
from datasites.wire.arrays import pack, unpack
from datasites.wire.outputs import ArraySpec, OutputContract

_MOST = 1 << 62  # the agent has measured what it sends


def main() -> None:
    """Runs the gate; returns when the agent closes its end."""
    tasks, replies, memory, log = (int(argument) for argument in sys.argv[1:])
    privileges.when_parent_ends(signal.SIGKILL)
    _practise()
    _confine(memory, log)
    try:
        write_frame(replies, READY)
        while True:
            _answer(tasks, replies)
    except Closed:
        pass


def _answer(tasks: int, replies: int) -> None:
    header = json.loads(read_frame(tasks, _MOST))
    terms = Terms.parse(read_frame(tasks, _MOST))
    _, sent = unpack(state, len(state)) if (state := read_frame(tasks, _MOST)) else ({}, {})
    verdict = examine(header["task"], read_frame(tasks, _MOST), sent, header["spent"], terms)
    write_frame(replies, encode_verdict(header["task"], verdict, terms.contract))


def _practise() -> None:
    """One result of each kind, so that all that Python imports late is there before no file can be opened."""
    contract = OutputContract(
        parameters={"w": ArraySpec(shape=(2,), dtype="float32")},
        fit_metrics=("loss",),
        evaluate_metrics=("loss",),
        evaluate_arrays={name: ArraySpec(shape=(1, 2), dtype="int64") for name in ("c", "t")},
        kept={"k": ArraySpec(shape=(2,), dtype="float32")},
    )
    release = {
        "metrics": ["loss"],
        "arrays": {"c": [1, 2]},
        "tables": {"t": [1, 2]},
        "min_cohort": 1,
        "min_cell": 5,
        "decimals": 2,
    }
    rules = {
        "release": {**release, "secure_aggregation": False, "max_update_norm": 1.0},
        "bytes_per_round": 1000,
        "kept_bytes": 1000,
        "min_patients": 1,
        "cohort": {"rows": 9, "patients": 9},
        "rounding_key": "0" * 64,
    }
    terms = Terms.parse(json.dumps({"contract": contract.model_dump(mode="json"), "rules": rules}).encode())
    state = {"w": np.zeros(2, np.float32)}
    kept = {"k": np.zeros(2, np.float32)}
    tables = {"c": np.array([[1, 2]]), "t": np.array([[1, 2]])}
    fitted, evaluated = (state, 3, {"loss": 0.5}, kept), (3, {"loss": 0.5, **tables})
    for frame in (encode_result("fit", fitted), encode_result("fit", (state, 3, {"x": 1.0})), b"", pack({}, {})):
        encode_verdict("fit", examine("fit", frame, state, 0, terms), contract)
    verdict = examine("evaluate", encode_result("evaluate", evaluated), {}, 0, terms)
    if not isinstance(verdict.released, Outcome):
        raise RuntimeError(f"the gate refuses an honest result: {verdict.details}")


def _confine(memory: int, log: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, log),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (least, least))
    privileges.unreadable()
    privileges.no_new_privileges()
    privileges.drop_capabilities()
    seccomp.apply(seccomp.computing_only())


if __name__ == "__main__":
    main()
    os._exit(0)
