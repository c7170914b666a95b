"""A policy in plain sentences, to be read aloud by the person who answers for it."""

from __future__ import annotations

import html
from collections.abc import Sequence

from policies.code import MEANING
from policies.policy import Policy
from policies.sections import Approval, Asking, Budget, Code, Data, Release, Running

_ANY_DISTANCE = "A model may move any distance."
_COUNTS = {
    False: "How many rows trained and tested a model leaves too, as the study's code says it: it counts as public.",
    True: "How many rows trained and tested a model does not leave: in averages this hospital weighs as any other.",
}
_TIERS = {
    "private": "Private tier: the hospital's own program trains or counts, and adds noise; no study code meets a row.",
    "reviewed": "Reviewed tier: code that a person here has read and approved runs in a closed room beside the rows.",
}


def explain(policy: Policy) -> dict[str, list[str]]:
    """Heading to sentences; nothing that the policy says is left out."""
    told = {
        "Who may ask, and what for": _asking(policy.asking),
        "What a study may see": _data(policy.data),
        "How it may run": _running(policy.running),
        "What its code may do": _code(policy.code),
        "What may leave": _release(policy.release),
        "Who approves": _approval(policy.approval),
        "Privacy budget": _budget(policy.budget),
    }
    return {heading: [sentence for sentence in sentences if sentence] for heading, sentences in told.items()}


def to_html(policy: Policy) -> str:
    """The same for a notebook."""
    parts = [f"<h4>{html.escape(policy.title)}</h4>"]
    for heading, sentences in explain(policy).items():
        listed = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
        parts.append(f"<h5>{html.escape(heading)}</h5><ul>{listed}</ul>")
    return "".join(parts)


def _asking(asking: Asking) -> list[str]:
    return [
        _allowed(asking.researchers, "Any researcher whom this hospital has accepted may ask", "Only these may ask"),
        _allowed(asking.purposes, "A study may have any purpose; a person judges it", "Only these purposes count"),
    ]


def _data(data: Data) -> list[str]:
    return [
        _allowed(data.columns, "Studies may ask for any column of the table", "Studies may ask only for these columns"),
        _allowed(data.never_columns, "No column may be used", "Never for these") if data.never_columns else "",
        f"Code may {'' if data.pseudonyms else 'not '}tell which rows belong to the same patient.",
        f"A table with fewer than {data.min_patients:,} patients takes part in no study.",
    ]


def _running(running: Running) -> list[str]:
    return [
        *(_TIERS[tier] for tier in dict.fromkeys(running.tiers)),
        "" if len(set(running.tiers)) == len(_TIERS) else "There is no other way to run.",
        f"A study may have at most {running.rounds:,} rounds, each of at most {running.minutes_per_round:g} minutes.",
        f"At most {running.megabytes_per_round:g} megabytes may leave in a round.",
        _kept(running.kept_megabytes),
        f"Study code may run in at most {running.most_processes:,} processes that train together; they speak with each "
        "other and with nothing else."
        if running.most_processes > 1
        else "",
    ]


def _kept(megabytes: float | None) -> str:
    if megabytes is None:
        return "Study code keeps nothing at the hospital from one round to the next."
    return (
        f"Study code may keep at most {megabytes:g} megabytes at the hospital from one of its rounds to the next. They "
        "do not leave by themselves, but what later rounds send may depend on them; they are removed when the study "
        "ends."
    )


def _code(code: Code) -> list[str]:
    allowed = [f"Code that {MEANING[kind]} is allowed." for kind in dict.fromkeys(code.allow)]
    refused = [MEANING[kind] for kind in MEANING if kind not in (*code.allow, "import")]
    return [
        f"Code may use these packages: {', '.join(code.imports)}." if code.imports else "Code may use no packages.",
        *allowed,
        f"Code is refused that {'; or '.join(refused)}.",
        "This is found by reading the code, which can be fooled; the closed room it runs in is what holds it.",
    ]


