"""The methods of `benchmarks.algorithms` with several models, or with a start on synthetic patients, by the library's
own aggregations and the hospital's own counting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.topologies import Problem, Travel, initial, trained
from datasites.catalog.validate import conform
from datasites.catalog.view import study_view
from datasites.training.private.marginals import TrustedMarginals
from datasites.wire.arrays import Arrays, nbytes
from datasites.wire.dictionary import Dictionary
from datasites.wire.statistics import STATISTICS
from notebooks.demo.hospitals import PSEUDONYM_KEY
from researcher.anchors import Anchor
from researcher.ifca import Grouped, Seeding, choices_of, models_of, with_choices
from researcher.private_marginals import PrivateMarginals
from researcher.strategies import FedAvg
from researcher.strategies.layout import Layout

DELTA, SAMPLED, ANCHOR_STEPS = 1e-5, 30_000, 300
_DICTIONARY = Path(__file__).parents[1] / "notebooks" / "readmission" / "dictionary.toml"


def ifca(k: int) -> Travel:
    """Hospitals choose by the loss on their validation patients; a choice is k models sent, besides the round."""

    def run(problem: Problem, rounds: int) -> Iterator[tuple[dict[str, Arrays], int]]:
        hospitals, state = list(problem.tables), initial(problem)
        layout, memory, sent = Layout(state), {}, 2 * nbytes(state) * len(hospitals)
        for number in range(1, rounds + 1):
            models = [layout.arrays(model) for model in models_of(memory)]
            if models:
                memory = with_choices(memory, {hospital: _best(problem, hospital, models) for hospital in hospitals})
            aggregation = Grouped(layout, memory) if models else Seeding(layout, k)
            for hospital in hospitals:
                start = models[choices_of(memory)[hospital]] if models else state
                aggregation.add(trained(problem, hospital, start, number))
            state, memory = aggregation.result()
            own = {h: layout.arrays(models_of(memory)[choice]) for h, choice in choices_of(memory).items()}
            yield own, sent + (k * nbytes(state) * len(hospitals) if models else 0)

    return run


def anchored(epsilon: float, around: str | None) -> Travel:
    """FedAvg from a model that was pre-trained on synthetic patients of all hospitals."""

    def run(problem: Problem, rounds: int) -> Iterator[tuple[dict[str, Arrays], int]]:
        yield from averaged(pretrained(problem, epsilon, around))(problem, rounds)

    return run


def averaged(state: Arrays) -> Travel:
    """FedAvg from this state."""

    def run(problem: Problem, rounds: int) -> Iterator[tuple[dict[str, Arrays], int]]:
        current = state
        for number in range(1, rounds + 1):
            aggregation = FedAvg().begin(current, {})
            for hospital in problem.tables:
                aggregation.add(trained(problem, hospital, current, number))
            current, _ = aggregation.result()
            yield dict.fromkeys(problem.tables, current), 2 * nbytes(current) * len(problem.tables)

    return run


def pretrained(problem: Problem, epsilon: float, around: str | None) -> Arrays:
    """As `researcher.pretrain` does it, but for the sandbox."""
    dictionary = Dictionary.load(_DICTIONARY)
    asked = PrivateMarginals(
        "anchor", "Benchmark", "readmissions", list(dictionary.columns), epsilon=epsilon, delta=DELTA, around=around
    ).statistics(dictionary)
    rows = {h: TrustedMarginals(asked, view).evaluate({})[1][STATISTICS] for h, view in problem.tables.items()}
    synthetic = Anchor(asked, dictionary, rows).sample(SAMPLED, problem.config["seed"])
    view = study_view(conform(synthetic, dictionary), dictionary, list(dictionary.columns), PSEUDONYM_KEY)
    settings = {**problem.config, "max_batches": ANCHOR_STEPS, "round": 1}
    state: Arrays = problem.study.fit(initial(problem), view, settings)[0]
    return state


def _best(problem: Problem, hospital: str, models: list[Arrays]) -> int:
    settings = {**problem.config, "evaluate_on": "validation", "round": 0}
    losses = [problem.study.evaluate(model, problem.tables[hospital], settings)[1]["loss"] for model in models]
    return losses.index(min(losses))
