"""A real S3 store over lines that fail in the ways lines do, and one that keeps no order: every study ends with the
numbers of an undisturbed one, by itself or when it is run on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

import researcher as wr
from datasites.wire import keys
from datasites.wire.store import Store
from policies.errors import Unavailable
from tests.support.faulty import Faulty, before
from tests.support.federation import PATIENCE, World, expected_state, same_bits, wait_for
from tests.support.s3 import S3, serve_s3
from tests.support.unruly import Unruly, unruly

pytestmark = pytest.mark.slow
ROUNDS = 3


@dataclass
class Line:
    """A federation over S3: its participants reach the store by `proxy`, and behind that by `order`."""

    world: World
    proxy: Faulty
    order: Unruly
    server: S3

    def clear(self) -> None:
        self.proxy.mode, self.proxy.delay, self.proxy.bytes_per_second = "pass", 0.3, None
        self.order.lag = self.order.echo = 0.0

    def ends_right(self, study: wr.Submission) -> None:
        """What is left of the study is run, and its numbers are those of an undisturbed study; so are all books."""
        result = wr.Rounds(study, deadline=PATIENCE).run()
        numbers = list(range(1, ROUNDS + 1))
        assert same_bits(result.parameters, expected_state([h.table for h in self.world.hospitals], numbers))
        for hospital in self.world.hospitals:
            assert [a.number for a in hospital.datasite.state.answers(study.digest)] == [*numbers, ROUNDS + 1]
            for number in numbers:
                assert hospital.study_log(study).count(f"fit {number}\n") == 1
            assert "Traceback" not in hospital.log.read_text()
            hospital.wait_until_serving()


@pytest.fixture(scope="module")
def _line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    root = tmp_path_factory.mktemp("line")
    with (
        serve_s3(root / "s3") as server,
        unruly(server.endpoint) as order,
        before(order.endpoint) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        options = S3(proxy.endpoint).options
        options["client_options"] |= {"timeout": "5s"}  # a request that hears nothing is given up sooner than at home
        patch.setenv("WARDROUND_STORE_OPTIONS", json.dumps(options))
        world = World(root, f"{server.url}/ward")
        try:
            yield Line(world.open(store_options=options), proxy, order, server)
        finally:
            world.close()


@pytest.fixture
def line(_line: Line) -> Iterator[Line]:
    yield _line
    _line.clear()


@pytest.mark.parametrize("mode", ["reset", "truncate"])
def test_connections_that_are_cut(line: Line, mode: str) -> None:
    study = line.world.approved(rounds=ROUNDS)
    wr.Rounds(study, evaluate=False).run(rounds=1)
    line.proxy.mode = mode
    with pytest.raises(Unavailable, match="The store could not"):
        wr.Rounds(study, deadline=PATIENCE).run(rounds=1)
    line.clear()
    line.ends_right(study)


def test_two_seconds_of_latency(line: Line) -> None:
    study = line.world.approved(rounds=ROUNDS)
    wr.Rounds(study, evaluate=False).run(rounds=ROUNDS - 1)
    line.proxy.mode, line.proxy.delay = "slow", 2.0
    wr.Rounds(study, deadline=PATIENCE, evaluate=False).run(rounds=1)
    line.clear()
    line.ends_right(study)


def test_one_megabit_a_second(line: Line) -> None:
    study = line.world.approved(rounds=ROUNDS)
    line.proxy.bytes_per_second = 1e6 / 8
    line.ends_right(study)


def test_a_partition_in_the_middle_of_a_round(line: Line, background) -> None:
    """Nobody is told: packets vanish, and connections from before it are dead after it."""
    study = line.world.approved(rounds=ROUNDS, config={"pause": 1.0})
    north = line.world.hospitals[0]
    running: Future[wr.Result] = background(wr.Rounds(study, deadline=PATIENCE, evaluate=False).run, 1)
    wait_for(lambda: "fit 1" in north.study_log(study), "the round to run")
    line.proxy.mode = "hole"
    wait_for(lambda: north.datasite.state.unposted(study.digest), "an answer that cannot be posted")
    time.sleep(1.0)  # requests are under way, of all participants
    line.clear()
    running.result(PATIENCE)
    line.ends_right(study)


def test_a_store_that_is_killed_and_restarted_in_the_middle_of_a_round(line: Line, background) -> None:
    study = line.world.approved(rounds=ROUNDS, config={"pause": 1.0})
    running: Future[wr.Result] = background(wr.Rounds(study, deadline=PATIENCE, evaluate=False).run, 1)
    wait_for(lambda: "fit 1" in line.world.hospitals[0].study_log(study), "the round to run")
    line.server.restart()
    running.result(PATIENCE)
    line.ends_right(study)


def test_listings_that_lag_behind(line: Line) -> None:
    line.order.lag = 1.5
    study = line.world.approved(rounds=ROUNDS)  # the submission and the approval come through such listings too
    line.ends_right(study)
    assert line.order.late


def test_what_was_put_comes_again_later(line: Line) -> None:
    """Messages that were read and removed stand in their boxes again, and older bytes take the place of newer ones."""
    line.order.echo = 0.5
    study = line.world.approved(rounds=ROUNDS)
    line.ends_right(study)
    assert line.order.echoed


def test_old_messages_under_new_names(line: Line, background) -> None:
    """Whoever holds the store hands out what lay there before: a round's message and answers in a later one's place."""
    world, (north, south) = line.world, line.world.hospitals
    study = world.approved(rounds=ROUNDS)
    store, digest = Store(world.store, line.server.options), study.digest
    posted: dict[str, bytes] = {}

    def first_message() -> bool:
        for hospital in world.hospitals:
            posted.setdefault(hospital.email, store.get(keys.round_down(digest, hospital.email, 1)) or b"")
        return all(posted.values())

    line.proxy.mode, line.proxy.delay = "slow", 0.2
    running: Future[wr.Result] = background(wr.Rounds(study, deadline=PATIENCE, evaluate=False).run, 1)
    wait_for(first_message, "the first messages", pause=0.001)
    running.result(PATIENCE)
    line.clear()
    for number in (2, 3):
        for one, other in ((north, south), (south, north)):
            store.put(keys.round_down(digest, one.email, number), posted[one.email])
            answer = store.get(keys.round_up(digest, 1, other.email))
            store.put(keys.round_up(digest, number, one.email), answer or b"")
    line.ends_right(study)
