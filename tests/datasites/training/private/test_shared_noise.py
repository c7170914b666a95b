from __future__ import annotations

import numpy as np
import pytest

from datasites.training.private.patients import Patients
from datasites.training.private.randomness import SecureRandom
from datasites.training.private.shared_noise import discrete_gaussians
from datasites.training.private.statistics import TrustedStatistics, counted, released, summed
from datasites.training.private.study import TrustedStudy, trusted
from datasites.wire.statistics import STATISTICS
from datasites.wire.training import HISTOGRAM
from datasites.wire.work import Work
from policies.privacy.sharing import Sharing
from tests.datasites.training.private.test_statistics import asked, view
from tests.support.private import state, training

SHARING = Sharing(3, 2, 3)  # each adds half of the variance


def test_it_is_the_discrete_gaussian() -> None:
    """Chi-squared, with probabilities of Canonne, Kamath and Steinke 2020, at a ten-millionth."""
    deviation, count = 1.3, 4000
    drawn = discrete_gaussians(count, deviation)
    values = np.arange(-20, 21)
    weights = np.exp(-(values**2) / (2 * deviation**2))
    expected = count * weights / weights.sum()
    middle = np.abs(values) <= 3
    seen = np.array([(drawn == value).sum() for value in values[middle]])
    rest = count - seen.sum(), count - expected[middle].sum()
    statistic = ((seen - expected[middle]) ** 2 / expected[middle]).sum() + (rest[0] - rest[1]) ** 2 / rest[1]
    assert statistic < 46.0  # of seven degrees of freedom


def test_sums_of_shares_are_unbiased_and_have_the_noise_that_is_claimed() -> None:
    statistics, random = asked(noise_multiplier=5.0), SecureRandom(bytes(32))
    table = view(30).groupby("patient").head(1)  # so that nothing is drawn
    patients = Patients(counted(table, statistics), 1)
    both = [
        released(patients, statistics, random, SHARING) + released(patients, statistics, random, SHARING)
        for _ in range(150)
    ]
    errors = (np.array(both) - 2 * summed(patients, random)).ravel()
    assert abs(errors.mean()) < 6 * statistics.deviation / errors.size**0.5
    assert errors.std() == pytest.approx(statistics.deviation, rel=6 / (2 * errors.size) ** 0.5)
    steps = np.array(both) / statistics.grid
    assert np.array_equal(steps, np.rint(steps))  # so that the ring loses nothing


def test_of_a_study_whose_noise_is_shared_a_hospital_tells_no_number_of_its_own() -> None:
    table = view(60).assign(x0=1.0, x1=0.0, x2=0.0, y=0.0)
    work = Work(asked=training(), sharing=SHARING)
    study = trusted(work.model_dump_json().encode(), table)
    assert isinstance(study, TrustedStudy)
    told, arrays = study.evaluate(state())
    assert told == 1
    assert arrays[HISTOGRAM].dtype == np.int64
    counting = trusted(Work(asked=asked(), sharing=SHARING).model_dump_json().encode(), view(60))
    assert isinstance(counting, TrustedStatistics)
    assert counting.evaluate({})[0] == 1
    assert counting.evaluate({})[1][STATISTICS].dtype == np.float64