def _release(release: Release) -> list[str]:
    arrays = [f"{name} ({' by '.join(map(str, shape))})" for name, shape in release.arrays.items()]
    tables = [f"{name} ({' by '.join(map(str, shape))})" for name, shape in release.tables.items()]
    norm, noise = release.max_update_norm, release.gate_noise
    return [
        f"Besides the model these numbers may leave: {', '.join(release.metrics) or 'none'}.",
        f"They are rounded to {release.decimals} decimals.",
        f"These tables of counts may leave, at most so large: {', '.join(arrays) or 'none'}.",
        f"So may these, whose rows count each patient once: {', '.join(tables)}. A cell of fewer than "
        f"{release.least_cell:,} is withheld, and others of its row, so that it does not follow from the total."
        if tables
        else "",
        f"No number leaves that stands for fewer than {release.min_cohort:,} examples.",
        f"No count from 1 to {release.min_cell - 1:,} leaves in a table of counts." if release.min_cell > 1 else "",
        "" if noise else _COUNTS[release.hide_counts],
        "" if noise else f"A model may not have moved further than {norm:g} in one round." if norm else _ANY_DISTANCE,
        *(_gate_noise(norm, noise) if norm and noise else ()),
        "Only sums over several hospitals may be readable to anybody." if release.secure_aggregation else "",
        _neighbours(release.neighbours),
    ]


def _neighbours(neighbours: Sequence[str]) -> str:
    if not neighbours:
        return "No other hospital may read this hospital's model by itself."
    return _allowed(
        neighbours,
        "Where hospitals train without a centre, any that the study names may read this hospital's model by itself",
        "Where hospitals train without a centre, only these may read this hospital's model by itself, after each round",
    )


def _gate_noise(norm: float, noise: float) -> tuple[str, ...]:
    return (
        f"What study code did to the model is shortened, as a whole, to a distance of {norm:g} in one round, and noise "
        f"of {noise:g} times that distance is added to each of its numbers.",
        "This hides this hospital's whole table, and so each patient in it: whatever the code does, what leaves would "
        "be almost as likely from any other table.",
        "It costs accuracy, since the noise falls on each number alike, and every round is charged to the privacy "
        "budget.",
        "Nothing else leaves of study code: no metrics, no tables of counts, no number of rows, and not whether it "
        "failed. How long a round takes can still be seen.",
    )


def _approval(approval: Approval) -> list[str]:
    repeated = (
        "A person approves each study. Only what repeats, to the last byte, a study that a person has approved here, "
        "and whose approval is in force, is approved without one."
    )
    by_person = "A person approves each study."
    return [
        by_person if approval.automatic == "never" else repeated,
        f"An approval is valid for at most {approval.days:,} days.",
    ]


def _budget(budget: Budget | None) -> list[str]:
    if budget is None:
        return ["None: the private tier is not used."]
    each = budget.epsilon_per_researcher
    return [
        "In the private tier, and where noise is added to a model, one study may spend an epsilon of at most "
        f"{budget.epsilon_per_study:g}, and all studies together, ever, {budget.epsilon_total:g}, "
        f"at a delta of {budget.delta:g}.",
        f"All studies of one researcher together may spend at most {each:g}." if each else "",
        "Each row of the table is another person." if budget.one_row_per_person else "",
        _sharing(budget.colluding_hospitals),
    ]


def _sharing(colluding: int | None) -> str:
    if colluding is None:
        return "This hospital's own noise alone must be enough; it may not be shared with other hospitals."
    return (
        "Of a sum over several hospitals, all of them may add the noise together, if it is still enough when "
        f"{colluding:,} of them help the researcher. Then the promise rests on the others."
    )


def _allowed(patterns: Sequence[str], everything: str, only: str) -> str:
    if "*" in patterns:
        return f"{everything}."
    star = " (* stands for any text)" if any("*" in pattern for pattern in patterns) else ""
    return f"{only}: {', '.join(patterns) or 'none'}{star}."
