"""What a hospital's gate noise means for a study of the reviewed tier, in plain words for its researcher."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping

from datasites.wire.decision import GateNoise
from datasites.wire.manifest import Manifest


def told(manifest: Manifest, noises: Mapping[str, GateNoise | None]) -> list[str]:
    """Sentences; none where no hospital adds noise. noises: of each hospital that has approved, by its label."""
    noisy = {label: noise for label, noise in noises.items() if noise is not None}
    if not noisy:
        return []
    floats = [spec for spec in manifest.outputs.parameters.values() if spec.dtype.startswith("float")]
    numbers = sum(math.prod(spec.shape) for spec in floats)
    sentences = [_of_one(label, noise, numbers) for label, noise in noisy.items()]
    if len(noisy) == len(noises):
        spread = math.sqrt(manifest.rounds * sum((one.multiple * one.distance) ** 2 for one in noisy.values()))
        sentences.append(
            f"With {manifest.rounds:,} rounds and plain averaging, expect each number of the final model to be off by "
            f"about {spread / len(noisy):.3g} (one standard deviation). Fewer rounds, a smaller model and more "
            "hospitals make it less."
        )
    else:
        sentences.append(
            "A hospital with noise reports 1 example, so beside hospitals that report theirs it counts for next to "
            "nothing. Give FedAvg weights to change that."
        )
    return sentences


def _of_one(label: str, noise: GateNoise, numbers: int) -> str:
    return (
        f"{label} adds noise to each round: what your code did to the model is shortened, as a whole, to a distance of "
        f"at most {noise.distance:g}, and each of the model's {numbers:,} numbers gets noise of standard deviation "
        f"{noise.multiple * noise.distance:g}. Together that noise is about {noise.multiple * math.sqrt(numbers):.3g} "
        "times as long as the longest change. No metrics and no number of examples leave there. (As its policy stood "
        "when it approved.)"
    )


def paragraphs(sentences: Iterable[str]) -> str:
    """The same for a notebook."""
    return "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
