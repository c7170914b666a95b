"""A study of the private tier in plain words, for the person who decides."""

from __future__ import annotations

from datasites.wire.manifest import Manifest
from datasites.wire.preparation import CategoryInput, NumberInput, Preparation
from datasites.wire.statistics import Statistics
from datasites.wire.training import Training
from policies.privacy.accounting import epsilon
from policies.privacy.plan import Plan
from policies.privacy.presets import in_percent


def what(manifest: Manifest) -> str:
    """What would be done, and by whom."""
    if manifest.statistics is not None:
        return (
            f"{manifest.researcher} asks this hospital how many patients the table {manifest.dataset!r} has, and for "
            f"counts and means of {len(manifest.columns)} of its columns. No code of theirs runs: this hospital's own "
            f"program counts, and adds noise that hides each patient."
        )
    return (
        f"{manifest.researcher} asks this hospital to train a model on {len(manifest.columns)} columns of the table "
        f"{manifest.dataset!r}. No code of theirs runs: this hospital's own program trains, and adds noise that hides "
        f"each patient."
    )


def guarantee(asked: Training | Statistics, rounds: int, delta: float | None) -> str:
    """What all of it costs in privacy. delta: of the table's policy, None where it has no budget."""
    if delta is None:
        return "The table's policy has no privacy budget, so nothing of this can be paid for."
    spent = epsilon(asked.plan(rounds), delta)
    return (
        f"All of it together costs epsilon {spent:.3g} at delta {delta:g} for each patient: somebody who knows every "
        f"other patient, and thinks it even odds that one more is in the table, can be at most {in_percent(spent)} "
        f"sure after seeing everything that was released."
    )


def covered(clip: float, noise: float, rounds: int, delta: float) -> str:
    """What the gate's noise protects in a study with code of the researcher's, and what it costs."""
    spent = epsilon(Plan.gate_noise(rounds, noise).events, delta)
    return (
        f"Whatever the code does, its change of the model is shortened to a distance of {clip:g} and gets noise of "
        f"{noise:g} times that on each number, and nothing else leaves. That protects this hospital's whole table, and "
        f"so each patient; all of it together costs epsilon {spent:.3g} at delta {delta:g}: somebody who knows every "
        f"other patient, and thinks it even odds that one more is in the table, can be at most {in_percent(spent)} "
        f"sure after seeing everything that was released. The noise makes the model less accurate. How long a round "
        f"takes can be seen, and is not covered, so the code must still be read."
    )


def facts(manifest: Manifest) -> dict[str, str]:
    """What is asked of the hospital's own program, by name; every number that scales the noise is among them."""
    if manifest.training is not None:
        return _trained(manifest, manifest.training)
    return _counted(manifest.statistics) if manifest.statistics is not None else {}


def _counted(asked: Statistics) -> dict[str, str]:
    of, each = (
        ("patients", "each once")
        if asked.encounters == 1
        else ("encounters", f"at most {asked.encounters} of each patient")
    )
    told = {"how many": f"{of}, {each}, drawn at random", "times": "once"}
    for one in asked.inputs:
        if isinstance(one, CategoryInput):
            told[one.column] = f"how many {of} have each of {len(one.categories)} categories"
        else:
            low, high = one.center - one.scale, one.center + one.scale
            told[one.column] = f"the mean, of values held between {low:g} and {high:g}"
    told["noise"] = f"standard deviation {asked.deviation:g} in each count: so much error is to be expected"
    return told


def _trained(manifest: Manifest, training: Training) -> dict[str, str]:
    optimizer, evaluation = training.optimizer, training.evaluation
    told = {
        "model": f"{len(training.graph.nodes)} operations, {len(training.graph.parameters)} arrays of parameters",
        "inputs": inputs(training.preparation),
        "target": training.preparation.target.column,
        "training": f"{training.steps:,} steps a round, {manifest.rounds:,} rounds; {optimizer.name}, learning rate "
        f"{optimizer.learning_rate:g}",
        "in each step": f"each patient takes part with probability {training.sampling_rate:g}, with at most "
        f"{training.encounters} encounters",
        "noise": f"{training.noise_multiplier:g} times {training.clip:g}, the most that a patient can move the sum",
        "evaluation": "none",
    }
    if evaluation:
        told["evaluation"] = (
            f"{evaluation.times:,} times, {2 * evaluation.bins} noisy counts of at most {evaluation.encounters} "
            f"encounters of each test patient; noise {evaluation.noise_multiplier * evaluation.encounters:g}"
        )
    return told


def inputs(preparation: Preparation) -> str:
    """How each column is prepared."""
    return "; ".join(_input(one) for one in preparation.inputs)


def _input(one: NumberInput | CategoryInput) -> str:
    if isinstance(one, CategoryInput):
        return f"{one.column} ({one.encoding}, {len(one.categories)} categories)"
    missing = ", and whether it is missing" if one.indicator else ""
    return f"({one.column} - {one.center:g}) / {one.scale:g} from {one.low:g} to {one.high:g}{missing}"
