"""A snapshot as text that a test can load again: the evidence against a policy."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any, get_type_hints

from aiosd.ids import JobId
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.pool import Pool
from aiosd.scheduling.encoding import decode, encode
from aiosd.scheduling.lanes import PlainLane
from aiosd.scheduling.policy import ClassKey, Estimate, JobClass, Lane, LaneKey, Rank, Snapshot
from aiosd.scheduling.reservations import Holding, Keeper, Reservation

MOST_CLASSES = 1000
MOST_JOBS = 50  # of one class
_BY_HAND = ("lanes", "pool", "keeper", "estimate")


def dump(world: Snapshot) -> str:
    """JSON of a megabyte at most or so: no commands, no environments; what is too much is left out, and counted.

    Whatever of it cannot be written is named, and never raised: this is called when something is wrong already.
    """
    found: dict[str, Any] = {}
    unwritten: dict[str, str] = {}
    for name, make in _parts(world).items():
        try:
            found[name] = make()
        except Exception as error:  # noqa: BLE001 - a part that cannot be written must not keep the others from it
            unwritten[name] = f"{type(error).__name__}: {error}"
    return json.dumps(found | {"unwritten": unwritten})


def _parts(world: Snapshot) -> dict[str, Any]:
    plain = {field.name: lambda name=field.name: encode(getattr(world, name)) for field in fields(world) if field.name not in _BY_HAND}
    return plain | {
        "runs": lambda: [encode(replace(run, key=_unnamed(run.key))) for run in world.runs],
        "lanes": lambda: _lanes(world.lanes),
        "inventory": lambda: encode(world.pool.inventory),
        "held": lambda: [encode(grant) for grant in world.pool.grants()],
        "reservations": lambda: [encode(each) for each in world.keeper.reservations] if world.keeper is not None else [],
        "estimates": lambda: _estimates(world),
    }


def _lanes(lanes: Sequence[Lane]) -> list[dict[str, Any]]:
    left, written = MOST_CLASSES, []
    for lane in lanes:
        classes = [_class(rank, job_class) for rank, job_class in islice(lane, left)]
        left -= len(classes)
        written.append({"key": encode(lane.key), "count": lane.count, "classes": classes})
    return written


def _class(rank: Rank, job_class: JobClass) -> dict[str, Any]:
    ids = [encode(job_id) for job_id in islice(job_class, MOST_JOBS)]
    return {"rank": list(rank), "key": encode(_unnamed(job_class.key)), "count": job_class.count, "ids": ids, "eligible_at_s": job_class.eligible_at_s}


def _unnamed(key: ClassKey) -> ClassKey:
    """Equal works stay equal, and nobody reads what the command was."""
    return key._replace(work=hashlib.blake2b(key.work.encode(), digest_size=8).hexdigest()) if key.work else key


def _estimates(world: Snapshot) -> list[Any]:
    keys = islice((job_class.key for lane in world.lanes for _, job_class in lane), MOST_CLASSES)
    return [[encode(_unnamed(key)), encode(replace(known, basis=""))] for key in keys if (known := world.estimate(key)) is not None]


@dataclass(frozen=True, slots=True)
class WrittenClass:
    """A JobClass as it was written."""

    key: ClassKey
    ids: tuple[JobId, ...]
    eligible_at_s: float

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def oldest(self) -> JobId:
        return self.ids[0]

    def since_s(self, job_id: JobId) -> float:
        return self.eligible_at_s

    def __iter__(self) -> Iterator[JobId]:
        return iter(self.ids)


def load(text: str) -> Snapshot:
    """The snapshot that `dump` wrote. Its pool is a pool of its own: what a policy takes from it stays taken."""
    written = json.loads(text)
    hints = get_type_hints(Snapshot)
    plain = {name: decode(hints[name], value) for name, value in written.items() if name in hints and name not in _BY_HAND}
    pool = Pool(decode(Inventory, written["inventory"]))
    for grant in written["held"]:
        pool.adopt(decode(Grant, grant))
    lanes = [PlainLane(decode(LaneKey, lane["key"]), tuple(map(_read, lane["classes"]))) for lane in written["lanes"]]
    estimates = {decode(ClassKey, key): decode(Estimate, known) for key, known in written.get("estimates", ())}
    world = Snapshot(**plain, lanes=[lane for lane in lanes if lane.classes], pool=pool, estimate=estimates.get)
    reservations = [decode(Reservation, each) for each in written.get("reservations", ())]
    holdings = [Holding(run.key.user, run.grant, run.latest_end_s) for run in world.runs]
    return replace(world, keeper=Keeper(reservations, holdings, pool.inventory, world.now_s)) if reservations else world


def _read(written: dict[str, Any]) -> tuple[Rank, WrittenClass]:
    ids = tuple(decode(JobId, job_id) for job_id in written["ids"])
    return tuple(written["rank"]), WrittenClass(decode(ClassKey, written["key"]), ids, written["eligible_at_s"])
