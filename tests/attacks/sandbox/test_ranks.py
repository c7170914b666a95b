"""A study of several processes may make TCP sockets; they must lead to its own processes and to nothing else."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from datasites.runner.limits import Limits
from datasites.runner.process import Worker
from datasites.runner.sandbox import bubblewrap
from datasites.runner.sandbox.bubblewrap import Bubblewrap
from tests.support.workers import ReadWorker

# those of hostile.py that go through sockets
ATTACKS = (
    "tcp",
    "udp",
    "unix_socket",
    "abstract_socket",
    "datagram_from_a_pair",
    "raw_socket_call",
    "socket_from_a_library_in_scratch",
    "resolve_a_name",
)
MORE = textwrap.dedent("""

    def made(family, kind, protocol=0):
        socket.socket(family, kind, protocol).close()
        return True

    def sees_the_machines_interfaces(config):
        return [name for _, name in socket.if_nameindex()] != ["lo"]

    def changes_its_interface(config):
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0))  # SIOCSIFFLAGS, down
        return True

    packet = lambda config: made(17, socket.SOCK_RAW, 768)
    raw = lambda config: made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    ping = lambda config: made(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    netfilter = lambda config: made(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    generic_netlink = lambda config: made(socket.AF_NETLINK, socket.SOCK_RAW, 16)
    multipath = lambda config: made(socket.AF_INET, socket.SOCK_STREAM, 262)
    stream_control = lambda config: made(socket.AF_INET, socket.SOCK_STREAM, 132)
    of_virtual_machines = lambda config: made(40, socket.SOCK_STREAM)
    of_the_kernels_ciphers = lambda config: made(38, socket.SOCK_SEQPACKET)
""")
OTHERS = [line.split(" = ")[0].strip() for line in MORE.splitlines() if " = lambda" in line]
OTHERS += ["sees_the_machines_interfaces", "changes_its_interface"]


@dataclass(frozen=True)
class SharedNetwork(Bubblewrap):
    """The mistake that must not be made: sockets allowed, and the machine's network with them."""

    def command(self, *arguments, **more) -> list[str]:
        program, *rest = super().command(*arguments, **more)
        return [program, *rest[: rest.index("--unshare-all") + 1], "--share-net", *rest[1:]]


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    hostile = Path(__file__).with_name("hostile.py").read_text()
    (folder / "study.py").write_text(hostile + MORE)
    return folder


@pytest.fixture(scope="module")
def ranks(hospital, code: Path) -> Iterator[ReadWorker]:
    if why := bubblewrap.problem():
        pytest.skip(why)
    hospital.restore()
    with _start(hospital, code, bubblewrap.tried()[0]) as worker:
        yield worker


def _start(hospital, code: Path, sandbox: Bubblewrap) -> ReadWorker:
    mine = hospital.folder / "mine"
    places = (code, mine / "table.parquet", mine / "scratch", mine / "ranks.log")
    return ReadWorker(Worker.start(*places, Limits(seconds_per_round=120), sandbox, processes=2))


def _tries(worker: ReadWorker, hospital, name: str) -> bool:
    return bool(worker.call("fit", {}, {**hospital.config, "attack": name}).metrics["worked"])


@pytest.mark.parametrize("name", [*ATTACKS, *OTHERS])
def test_sockets_lead_nowhere_else(ranks, hospital, name):
    hospital.heard()
    assert not _tries(ranks, hospital, name)
    assert not hospital.heard()


def test_it_is_the_network_of_their_own_that_holds_them(hospital, code):
    if why := bubblewrap.problem():
        pytest.skip(why)
    hospital.restore()
    hospital.heard()
    with _start(hospital, code, SharedNetwork(names_host=False)) as worker:
        assert _tries(worker, hospital, "tcp")
        assert hospital.heard()
        assert not _tries(worker, hospital, "udp")  # the filter of system calls, all the same
