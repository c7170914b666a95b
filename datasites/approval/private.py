"""A study of the private tier in plain words, for the person who decides."""

from __future__ import annotations

import math

from datasites.wire.manifest import Manifest
from datasites.wire.marginals import Binned, Marginals
from datasites.wire.preparation import CategoryInput, ImageInput, NumberInput, Preparation
from datasites.wire.statistics import Statistics
from datasites.wire.training import Evaluation, Training
from policies.privacy.accounting import epsilon
from policies.privacy.events import LEAST_NOISE, Event, SharedGaussian
from policies.privacy.plan import Plan
from policies.privacy.presets import in_percent
from policies.privacy.sharing import Sharing


def what(manifest: Manifest) -> str:
    """What would be done, and by whom."""
    if isinstance(manifest.statistics, Marginals):
        pairs = counted(len(manifest.statistics.pairs), "pair")
        return (
            f"{manifest.researcher} asks this hospital how its patients in the table {manifest.dataset!r} spread over "
            f"the values of {len(manifest.columns)} columns, and of {pairs} of them, to invent patients that are alike "
            f"on the whole. No code of theirs runs: this hospital's own program counts, and adds noise that hides each "
            f"patient. No small count is withheld: the noise hides those too."
        )
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


def guarantee(manifest: Manifest, delta: float | None) -> str:
    """What all of it costs in privacy. delta: of the table's policy, None where it has no budget."""
    if delta is None:
        return "The table's policy has no privacy budget, so nothing of this can be paid for."
    spent = epsilon(manifest.plan(manifest.rounds), delta)
    told = (
        f"All of it together costs epsilon {spent:.3g} at delta {delta:g} for each patient: somebody who knows every "
        f"other patient, and thinks it even odds that one more is in the table, can be at most {in_percent(spent)} "
        f"sure after seeing everything that was released."
    )
    return told if manifest.sharing is None else f"{told} {_trust(manifest, manifest.sharing, delta)}"


def _trust(manifest: Manifest, sharing: Sharing, delta: float) -> str:
    """What that number rests on, and what is left of it otherwise."""
    alone = epsilon([_alone(event, sharing) for event in manifest.plan(manifest.rounds)], delta)
    others = sharing.hospitals - sharing.honest
    bad = f"at most {others} of them {'helps' if others == 1 else 'help'}" if others else "none of them helps"
    return (
        f"This promise rests on other hospitals: each adds only its share of the noise to the counts, which is enough "
        f"in their sum as long as {bad} the researcher (at least {sharing.honest} honest of {sharing.hospitals}). "
        f"If all others did, this hospital's share alone would leave an epsilon of {alone:.3g}. Approve it only if you "
        f"know these hospitals, and have compared their fingerprints."
    )


def _alone(event: Event, sharing: Sharing) -> Event:
    """What it is to somebody who knows all other hospitals' noise."""
    if not isinstance(event, SharedGaussian):
        return event
    own = max(LEAST_NOISE, event.noise_multiplier / math.sqrt(sharing.shares))
    return SharedGaussian(own, 1, 1, event.count, event.unit)


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
        told = _trained(manifest, manifest.training)
    elif isinstance(manifest.statistics, Marginals):
        told = _tabulated(manifest.statistics)
    else:
        told = _counted(manifest.statistics) if manifest.statistics is not None else {}
    if sharing := manifest.sharing:
        told["whose noise"] = (
            f"that of counts is shared: of the sum over at least {sharing.least} hospitals, of which each adds one "
            f"part in {sharing.shares} of the variance"
        )
    return told


def _tabulated(asked: Marginals) -> dict[str, str]:
    of, each = _of_whom(asked)
    among = f"each two columns, one of which is {asked.around}" if asked.around else "each two columns"
    told = {"how many": f"{of}, {each}, drawn at random", "times": "once", "tables": f"each column, and {among}"}
    told |= {one.column: f"how many {of} {_cut(one)}" for one in asked.inputs}
    return told | {"noise": _off(asked.deviation)}


def _cut(one: Binned) -> str:
    missing = ", or none" if one.missing else ""
    if one.categories:
        return f"have each of {len(one.categories):,} categories{missing}"
    if len(one.edges) == 1:
        return f"are below or above {one.edges[0]:g}{missing}"
    return f"are in each of {len(one.edges) + 1:,} ranges, cut at {one.edges[0]:g} to {one.edges[-1]:g}{missing}"


def _of_whom(asked: Statistics | Marginals) -> tuple[str, str]:
    if asked.encounters == 1:
        return "patients", "each once"
    return "encounters", f"at most {asked.encounters} of each patient"


def _off(deviation: float) -> str:
    return f"of standard deviation {deviation:.4g} in each count: so far off each is to be expected"


def _counted(asked: Statistics) -> dict[str, str]:
    of, each = _of_whom(asked)
    told = {"how many": f"{of}, {each}, drawn at random", "times": "once"}
    for one in asked.inputs:
        if isinstance(one, CategoryInput):
            told[one.column] = f"how many {of} have each of {len(one.categories)} categories"
        else:
            low, high = one.center - one.scale, one.center + one.scale
            told[one.column] = f"the mean, of values held between {low:g} and {high:g}"
    return told | {"noise": _off(asked.deviation)}


def _trained(manifest: Manifest, training: Training) -> dict[str, str]:
    optimizer, noise, clip = training.optimizer, training.noise_multiplier, training.clip
    return {
        "model": f"{counted(len(training.graph.nodes), 'operation')}, {counted(_size(training), 'number')} to learn",
        "predicts": training.preparation.target.column,
        "training": f"{counted(training.steps, 'step')} a round, {counted(manifest.rounds, 'round')}",
        "how it learns": f"{optimizer.name}, learning rate {optimizer.learning_rate:g}",
        "in each step": f"each patient takes part with probability {training.sampling_rate:g}, with at most "
        f"{counted(training.encounters, 'encounter')}",
        "noise": f"of standard deviation {noise * clip:.4g} in each number of a step's sum: {noise:g} times {clip:g}, "
        "the most that one patient can move it",
        "test": _tested(training.evaluation) if training.evaluation else "none",
    }


def _tested(evaluation: Evaluation) -> str:
    often = "once" if evaluation.times == 1 else f"{evaluation.times:,} times"
    return (
        f"{often}; how many test patients were given which risk, with and without the outcome: {2 * evaluation.bins} "
        f"counts, of at most {counted(evaluation.encounters, 'encounter')} of each patient, each with noise of "
        f"standard deviation {evaluation.noise_multiplier * evaluation.encounters:.4g}"
    )


def prepared(preparation: Preparation) -> list[tuple[str, str]]:
    """Each column that the model is given, and what becomes of it."""
    return [(one.column, _input(one)) for one in preparation.inputs]


def _input(one: NumberInput | CategoryInput | ImageInput) -> str:
    if isinstance(one, CategoryInput):
        each = "a 1 at its category, 0 at the others" if one.encoding == "one-hot" else "the number of its category"
        return f"{each}, of {len(one.categories):,}"
    missing = "; and whether it is missing" if isinstance(one, NumberInput) and one.indicator else ""
    each = f"each of its {one.width:,} pixels, " if isinstance(one, ImageInput) else ""
    scaled = f", divided by {one.scale:g}" if one.scale != 1 else ""
    return f"{each}minus {one.center:g}{scaled}, held between {one.low:g} and {one.high:g}{missing}"


def counted(number: int, what: str) -> str:
    """In words, with an s where there is not one."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _size(training: Training) -> int:
    return sum(math.prod(shape) for shape in training.graph.parameters.values())
