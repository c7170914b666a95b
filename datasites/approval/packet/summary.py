"""A study in one paragraph of plain words, built from facts alone.

Not one word in it is the researcher's own (names that they chose appear only where their form is fixed), so that no
purpose, metric or file name can put a sentence into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from datasites.approval import private
from datasites.approval.private import counted
from datasites.wire.images import layout
from datasites.wire.manifest import Manifest

if TYPE_CHECKING:
    from datasites.approval.packet.packet import Packet

NO_GUARANTEE = (
    "There is no differential-privacy guarantee: a model can remember patients, and code can hide a value in numbers "
    "that look honest. Approve only code that you, or a reviewer you trust, have read."
)


def summary(packet: Packet) -> str:
    m = packet.manifest
    asked = (_what(packet), *_images(packet), _how_often(m), _leaves(m))
    told = (*asked, *_summed(m), *_shared(packet), *kept(m), _guarantee(packet))
    return " ".join((*told, *_judged(packet)))


def _what(packet: Packet) -> str:
    m = packet.manifest
    if m.asked is not None:
        return private.what(m)
    lines = sum(text.count("\n") + 1 for text in packet.code().values())
    of = f" of its {len(packet.dictionary.columns)}" if packet.dictionary else ""
    return (
        f"{m.researcher} asks that {counted(len(m.files), 'file')} of code ({counted(lines, 'line')}) run on this "
        f"hospital's own machines, in a closed room without a network, beside the rows of the table {m.dataset!r}. "
        f"The code would see {len(m.columns)}{of} columns, and which rows belong to the same patient; it would see no "
        f"patient's name or number."
    )


def _images(packet: Packet) -> list[str]:
    m, known = packet.manifest, packet.dictionary.columns if packet.dictionary else {}
    shown = [known[name] for name in m.columns if name in known and known[name].type == "image"]
    if not shown:
        return []
    names = _listed([repr(column.name) for column in shown])
    if m.asked is not None:
        return [f"It is trained on every pixel of {names}; the noise covers all images of a patient together."]
    room = total_bytes(m) // min(layout(column).nbytes for column in shown)
    return [
        f"It would see every pixel of {names}: also a face, or a name burned into the image, for which nothing here "
        f"has looked. All that leaves has room for {counted(room, 'such image')}, if the code were to hide them there."
    ]


def _how_often(m: Manifest) -> str:
    if m.statistics is not None:
        return f"It would be answered once, in at most {duration(m.seconds_per_round)}."
    together = f", and in {m.processes:,} processes that train together" if m.processes > 1 else ""
    most = f"each of at most {duration(m.seconds_per_round)}"
    return f"It would run in at most {counted(m.rounds, 'round')}, {most}{together}."


def _leaves(m: Manifest) -> str:
    outputs = m.outputs
    numbers = sum(_size(spec.shape) for spec in outputs.parameters.values())
    if m.statistics is not None:
        return f"{counted(m.statistics.width, 'number')} would leave the hospital, {m.max_bytes:,} bytes."
    parts = [f"a model of {counted(numbers, 'number')}"]
    if metrics := len({*outputs.fit_metrics, *outputs.evaluate_metrics}):
        parts.append(counted(metrics, "metric"))
    if tables := len(outputs.evaluate_arrays):
        parts.append(f"{counted(tables, 'table')} of numbers")
    return (
        f"After each round {_listed(parts)} would leave the hospital, at most {m.max_bytes:,} bytes a round and "
        f"{total_bytes(m):,} in all."
    )


def _summed(m: Manifest) -> list[str]:
    terms = m.secure_aggregation
    if terms is None:
        return []
    helpers = 2 * terms.threshold - len(terms.hospitals)
    trust = "none of these hospitals helps" if helpers == 1 else f"fewer than {helpers} of these hospitals help"
    return [
        f"It would leave masked, so that only the sum over at least {terms.threshold} of {len(terms.hospitals)} named "
        f"hospitals can be read, by the researcher or anybody; that holds while {trust} a researcher who cheats."
    ]


def _shared(packet: Packet) -> list[str]:
    network = packet.manifest.gossip
    if network is None:
        return []
    them = network.neighbours(packet.hospital)
    return [
        f"Hospitals would train without a centre: after each round, until round {packet.manifest.rounds:,}, this "
        f"hospital's model would be sent by itself to {counted(len(them), 'other hospital')} "
        f"({_listed(them) if them else 'none'}), which can read it, and mixed with theirs it goes on to all "
        f"{len(network.hospitals)} hospitals of the study. The researcher starts this and can stop it, and takes no "
        f"part in any round."
    ]


def kept(m: Manifest) -> list[str]:
    """What stays at the hospital between rounds; empty where nothing does."""
    return [*_kept_by_code(m), *_left_out(m)]


def _left_out(m: Manifest) -> list[str]:
    residual = m.outputs.residual
    if not residual:
        return []
    numbers = sum(_size(spec.shape) for spec in residual.values())
    return [
        f"What compression leaves out of a model stays at this hospital ({counted(numbers, 'number')}, "
        f"{sum(spec.nbytes for spec in residual.values()):,} bytes) and is added to the next one, within the same "
        f"limits. It is removed when the study ends."
    ]


def _kept_by_code(m: Manifest) -> list[str]:
    if not m.outputs.kept:
        return []
    numbers = sum(_size(spec.shape) for spec in m.outputs.kept.values())
    return [
        f"The code keeps {counted(numbers, 'number')} ({m.outputs.kept_bytes:,} bytes) at this hospital between its "
        f"rounds; they never leave by themselves, but what later rounds send may depend on them. They are removed when "
        f"the study ends."
    ]


def _judged(packet: Packet) -> list[str]:
    ruling, told = packet.ruling, []
    if packet.problems:
        told.append("It cannot run here as it stands.")
    if ruling.policy is None:
        told.append("The table's policy cannot be used, so nothing is allowed.")
    elif count := len(ruling.violations):
        told.append(f"The policy in force does not allow it, for {counted(count, 'reason')}.")
    else:
        told.append("The policy in force allows it.")
    return told


def _guarantee(packet: Packet) -> str:
    m, policy = packet.manifest, packet.ruling.policy
    budget = policy.budget if policy else None
    if m.asked is not None:
        return private.guarantee(m, budget.delta if budget else None)
    if policy and budget and policy.release.gate_noise and policy.release.max_update_norm:
        return private.covered(policy.release.max_update_norm, policy.release.gate_noise, m.rounds, budget.delta)
    return NO_GUARANTEE


def total_bytes(m: Manifest) -> int:
    """The most that can leave in all rounds, and in the one evaluation that may follow the last; counts leave once."""
    if m.statistics is not None:
        return m.max_bytes
    return (m.rounds + 1) * m.max_bytes


def duration(seconds: int) -> str:
    """In the largest unit that gives a whole number."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            return counted(seconds // length, unit)
    return counted(seconds, "second")


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
