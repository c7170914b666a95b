"""A model's card (Mitchell et al., "Model Cards for Model Reporting", 2019) as Markdown: what the record of its study
can tell, and plainly what it cannot.

Numbers come from what hospitals released; nothing is measured here. Names and texts are escaped, so that none of them
writes into the card.
"""

from __future__ import annotations

import hashlib
import html
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from datasites.wire.training import Training
from policies.errors import InvalidInput
from policies.privacy.accounting import epsilon

if TYPE_CHECKING:
    from researcher.result import Result

PEOPLE = "**TO BE WRITTEN BY PEOPLE**"
_OWN = {
    "round",
    "hospital",
    "problem",
    "seconds",
    "train_examples",
    "test_examples",
    "staleness",
    "cluster",
    "distance",
}
_ARRAYS = 50  # of the model, listed one by one
Subgroups = Mapping[str, Sequence[str]]


class ModelCard(str):
    """The card's text; a notebook shows it."""

    def _repr_markdown_(self) -> str:
        return str(self)


def model_card(
    result: Result, saved: bytes, subgroups: Subgroups, delta: float, version: str, replaces: str
) -> ModelCard:
    """See `Result.model_card`. saved: the bytes of the model's file."""
    m = result.manifest
    parts = [
        f"# Model card: {plain(m.name)}{f', version {plain(version)}' if version else ''}",
        "Written from the record of a federated study. What no record can tell is marked; nothing here says that the "
        "model is safe, fair or fit for a patient.",
        *_section("The model", _model(result, saved)),
        *_section("Where it comes from", _lineage(result)),
        *_section("What it is for", _use(result)),
        *_section("Patients' data", _data(result)),
        *_section("How well it does", _performance(result, subgroups)),
        *_section("Groups of patients", _groups(result, subgroups)),
        *_section("Privacy", _privacy(result, delta)),
        *_section("What went wrong on the way", _problems(result)),
        *_section("Governance", _governance(version, replaces)),
    ]
    return ModelCard("\n\n".join(parts) + "\n")


def plain(text: object) -> str:
    """Text that Markdown, or HTML within it, takes for nothing but text. One line."""
    one_line = "".join(c if c.isprintable() else f"U+{ord(c):04X}" for c in str(text))
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", html.escape(one_line, quote=False))
    return escaped.replace("://", ":\\//")  # no address becomes a link


def _section(title: str, parts: Iterable[str]) -> list[str]:
    return [f"## {title}", *parts]


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _model(result: Result, saved: bytes) -> Iterator[str]:
    arrays = result.parameters
    numbers = sum(array.size for array in arrays.values())
    yield _table(
        ("what", "value"),
        [
            ("SHA-256 of the file that save() writes", hashlib.sha256(saved).hexdigest()),
            ("Bytes of that file", f"{len(saved):,}"),
            ("Numbers", f"{numbers:,}"),
            ("Method", result.strategy),
            ("Rounds trained", f"{result.round:,} of {result.manifest.rounds:,} that were approved at most"),
        ],
    )
    listed = list(arrays.items())
    rows = [(name, " × ".join(map(str, a.shape)) or "one number", a.dtype) for name, a in listed[:_ARRAYS]]
    yield _table(("array", "shape", "type"), rows)
    if len(listed) > _ARRAYS:
        yield f"and {len(listed) - _ARRAYS:,} more arrays"
    if broken := [name for name, a in arrays.items() if a.dtype.kind == "f" and not np.isfinite(a).all()]:
        yield f"**Not finite:** {', '.join(map(plain, broken))}. This model cannot be used as it stands."
    if models := getattr(result, "models", None):
        yield (
            f"**One of several.** The study made {len(models):,} models; this card's digest is that of `parameters`. "
            "Hospitals tested their own model, so the numbers below are of those, not of this one."
        )


def _lineage(result: Result) -> Iterator[str]:
    m = result.manifest
    rows = [
        ("Study", m.digest),
        ("Repetition", f"number {m.repetition:,} of {m.first[:12]}" if m.repetition > 1 else "none"),
        ("Submitted by", m.researcher),
        ("Tier", "reviewed: the researcher's code" if m.asked is None else "private: the hospitals' own program"),
        ("Dictionary of the table", m.dictionary),
    ]
    yield _table(("what", "value"), rows)
    if m.files:
        yield _table(("file of code", "SHA-256"), [(path, file.sha256) for path, file in sorted(m.files.items())])


def _use(result: Result) -> Iterator[str]:
    yield f"Purpose, as it was submitted to the hospitals: {plain(result.manifest.purpose)}"
    yield f"Intended users and decisions: {PEOPLE}."
    yield f"Not to be used for: {PEOPLE}."


def _data(result: Result) -> Iterator[str]:
    m = result.manifest
    names = sorted({str(name) for name in result.hospitals["hospital"]}) if len(result.hospitals) else []
    yield (
        f"Table {plain(m.dataset)} of {len(names):,} hospitals ({', '.join(map(plain, names))}). Rows never left them. "
        f"Columns: {', '.join(map(plain, m.columns))}."
    )
    yield f"Years, places and how patients came into the tables: {PEOPLE}; the hospitals know."


def _newest(result: Result) -> list[dict[str, Any]]:
    """The last word of each hospital on the newest state that was tested."""
    table = result.hospitals
    tested = table[table["test_examples"].notna()] if "test_examples" in table else table[:0]
    if tested.empty:
        return []
    newest = tested[tested["round"] == tested["round"].max()].drop_duplicates("hospital", keep="last")
    return [{str(name): value for name, value in row.items()} for row in newest.to_dict("records")]


