"""A real RpcServer on a socket, over services that do what a test tells them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import grpc

from aiosd.access.principal import Principal, Role
from aiosd.errors import AiosError, NotFound
from aiosd.findings import BackedUp, Checked, Finding
from aiosd.ids import JobId
from aiosd.jobs.actions import QueueChange, Reserve, SetPolicy, Steer
from aiosd.jobs.ahead import AheadJob
from aiosd.jobs.draft import JobChange, JobDraft
from aiosd.jobs.explain import Why, WhyKind
from aiosd.jobs.history import Adjustment
from aiosd.jobs.job import Job, Owner
from aiosd.jobs.ports import JobFilter
from aiosd.jobs.schedule import ScheduleView
from aiosd.jobs.sharing import ShareNode
from aiosd.jobs.views import ChangeKind, JobEvent, LogPiece, LogWish, NodeView, Page, QosState, QueueState, Steered
from aiosd.models.ports import Use
from aiosd.monitoring.machine import DaemonInfo
from aiosd.monitoring.stats import JobStatistics, Sample
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.resources.request import Request
from aiosd.rpc.access import AccessServicer
from aiosd.rpc.admin import AdminServicer
from aiosd.rpc.auth import Gate
from aiosd.rpc.context import Context
from aiosd.rpc.jobs import Beside, JobsServicer
from aiosd.rpc.models import ModelsServicer
from aiosd.rpc.needs import NodeReport, Reloaded, Terminal
from aiosd.rpc.node import NodeServicer
from aiosd.rpc.queues import QueuesServicer
from aiosd.rpc.server import Listening, RpcServer, Servicers
from aiosd.rpc.simulation import SimulationServicer
from aiosd.scheduling.reservations import Reservation
from aiosd.scheduling.rules import QosSettings, QueueSettings, SchedulingRules
from tests.fakes.accounts import FakeAccounts
from tests.fakes.model_world import ModelWorld
from tests.unit.rpc.records import OWNER, QUEUED, RUNNING

OUTCOME = {
    "jobs": 3, "wait_mean_s": 1.0, "flow_mean_s": 2.0, "bounded_slowdown_mean": 1.5, "bounded_slowdown_max": 2.0, "makespan_s": 60.0, "utilisation": 0.5,
    "wait_p50_s": 1.0, "wait_p95_s": 2.0, "wait_max_s": 3.0, "fairness": 0.9, "user_spread": 1.2, "users": 2, "took_s": 0.1,
    "series": [{"at_s": 30.0, "wait_mean_s": 1.0, "utilisation": 0.5, "queued": 0.2}],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SameUser:
    """Whoever can connect is this user, and may do everything."""

    owner: Owner

    async def principal(self, context: Context) -> Principal:
        return Principal(self.owner.uid, self.owner.gid, self.owner.name, Role.ADMIN)


class FakeTerminal:
    """Says back what is typed, and the sizes it is given; "exit" ends it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._said: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def write(self, data: bytes) -> None:
        await self._said.put(None if data == b"exit" else data)

    async def resize(self, rows: int, columns: int) -> None:
        await self._said.put(f"{rows}x{columns}".encode())

    async def output(self) -> AsyncIterator[bytes]:
        while (data := await self._said.get()) is not None:
            yield data

    async def exit_code(self) -> int:
        return 7

    async def close(self) -> None:
        self._world.note("terminal closed")


