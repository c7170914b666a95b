"""One hospital, an honest researcher, and one that is not; the same attack runs against stock Syft and against ours."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datasites.wire.login import login
from tests.support.parties import Party, befriend, join, submit
from tests.support.plain import stock_login

# in each sync the attacker's box is read before the honest one's
OWNER, EVE, ZOE = "owner@ward.org", "eve@evil.org", "zoe@uni.org"
HOSTILE, HONEST, ANN = "do@bad.org", "do@good.org", "ann@uni.org"
SECRET = "one row of a patient"

Happened = Callable[[], bool]  # whether the attack has had its effect


@dataclass(frozen=True)
class World:
    """`ours` says which of the two stacks runs."""

    folder: Path
    store: str
    ours: bool

    def join(self, email: str, role: str) -> Party:
        return join(self.folder, email, role, self.store, enter=login if self.ours else stock_login)


@dataclass(frozen=True)
class Ward(World):
    """A hospital with two accepted researchers, `eve` the hostile one."""

    owner: Party
    eve: Party
    zoe: Party

    def sync(self) -> None:
        """What a hospital's agent does; stock Syft's may break down, which is then what the attack was for."""
        try:
            self.owner.sync()
        except Exception:
            if self.ours:
                raise

    def honest_job_arrives(self) -> bool:
        """Whether the other researcher still gets through."""
        arriving = submit(self.zoe, self.owner, f"honest-{uuid.uuid4().hex[:8]}")
        self.sync()
        return arriving.exists()

    def files(self) -> dict[str, bytes]:
        """The hospital's tree, but for what comes from the honest researcher or is Syft's own job state."""
        paths = [p for p in self.owner.tree.rglob("*") if p.is_file() and ZOE not in p.parts]
        return {p.relative_to(self.owner.tree).as_posix(): p.read_bytes() for p in sorted(paths)}


@dataclass(frozen=True)
class Desk(World):
    """A researcher with two hospitals, `hostile` the one that lies."""

    ann: Party
    hostile: Party
    honest: Party

    def sync(self) -> None:
        try:
            self.ann.sync()
        except Exception:
            if self.ours:
                raise

    def seen(self, hospital: str, path: str) -> Path:
        return self.ann.home.syftbox / hospital / path


def make_ward(folder: Path, ours: bool) -> Ward:
    world = World(folder, f"memory:///{uuid.uuid4().hex}", ours)
    owner, eve, zoe = world.join(OWNER, "owner"), world.join(EVE, "researcher"), world.join(ZOE, "researcher")
    for researcher in (eve, zoe):
        befriend(owner, researcher)
    secret = owner.tree / "private" / "secret.txt"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text(SECRET)
    owner.sync()
    return Ward(folder, world.store, ours, owner, eve, zoe)


def make_desk(folder: Path, ours: bool) -> Desk:
    world = World(folder, f"memory:///{uuid.uuid4().hex}", ours)
    ann = world.join(ANN, "researcher")
    hostile, honest = world.join(HOSTILE, "owner"), world.join(HONEST, "owner")
    for hospital in (hostile, honest):
        befriend(hospital, ann)
    return Desk(folder, world.store, ours, ann, hostile, honest)
