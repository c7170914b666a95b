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
from tests.support.faulty import Faulty, before
from tests.support.federation import PATIENCE, World, expected_state, same_bits, wait_for
from tests.support.s3 import S3, serve_s3
from tests.support.unruly import Unruly, unruly

pytestmark = pytest.mark.slow
ROUNDS = 7


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


def test_a_study_over_a_line_that_fails_in_every_way(line: Line, background) -> None:
    world, proxy = line.world, line.proxy
    north = world.hospitals[0]
    study = world.approved(rounds=ROUNDS, config={"pause": 0.5})
    rounds = wr.Rounds(study, deadline=PATIENCE, evaluate=False)

    def round_under_way() -> Future[wr.Result]:
        running: Future[wr.Result] = background(rounds.run, 1)
        number = study.journal.checkpoint().messages + 1
        wait_for(lambda: f"fit {number}" in north.study_log(study), f"round {number} to run")
        return running

    # with "hole" nobody is told: packets vanish, and connections from before are dead afterwards
    for mode in ("reset", "truncate", "hole"):
        running = round_under_way()
        proxy.mode = mode
        wait_for(lambda: north.datasite.state.unposted(study.digest), "an answer that cannot be posted")
        time.sleep(1.0)  # requests of all participants are under way
        line.clear()
        running.result(PATIENCE)

    running = round_under_way()  # its beginning, a sync with all hospitals, takes most of a minute at this latency
    proxy.mode, proxy.delay = "slow", 2.0
    running.result(PATIENCE)
    line.clear()

    proxy.bytes_per_second = 1e6 / 8
    rounds.run(rounds=1)
    line.clear()

    running = round_under_way()
    line.server.restart()
    running.result(PATIENCE)
    line.ends_right(study)


def test_a_study_over_a_store_that_keeps_no_order(line: Line) -> None:
    """Listings lag behind; what was read and removed stands in its box again; older bytes replace newer ones; and the
    first round's messages and answers lie in the places of later rounds, and of the other hospital."""
    world, (north, south) = line.world, line.world.hospitals
    line.order.lag, line.order.echo = 1.5, 2.0
    study = world.approved(rounds=ROUNDS)  # the submission and the approval come through all this too
    store, digest = Store(world.store, line.server.options), study.digest
    rounds = wr.Rounds(study, deadline=PATIENCE, evaluate=False)
    rounds.run(rounds=1)
    for number in range(2, ROUNDS + 1):
        for one, other in ((north, south), (south, north)):
            message = line.order.bodies[f"ward/{keys.round_down(digest, one.email, 1)}"]
            store.put(keys.round_down(digest, one.email, number), message)
            answer = store.get(keys.round_up(digest, 1, other.email))
            store.put(keys.round_up(digest, number, one.email), answer or b"")
    line.ends_right(study)
    assert line.order.late
    assert line.order.echoed