def _performance(result: Result, subgroups: Subgroups) -> Iterator[str]:
    rows = _newest(result)
    if not rows:
        yield "**Not tested:** no hospital has tested a state of this study, or what it found may not leave."
        return
    names = sorted({n for row in rows for n in row if n not in _OWN and not n.startswith("train_")})
    after = int(rows[0]["round"])
    yield (
        f"Tested after {after:,} rounds, by each hospital on its own patients. What hospitals add noise to, or round, "
        "is told as it came. Hospitals let these numbers out to the researcher; ask them before publishing."
    )
    if after != result.round:
        yield f"**Older than the model:** that is {result.round:,} rounds old."
    by_hospital = [
        (row["hospital"], _count(row["test_examples"]), *(_number(row.get(name)) for name in names)) for row in rows
    ]
    yield _table(("hospital", "rows tested", *map(plain, names)), by_hospital)
    if names:
        spread = [(name, *_spread([row.get(name) for row in rows])) for name in names]
        yield _table(
            ("metric", "lowest to highest hospital", "hospitals"), [(n, told, count) for n, told, count in spread]
        )
    last = {str(name): value for name, value in result.rounds.iloc[-1].to_dict().items()}
    grouped = {
        f"mean_{name}" for metrics in subgroups.values() for name in metrics
    }  # means of all patients tell nothing
    over_all = {n: v for n, v in last.items() if (n == "federated_auc" or n.startswith("mean_")) and n not in grouped}
    if over_all:
        yield _table(("over all hospitals", "value"), [(name, _number(value)) for name, value in over_all.items()])


def _spread(values: Sequence[Any]) -> tuple[str, str]:
    known = [float(value) for value in values if _number(value) != "not told"]
    if not known:
        return "not told", "0"
    return f"{_number(min(known))} to {_number(max(known))}", f"{len(known):,}"


def _groups(result: Result, subgroups: Subgroups) -> Iterator[str]:
    if not subgroups:
        yield (
            "**Missing.** No metrics of groups of patients (sex, age, origin) are named. They exist only where the "
            "study's code computes them, the approval names them, and hospitals' policies let groups of that size out."
        )
        return
    rows = _newest(result)
    for group, metrics in subgroups.items():
        told = [name for name in metrics if any(_number(row.get(name)) != "not told" for row in rows)]
        if missing := [name for name in metrics if name not in told]:
            raise InvalidInput(
                f"No hospital reported {', '.join(map(repr, missing))} of the group {group!r}.",
                "Name metrics that the study released: see result.hospitals.",
            )
        cells = [(row["hospital"], *(_number(row.get(n)) for n in metrics), _gap(row, metrics)) for row in rows]
        yield f"**{plain(group)}**, as the study's code defines it:"
        yield _table(("hospital", *map(plain, metrics), "largest gap"), cells)
    yield (
        "They are not pooled: how many patients of each group a hospital has is not known here. A gap may be chance "
        f"where groups are small. Whether it is acceptable: {PEOPLE}."
    )


def _gap(row: Mapping[str, Any], metrics: Sequence[str]) -> str:
    known = [float(row[name]) for name in metrics if _number(row.get(name)) != "not told"]
    return _number(max(known) - min(known)) if len(known) > 1 else "not told"


def _privacy(result: Result, delta: float) -> Iterator[str]:
    m = result.manifest
    if m.asked is not None:
        spent = epsilon(m.plan(m.rounds), delta)
        noise = f", noise multiplier {m.asked.noise_multiplier:g}" if isinstance(m.asked, Training) else ""
        yield (
            f"Differentially private at each hospital, for each patient there: epsilon {spent:.3g} at delta {delta:g} "
            f"for all {m.rounds:,} rounds{noise}. A patient who is in several hospitals' tables is not covered by that "
            "number. The hospitals' own ledgers are what counts."
        )
    elif result.notes:
        yield from (plain(note) for note in result.notes)
    else:
        yield (
            "**No differential-privacy guarantee.** The researcher's code computed what left, and a model can remember "
            "patients. Treat it as data about them until somebody has shown otherwise."
        )
    if m.secure_aggregation:
        least = m.secure_aggregation.threshold
        yield f"Only sums over at least {least} hospitals could be read, of models and of tests."
    if m.gossip:
        yield f"{len(m.gossip.hospitals)} hospitals trained without a centre and read their neighbours' models."


def _problems(result: Result) -> Iterator[str]:
    table = result.hospitals
    failed = table[table["problem"].astype(str) != ""] if "problem" in table else table[:0]
    if failed.empty:
        yield "Every hospital that was asked answered every time."
        return
    counts = Counter(zip(failed["hospital"].astype(str), failed["problem"].astype(str), strict=True))
    rows = [(hospital, problem, f"{count:,}") for (hospital, problem), count in sorted(counts.items())]
    yield _table(("hospital", "what it said, or did not", "times"), rows)


def _governance(version: str, replaces: str) -> Iterator[str]:
    yield _table(
        ("what", "value"),
        [
            ("Version", version or "not named"),
            ("Replaces", replaces or "not named"),
            ("Hospitals' approvals", "signed, in each hospital's own record: wardround report STUDY"),
        ],
    )
    yield f"Released by, on, after which review: {PEOPLE}. To be retired when, or on which sign: {PEOPLE}."
    yield f"Who watches how it does in use: {PEOPLE}."


def _number(value: Any) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return "not told"
    return f"{number:.4g}" if math.isfinite(number) else "not told"


def _count(value: Any) -> str:
    return f"{int(value):,}" if _number(value) != "not told" else "not told"