@dataclass
class World:
    """Everything a servicer calls. `failure` is raised by every call; notes tell what happened, and can be waited for."""

    failure: Exception | None = None
    submitted: list[tuple[Sequence[JobDraft], Owner, str, str]] = field(default_factory=list)
    filters: list[JobFilter] = field(default_factory=list)
    produced: int = 0
    pieces: int = 0  # of logs; 0: endless
    piece_bytes: int = 64 * 1024
    typed: bytes = b""
    notes: list[str] = field(default_factory=list)
    noted: asyncio.Condition = field(default_factory=asyncio.Condition)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    caller: Principal = Principal(OWNER.uid, OWNER.gid, OWNER.name, Role.ADMIN, "socket", "pid 7")
    asked: list[Mapping[str, object]] = field(default_factory=list)
    models: ModelWorld | None = None
    used: Sequence[Use] = ()
    problems: Sequence[str] = ()
    events: "asyncio.Queue[JobEvent]" = field(default_factory=asyncio.Queue)

    def note(self, what: str) -> None:
        self.notes.append(what)
        task = asyncio.create_task(self._tell())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _tell(self) -> None:
        async with self.noted:
            self.noted.notify_all()

    async def until(self, what: str) -> None:
        async with asyncio.timeout(30), self.noted:
            await self.noted.wait_for(lambda: what in self.notes)

    def _maybe_fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    # JobCalls and JobViews

    async def submit(self, drafts: Sequence[JobDraft], *, owner: Owner, key: str = "", digest: str = "") -> Sequence[Job]:
        self._maybe_fail()
        self.submitted.append((drafts, owner, key, digest))
        return [replace(QUEUED, id=JobId(n)) for n, _ in enumerate(drafts, 42)]

    async def get(self, ref: str, among: Owner | None = None) -> Job:
        self._maybe_fail()
        if ref == "99":
            raise NotFound("there is no job 99", hint="see `aiosctl ps -a`", job=99)
        return RUNNING

    async def steer(self, what: Steer, refs: Sequence[str], reason: str = "", force: bool = False) -> Sequence[Steered]:
        self.note(f"{what} {','.join(refs)} {reason} {force}")
        return [Steered(ref, RUNNING) if ref != "99" else Steered(ref, error=NotFound("no 99")) for ref in refs]

    async def update(self, ref: str, change: JobChange) -> Job:
        self.note(f"update {ref} {change.priority}")
        return RUNNING

    async def why(self, ref: str) -> Why:
        ahead = (AheadJob(JobId(41), "bob", "bobs-account"),)
        return Why(JobId(42), WhyKind.BEHIND, "behind 41", "fifo", suggestions=("ask for what it used before",), ahead_jobs=ahead)

    def schedule(self) -> ScheduleView:
        """Job 42 is ada's."""
        return ScheduleView(adjustments=[Adjustment(2.0, "nothing new starts"), Adjustment(1.0, "42 took longer", JobId(42), OWNER.uid)])

    async def set_queue(self, name: str, change: QueueChange) -> QueueSettings:
        self.note(f"queue {name} {change.open}")
        return QueueSettings(name)

    async def set_policy(self, name: str = "", rules: SetPolicy | None = None) -> str:
        self.note(f"policy {name} {rules}")
        return name

    def rules(self) -> SchedulingRules:
        return SchedulingRules()

    def qos(self) -> Sequence[QosState]:
        return [QosState(QosSettings("high", priority=5), 2, 1)]

    def shares(self) -> tuple[Sequence[ShareNode], float]:
        return [ShareNode("ada", "", True, 1.0, 1.0, 0.0, 0.0, float("inf"), 1, 0, 2, 1)], 3600.0

    async def list(self, job_filter: JobFilter, page_size: int, page_token: str) -> Page:
        self.filters.append(job_filter)
        return Page([QUEUED] * page_size, f"after {page_token}", 7)

    async def watch(self, job_filter: JobFilter, since_revision: int) -> AsyncIterator[JobEvent]:
        try:
            yield JobEvent(ChangeKind.CHANGED, since_revision + 1, QUEUED)
            yield JobEvent(ChangeKind.SYNCED, since_revision + 1)
            while True:
                self._maybe_fail()
                yield await self.events.get()
        finally:
            self.note("watch closed")

    async def wait(self, ref: str, timeout_s: float) -> Job:
        self.note("waiting")
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.Event().wait()
        except TimeoutError:
            return RUNNING
        finally:
            self.note("wait ended")
        raise AssertionError

    async def logs(self, ref: str, wish: LogWish) -> AsyncIterator[LogPiece]:
        try:
            while self.pieces == 0 or self.produced < self.pieces:
                self.produced += 1
                yield LogPiece("stdout", (self.produced - 1) * self.piece_bytes, bytes(self.piece_bytes), 1)
            yield LogPiece("stdout", self.produced * self.piece_bytes, b"", 1, ended=RUNNING)
        finally:
            self.note("logs closed")

    def queues(self) -> Sequence[QueueState]:
        return [self.queue("default")]

    def queue(self, name: str) -> QueueState:
        self._maybe_fail()
        return QueueState(QueueSettings(name), 1, 2, 3.0)

    def policy(self) -> str:
        return "fifo"

    # what is beside a run, and the node

    async def stats(self, job: Job) -> JobStatistics:
        return JobStatistics((Sample(1.0, 500.0, 1024),))

    async def write(self, job: Job, data: bytes) -> None:
        self.typed += data

    async def end(self, job: Job) -> None:
        self.note("input ended")

    async def open(self, job: Job, command: Sequence[str], rows: int, columns: int) -> Terminal:
        self.note(f"terminal {' '.join(command)} {rows}x{columns}")
        return FakeTerminal(self)

    async def status(self) -> NodeReport:
        view = NodeView("drained" in self.notes, "", "fifo", {"running": 1}, ())
        return NodeReport(Inventory("box", (), 1, 2), Grant((), 0), view, DaemonInfo("0", 1, 2.0, "/s"))

    async def drain(self, reason: str) -> None:
        self.note("drained")

    async def resume(self) -> None:
        self.notes.remove("drained")

    async def set_device(self, device_id: str, quarantined: bool, reason: str, by: str) -> None:
        self._maybe_fail()
        self.note(f"device {device_id} {quarantined} {reason} {by}")

    async def reserve(self, wish: Reserve, by: str) -> Reservation:
        self._maybe_fail()
        self.note(f"reserve {wish.from_s:g} {wish.until_s:g} {','.join(wish.users)} {wish.request.cpu_millis} {wish.reason} {by}")
        return Reservation(3, wish.from_s, wish.until_s, wish.users, frozenset(), Request(wish.request.cpu_millis, 1), wish.reason, by)

    async def unreserve(self, number: int, by: str) -> Reservation:
        self._maybe_fail()
        return Reservation(number, 1.0, 2.0, ("alice",), frozenset(), Request(1000, 1), "", by)

    async def reload(self) -> Reloaded:
        self._maybe_fail()
        return Reloaded(("log.level",))

    async def stop(self) -> None:
        self.note("asked to stop")

    # StateCare

    async def backup(self, path: str, *, models: bool = True) -> BackedUp:
        self._maybe_fail()
        self.note(f"backup {path}" + ("" if models else " without models"))
        return BackedUp(path, 10, 2, 0.5, "ab" * 32, 5 if models else 0, 3 if models else 0)

    async def check(self, repair: bool) -> Checked:
        self._maybe_fail()
        return Checked([Finding("job 1", "is lost", repair, "done" if repair else "")], 7)

    # SimulationCalls

    async def simulate(self, uid: int, request: Mapping[str, object], trace: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, object]]:
        """Says how many bytes it was sent, and one outcome for each set-up; endless progress for a trace that is called so."""
        self._maybe_fail()
        self.asked.append(request)
        taken = b"".join([piece async for piece in trace])
        yield {"notes": [f"{len(taken)} bytes"]}
        try:
            while request["name"] == "endless":
                yield {"progress": {"policy": "fifo", "backfill": "off", "done": 1, "total": 2}}
                await asyncio.sleep(0.01)
        finally:
            self.note("simulation closed")
        for setup in cast(Sequence[Mapping[str, object]], request["setups"]):
            names = {"policy": setup["policy"], "backfill": cast(Mapping[str, object], setup["rules"])["backfill"]}
            yield {"progress": {**names, "done": 1, "total": 1}}
            yield {"outcome": {**OUTCOME, **names}}

    async def forecast(self, uid: int, request: Mapping[str, object]) -> AsyncIterator[Mapping[str, object]]:
        self._maybe_fail()
        self.asked.append(request)
        yield {"report": {"queue": request["queue"]}}

    async def uses(self, job_id: JobId) -> Sequence[Use]:
        return self.used

    async def again(self, job: Job) -> Sequence[str]:
        self.note(f"outputs of {job.id}")
        return self.problems

    def setup(self) -> Mapping[str, object]:
        return {"policy": "fair", "rules": {"backfill": "easy", "weights": {}}, "queues": {"night": {}}, "shares": {"ada": 2.0}}


