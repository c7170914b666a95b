"""How models travel between a study's researcher and its hospitals, as the manifest says: compressed, or as they are.

A compressed model is one array of bytes in its message. Both ends read it by the output contract alone.
"""

from __future__ import annotations

import numpy as np

from datasites.wire.arrays import Arrays
from datasites.wire.codecs import Pipeline
from datasites.wire.manifest import Manifest
from datasites.wire.outputs import OutputContract
from policies.errors import InvalidInput

_PACKED = "compressed"


def packed(blob: bytes) -> Arrays:
    """As an array of a message."""
    return {_PACKED: np.frombuffer(blob, np.uint8)}


def send_state(manifest: Manifest, state: Arrays) -> tuple[Arrays, Arrays]:
    """(what the message holds, the state that hospitals will read of it)."""
    if not manifest.state_compression:
        return state, state
    pipeline = Pipeline.parse(manifest.state_compression)
    message = packed(pipeline.pack(pipeline.moved(state, {}), state))
    return message, read_state(manifest, message)


def read_state(manifest: Manifest, message: Arrays) -> Arrays:
    """The state of a message to a hospital. Raises InvalidInput where it cannot be read."""
    if not manifest.state_compression:
        return message
    return _read(Pipeline.parse(manifest.state_compression), message, {}, manifest.outputs)


def read_update(contract: OutputContract, message: Arrays, sent: Arrays) -> Arrays:
    """The parameters of a hospital's reply to the state `sent`. Raises InvalidInput where they cannot be read."""
    return message if contract.pipeline is None else _read(contract.pipeline, message, sent, contract)


def _read(pipeline: Pipeline, message: Arrays, sent: Arrays, contract: OutputContract) -> Arrays:
    blob = message.get(_PACKED)
    if message.keys() != {_PACKED} or blob is None or blob.dtype != np.uint8 or blob.ndim != 1:
        raise InvalidInput("The model is not compressed as the study says.")
    vectors, whole = pipeline.unpack(blob.tobytes(), contract.shapes)
    return pipeline.restored(vectors, whole, sent, contract.shapes)
