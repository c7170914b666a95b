"""A study that was approved, and returns something else than it should: `state["act"]` says which of the attacks.

Each tries to bring rows of the table out of the hospital in what it returns.
"""

import fcntl
import json
import os
import pickle
import stat
import struct

import numpy as np

HONEST = 0


def initialize(config):
    return {"w": np.zeros(4, np.float32), "ids": np.zeros(8, np.int64), "act": np.int64(HONEST)}


def fit(state, table, config):
    honest = ({**state, "w": state["w"] + np.float32(0.5)}, len(table), {"loss": 0.123456789})
    return FITS.get(int(state["act"]), lambda result, table: result)(honest, table)


def evaluate(state, table, config):
    histogram = np.zeros((2, 10), np.int64)
    np.add.at(histogram, (table["readmitted"].to_numpy(), table["days"].to_numpy() // 10), 1)
    metrics = {"loss": 0.123456789, "score_histogram": histogram, "curve": np.full(4, 0.123456789)}
    honest = (len(table), metrics)
    return EVALUATIONS.get(int(state["act"]), lambda result, table: result)(honest, table)


def _with(**changes):
    """Other arrays in the state; each is made from the table."""

    def act(result, table):
        state, count, metrics = result
        return {**state, **{name: make(table) for name, make in changes.items()}}, count, metrics

    return act


def _metrics(make):
    return lambda result, table: (result[0], result[1], {**result[2], **make(table)})


def _count(make):
    return lambda result, table: (result[0], make(table), result[2])


def _measures(**changes):
    def act(result, table):
        return result[0], {**result[1], **{name: make(table) for name, make in changes.items()}}

    return act


def _sends(make):
    """Writes its own bytes into the pipe, in place of what the hospital's program would write."""

    def act(result, table):
        blob = make(table)
        pipe = max(number for number in range(256) if _is_written_pipe(number))
        rest = memoryview(struct.pack(">Q", len(blob)) + blob)
        while rest:
            rest = rest[os.write(pipe, rest) :]
        return result

    return act


def _is_written_pipe(number):
    try:
        return stat.S_ISFIFO(os.fstat(number).st_mode) and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return False


def _blob(header, tensors=(), data=b""):
    text = json.dumps({"__metadata__": {"wardround": header}, **dict(tensors)}).encode()
    return struct.pack("<Q", len(text)) + text + data


def _days(table):
    return table["days"].to_numpy()


def _nan_boxed(table):
    return (np.uint32(0x7FC00000) | _days(table)[:4].astype(np.uint32)).view(np.float32)


RESULT = '{"num_examples": 60, "metrics": {"loss": %s}}'
W = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
FITS = {
    1: _with(rows=_days),
    2: _with(w=lambda t: _days(t)[:4].astype(np.float64)),
    3: _with(w=lambda t: _days(t).astype(np.float32)),
    4: _with(w=_nan_boxed),
    5: _with(w=lambda t: np.where(_days(t)[:4] > 30, np.inf, 0).astype(np.float32)),
    6: _metrics(lambda t: {f"patient {t['patient'][0]} stayed {t['days'][0]} days": 1.0}),
    7: _metrics(lambda t: {"days": float(_days(t)[0])}),
    8: _metrics(lambda t: {"mean_days": float(_days(t).mean())}),
    9: _metrics(lambda t: {"loss": float(int.from_bytes(_days(t)[:6].astype(np.uint8).tobytes(), "big"))}),
    10: _count(lambda t: int(_days(t)[0]) * 1000),
    11: _count(lambda t: int(_days(t)[0]) % 9 + 1),
    12: _with(w=lambda t: _days(t)[:4].astype(np.float32)),
    13: _with(ids=lambda t: _days(t)[:8]),
    14: _with(w=lambda t: np.array([pickle.dumps(t)], object)),
    15: _metrics(lambda t: {"rows": _days(t)}),
    16: _sends(pickle.dumps),
    17: _sends(lambda t: struct.pack("<Q", 2**40) + b"{}"),
    18: _sends(lambda t: struct.pack("<Q", 6_000_000) + b"[" * 6_000_000),
    19: _sends(lambda t: struct.pack("<Q", 3_000_000) + b"[" * 3_000_000),
    20: _sends(lambda t: _blob(RESULT % "NaN", {"p/w": W}, bytes(16))),
    21: _sends(lambda t: _blob(RESULT % "0.5", {"p/w": W, "p/v": W}, bytes(16))),
    22: _sends(lambda t: _blob('{"num_examples": 60, "metrics": {}, "rows": [1, 2]}', {"p/w": W}, bytes(16))),
    23: _sends(lambda t: _blob(RESULT % "0.5", {"p/w": {**W, "dtype": "BF16", "shape": [8]}}, bytes(16))),
    24: _sends(lambda t: _blob(RESULT % "0.5", {"p/w": W}, bytes(16) + _days(t).tobytes())),
    25: _sends(lambda t: b"\x80" + bytes(_days(t).astype(np.uint8))),
    26: _sends(lambda t: b""),
    30: lambda result, table: ({**result[0], "w": _days(table)[:4].astype(np.float32)}, len(table), {}),
}
EVALUATIONS = {
    40: _measures(score_histogram=lambda t: -np.ones((2, 10), np.int64)),
    41: _measures(score_histogram=lambda t: _days(t)[:20].reshape(2, 10) * 10**6),
    42: _measures(score_histogram=lambda t: _days(t)[:20].reshape(2, 10)),
    43: _measures(rows=_days),
    44: _measures(curve=lambda t: _days(t)[:4] * 1e12),
    45: _measures(curve=lambda t: np.full(4, np.nan)),
    46: _measures(table=lambda t: _days(t)[:4]),
    47: lambda result, table: (result[0] + 1, result[1]),
    48: _measures(score_histogram=lambda t: np.eye(2, 10, dtype=np.int64)),
    49: _measures(score_histogram=lambda t: np.full((2, 10), 2**62)),
}