def servicers_of(world: World) -> Servicers:
    jobs = JobsServicer(world, world, Beside(world, world, world, world))
    return Servicers(
        jobs,
        NodeServicer(world),
        QueuesServicer(world, world, {"fifo": "in order"}, world.schedule),
        AccessServicer(world.accounts, lambda: world.caller),
        AdminServicer(world),
        SimulationServicer(world),
        ModelsServicer((world.models or ModelWorld(Path("/nowhere"))).services, world, world, jobs.Submit),
    )


def server_of(world: World, socket_path: Path, gate: Gate | None = None, **listening: int) -> RpcServer:
    return RpcServer(servicers_of(world), Listening(socket_path=str(socket_path), **listening), gate or Gate(SameUser(OWNER)))


@asynccontextmanager
async def daemon(directory: Path, world: World, gate: Gate | None = None, **listening: int) -> AsyncIterator[tuple[RpcServer, grpc.aio.Channel]]:
    """A started server and a channel to it."""
    server = server_of(world, directory / "aiosd.sock", gate, **listening)
    await server.start()
    await server.serving()
    async with grpc.aio.insecure_channel(server.target) as channel:
        try:
            yield server, channel
        finally:
            await server.stop(0.0)


def error_of(call: grpc.aio.AioRpcError) -> AiosError | None:
    """The typed error's detail, as an AiosError with its reason as the message; None when gRPC failed by itself."""
    from aios.v1.errors_pb2 import ErrorDetail

    for name, value in call.trailing_metadata() or ():
        if name == "aios-error-bin":
            detail = ErrorDetail.FromString(value if isinstance(value, bytes) else value.encode())
            return AiosError(detail.reason, hint=detail.hint, **dict(detail.facts))
    return None
