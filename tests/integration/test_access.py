"""The gate over a real socket: who may what, what is shown of others' jobs, what the trail records, and what is too much."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from aios.v1 import jobs_pb2 as pb
from aios.v1 import node_pb2, queues_pb2
from aios.v1.jobs_pb2_grpc import JobsStub
from aios.v1.node_pb2_grpc import NodeStub
from aios.v1.queues_pb2_grpc import QueuesStub
from aiosd.access.principal import Principal, Role
from aiosd.access.rates import Allowance, Rates
from aiosd.errors import NotFound, Unauthenticated
from aiosd.jobs.job import Job, Owner
from aiosd.rpc import auth
from aiosd.rpc.auth import Gate
from aiosd.rpc.context import Context
from tests.fakes.rpc_world import World, daemon, error_of
from tests.unit.rpc.records import OWNER

PEOPLE = {
    "ada": Principal(OWNER.uid, OWNER.gid, OWNER.name, Role.USER),
    "bob": Principal(1001, 1001, "bob", Role.USER),
    "vic": Principal(1002, 1002, "vic", Role.VIEWER),
    "opa": Principal(1003, 1003, "opa", Role.OPERATOR),
    "root": Principal(0, 0, "root", Role.ADMIN),
}
Talk = Callable[[grpc.aio.Channel, World], Awaitable[None]]


class Named:
    """Believes what the call says of itself."""

    async def principal(self, context: Context) -> Principal:
        found = PEOPLE.get(str(dict(context.invocation_metadata() or ()).get("user")))
        if found is None:
            raise Unauthenticated("who are you?", hint="say user")
        return found


@dataclass
class Kept:
    """A trail that a test reads."""

    records: list[tuple[str, str, str, bool, str]] = field(default_factory=list)

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
        self.records.append((principal.name if principal else "", method, object_, allowed, detail))


class NamedWorld(World):
    """Job 42 is ada's; names are known among one's own jobs only."""

    async def get(self, ref: str, among: Owner | None = None) -> Job:
        if among is not None and among.uid != OWNER.uid:
            raise NotFound(f"there is no job named {ref!r}", hint="see `aiosctl ps -a`")
        return await super().get(ref, among)


def with_gate(directory: Path, talk: Talk, rates: Rates | None = None) -> tuple[World, Kept]:
    kept = Kept()

    async def main() -> World:
        world = NamedWorld()
        async with asyncio.timeout(60), daemon(directory, world, Gate(Named(), kept, rates)) as (_, channel):
            await talk(channel, world)
        return world

    return asyncio.run(main()), kept


def says(user: str) -> tuple[tuple[str, str], ...]:
    return (("user", user),)


async def refused(call: Awaitable[object], code: grpc.StatusCode = grpc.StatusCode.PERMISSION_DENIED) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value.details()
    error = error_of(caught.value)
    assert error is not None
    assert error.hint
    return str(caught.value.details())


async def everything(call: AsyncIterator[object]) -> list[object]:
    return [message async for message in call]


def test_a_stranger_gets_nothing_but_health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "LINGER_S", 0.001)
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2
    from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs, none = JobsStub(channel), grpc.StatusCode.UNAUTHENTICATED
        await refused(jobs.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec()])), none)
        await refused(everything(jobs.Watch(pb.WatchJobsRequest())), none)
        await refused(jobs.WriteInput(iter([pb.InputChunk(job_id="42")])), none)
        await refused(everything(jobs.Attach(iter([pb.AttachRequest(job_id="42")]))), none)
        await refused(channel.unary_unary("/aios.v1.Jobs/Get")(b"\xff\xff"), none)  # before it is even read
        await refused(everything(ServerReflectionStub(channel).ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))), none)
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        for _ in range(200):
            await refused(jobs.Get(pb.GetJobRequest(id="42")), none)

    world, kept = with_gate(tmp_path, talk)
    assert not world.submitted
    assert not world.notes
    assert 10 < len(kept.records) < 150  # recorded, but not as many as anybody likes
    assert all((user, allowed) == ("", False) for user, _, _, allowed, _ in kept.records)


def test_roles_decide_before_anything_happens(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs, node, queues = JobsStub(channel), NodeStub(channel), QueuesStub(channel)
        said = await refused(jobs.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec()]), metadata=says("vic")))
        assert "vic may not submit (Jobs.Submit): that takes" in said
        assert "takes the role user" in said
        assert "vic has the role viewer" in said
        await refused(node.Drain(node_pb2.DrainRequest(), metadata=says("ada")))
        await refused(queues.Set(queues_pb2.SetQueueRequest(name="q"), metadata=says("ada")))
        await refused(node.Stop(node_pb2.StopRequest(), metadata=says("opa")))
        await node.Drain(node_pb2.DrainRequest(), metadata=says("opa"))
        await node.Stop(node_pb2.StopRequest(), metadata=says("root"))
        await jobs.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(command=["a"])]), metadata=says("bob"))

    world, kept = with_gate(tmp_path, talk)
    assert world.notes == ["drained", "asked to stop"]
    assert [owner.name for _, owner, _, _ in world.submitted] == ["bob"]
    told = [(user, method, about, allowed) for user, method, about, allowed, _ in kept.records]
    assert told == [
        ("vic", "Jobs.Submit", "", False), ("ada", "Node.Drain", "node", False), ("ada", "Queues.Set", "queue q", False), ("opa", "Node.Stop", "node", False),
        ("opa", "Node.Drain", "node", True), ("root", "Node.Stop", "node", True), ("bob", "Jobs.Submit", "job 42", True),
    ]  # fmt: skip


def test_only_operators_put_jobs_before_those_of_others(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs = JobsStub(channel)
        for spec in (pb.JobSpec(command=["a"], priority=1), pb.JobSpec(command=["a"], nice=-1)):
            said = await refused(jobs.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(command=["a"]), spec]), metadata=says("ada")))
            assert "ada may not ask for" in said
            await jobs.Submit(pb.SubmitJobsRequest(specs=[spec]), metadata=says("opa"))
        await jobs.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(command=["a"], priority=-5, nice=19)]), metadata=says("ada"))
        for change in ({"priority": 3}, {"nice": -2}):
            await refused(jobs.Update(pb.UpdateJobRequest(id="42", **change), metadata=says("ada")))
            await jobs.Update(pb.UpdateJobRequest(id="42", **change), metadata=says("opa"))
        await jobs.Update(pb.UpdateJobRequest(id="42", priority=-1, nice=5), metadata=says("ada"))

    world, _ = with_gate(tmp_path, talk)
    assert [owner.name for _, owner, _, _ in world.submitted] == ["opa", "opa", "ada"]
    assert [note for note in world.notes if note.startswith("update")] == ["update 42 3", "update 42 None", "update 42 -1"]


def test_owners_act_on_their_own_operators_on_all(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs = JobsStub(channel)
        for user, denied in (("ada", ""), ("bob", "DENIED"), ("opa", "")):
            answer = await jobs.Cancel(pb.JobSelection(ids=["42", "99"], reason=user), metadata=says(user))
            assert [(result.id, result.error_reason) for result in answer.results] == [("42", denied), ("99", "NOT_FOUND")], user
            assert (f"cancel 42 {user} False" in world.notes or f"cancel 42,99 {user} False" in world.notes) is not bool(denied)
        said = await refused(jobs.Update(pb.UpdateJobRequest(id="42", priority=9), metadata=says("bob")))
        assert "on job 42, which is another user's" in said
        assert (await jobs.Update(pb.UpdateJobRequest(id="42", priority=9), metadata=says("opa"))).id == "42"
        await refused(jobs.Stats(pb.GetJobRequest(id="42"), metadata=says("bob")))
        await refused(everything(jobs.Logs(pb.JobLogsRequest(id="42"), metadata=says("bob"))))
        for user in ("bob", "opa"):  # typing into a job is being its user
            await refused(jobs.WriteInput(iter([pb.InputChunk(job_id="42", data=b"x", end=True)]), metadata=says(user)))
            await refused(everything(jobs.Attach(iter([pb.AttachRequest(job_id="42")]), metadata=says(user))))
        for user in ("ada", "root"):
            await jobs.WriteInput(iter([pb.InputChunk(job_id="42", data=b"x", end=True)]), metadata=says(user))

        await jobs.Hold(pb.JobSelection(ids=["42"]), metadata=says("bob"))

    world, kept = with_gate(tmp_path, talk)
    assert world.typed == b"xx"
    told = [(user, about, allowed) for user, method, about, allowed, _ in kept.records if method in ("Jobs.Cancel", "Jobs.Hold")]
    of_bob_s_cancel, of_bob_s_hold = [("bob", "job 42", False), ("bob", "job 99", True)], [("bob", "job 42", False)]
    assert told == [("ada", "job 42, 99", True), *of_bob_s_cancel, ("opa", "job 42, 99", True), *of_bob_s_hold]  # nothing denied is called allowed
    assert not [note for note in world.notes if note.startswith(("terminal", "update 42 5"))]
    assert ("bob", "Jobs.Cancel", "job 42", False) in [record[:4] for record in kept.records]
    assert ("bob", "Jobs.Attach", "job 42", False) in [record[:4] for record in kept.records]
    assert ("opa", "Jobs.Cancel", "job 42, 99", True) in [record[:4] for record in kept.records]
    assert not [record for record in kept.records if record[1] == "Jobs.Logs" and record[3]]  # what only looks is recorded when it is denied


def test_others_jobs_are_shown_without_what_is_private(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs = JobsStub(channel)
        for user, hidden in (("ada", False), ("bob", True), ("vic", True), ("opa", False)):
            shown = [
                await jobs.Get(pb.GetJobRequest(id="42", with_environment=True), metadata=says(user)),
                (await jobs.List(pb.ListJobsRequest(page_size=1), metadata=says(user))).jobs[0],
                await jobs.Wait(pb.WaitJobRequest(id="42", timeout_s=0.01), metadata=says(user)),
                (await jobs.Watch(pb.WatchJobsRequest(), metadata=says(user)).read()).job,
            ]
            for job in shown:
                assert (job.redacted, "train" in str(job), "HOME" in str(job)) == (hidden, not hidden, False), user

    with_gate(tmp_path, talk)


def test_why_and_schedule_tell_nothing_of_how_others_jobs_went(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs, queues = JobsStub(channel), QueuesStub(channel)
        ours = {"ada": (1, [""], 2), "bob": (0, ["bobs-account"], 1), "vic": (0, [""], 1), "opa": (1, ["bobs-account"], 2)}
        for user, (suggestions, accounts, adjustments) in ours.items():
            why = await jobs.Why(pb.GetJobRequest(id="42"), metadata=says(user))
            schedule = await queues.Schedule(queues_pb2.ScheduleRequest(), metadata=says(user))
            assert (len(why.suggestions), [each.account for each in why.ahead_jobs], len(schedule.adjustments)) == (suggestions, accounts, adjustments), user

    with_gate(tmp_path, talk)


def test_filters_and_names_tell_nothing_either(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs = JobsStub(channel)
        await jobs.List(pb.ListJobsRequest(filter=pb.JobFilter(name="train"), page_size=1), metadata=says("bob"))
        await jobs.List(pb.ListJobsRequest(filter=pb.JobFilter(labels={"a": "b"}, users=["ada"]), page_size=1), metadata=says("bob"))
        assert [each.users for each in world.filters] == [{"bob"}, {""}]
        for call in (jobs.Get, jobs.Why, jobs.Stats):
            await refused(call(pb.GetJobRequest(id="train"), metadata=says("bob")), grpc.StatusCode.NOT_FOUND)
        assert (await jobs.Get(pb.GetJobRequest(id="train"), metadata=says("ada"))).id == "42"
        assert (await jobs.Get(pb.GetJobRequest(id="train"), metadata=says("opa"))).id == "42"
        answer = await jobs.Cancel(pb.JobSelection(ids=["train"]), metadata=says("bob"))
        assert [(result.id, result.error_reason) for result in answer.results] == [("train", "NOT_FOUND")]

    with_gate(tmp_path, talk)


def test_one_users_loop_is_slowed_down_and_then_refused(tmp_path: Path) -> None:
    rates = Rates(Allowance(calls_per_s=5.0, burst=10.0, open_calls=1000, longest_wait_s=1.0))

    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs = JobsStub(channel)

        async def call(user: str) -> grpc.StatusCode:
            try:
                await jobs.Get(pb.GetJobRequest(id="42"), metadata=says(user))
            except grpc.aio.AioRpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        flood = await asyncio.gather(*(call("ada") for _ in range(200)))
        assert set(flood) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert flood.count(grpc.StatusCode.OK) >= 15
        assert set(await asyncio.gather(*(call("bob") for _ in range(10)))) == {grpc.StatusCode.OK}  # nobody else pays
        assert set(await asyncio.gather(*(call("opa") for _ in range(200)))) == {grpc.StatusCode.OK}  # nor who looks after it all
        assert "calls too much" in await refused(_until_refused(jobs), grpc.StatusCode.RESOURCE_EXHAUSTED)

    with_gate(tmp_path, talk, rates)


def test_open_streams_are_counted_and_given_back(tmp_path: Path) -> None:
    rates = Rates(Allowance(open_calls=3))

    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs = JobsStub(channel)
        watches = [jobs.Watch(pb.WatchJobsRequest(), metadata=says("ada")) for _ in range(3)]
        for watch in watches:
            await watch.read()
        said = await refused(everything(jobs.Watch(pb.WatchJobsRequest(), metadata=says("ada"))), grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert "3 calls are open" in said
        watches[0].cancel()
        async with asyncio.timeout(30):
            while "watch closed" not in world.notes:
                await asyncio.sleep(0.01)
        assert (await jobs.Get(pb.GetJobRequest(id="42"), metadata=says("ada"))).id == "42"
        for watch in watches:
            watch.cancel()

    with_gate(tmp_path, talk, rates)


def test_one_call_that_is_denied_for_many_jobs_is_one_line_of_the_trail(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        answer = await JobsStub(channel).Cancel(pb.JobSelection(ids=["42"] * 1000), metadata=says("bob"))
        assert {result.error_reason for result in answer.results} == {"DENIED"}

    _, kept = with_gate(tmp_path, talk, Rates(Allowance()))
    ((user, method, about, allowed, detail),) = [record for record in kept.records if not record[3]]
    assert (user, method, allowed) == ("bob", "Jobs.Cancel", False)
    assert about == f"job {', '.join(['42'] * 20)} and 980 more"
    assert "another user's" in detail


def test_a_call_about_too_many_jobs_is_refused_early_by_its_field(tmp_path: Path) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        jobs = JobsStub(channel)
        for user, most in (("ada", 1000), ("root", 10_000)):
            submission, selection = pb.SubmitJobsRequest(specs=[pb.JobSpec(command=["a"])] * (most + 1)), pb.JobSelection(ids=["42"] * (most + 1))
            said = await refused(jobs.Submit(submission, metadata=says(user)), grpc.StatusCode.INVALID_ARGUMENT)
            assert f"specs has {most + 1} jobs" in said
            said = await refused(jobs.Cancel(selection, metadata=says(user)), grpc.StatusCode.INVALID_ARGUMENT)
            assert f"ids has {most + 1} items" in said
        assert not world.submitted
        assert not world.notes
        await jobs.Submit(pb.SubmitJobsRequest(specs=[pb.JobSpec(command=["a"])] * 1000), metadata=says("ada"))
        assert len(world.submitted) == 1

    with_gate(tmp_path, talk, Rates(Allowance()))


@pytest.mark.parametrize(
    ("method", "request_", "name"),
    [
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec(name="x" * 5000)]), "name"),
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec()], idempotency_key="x" * 300), "idempotency_key"),
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec(labels={str(n): "" for n in range(1001)})]), "labels"),
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec(dependencies=[pb.Dependency(kind=pb.Dependency.AFTER, job_id="1")] * 10_001)]), "dependencies"),
        ("Submit", pb.SubmitJobsRequest(specs=[pb.JobSpec(array="1," * 600_000)]), "array"),
        ("Cancel", pb.JobSelection(ids=["1"] * 10_001), "ids"),
        ("Cancel", pb.JobSelection(ids=["1" * 5000]), "ids[0]"),
        ("Cancel", pb.JobSelection(ids=["1"], reason="x" * 5000), "reason"),
        ("Get", pb.GetJobRequest(id="x" * 5000), "id"),
        ("List", pb.ListJobsRequest(filter=pb.JobFilter(ids=["1"] * 10_001)), "filter.ids"),
        ("List", pb.ListJobsRequest(filter=pb.JobFilter(users=["a"] * 1001)), "filter.users"),
        ("List", pb.ListJobsRequest(filter=pb.JobFilter(name="x" * 5000)), "filter.name"),
        ("List", pb.ListJobsRequest(page_token="x" * 5000), "page_token"),
        ("Update", pb.UpdateJobRequest(id="1", name="x" * 5000), "name"),
    ],
)
def test_what_is_too_long_is_refused_by_its_field(tmp_path: Path, method: str, request_: object, name: str) -> None:
    async def talk(channel: grpc.aio.Channel, world: World) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await getattr(JobsStub(channel), method)(request_, metadata=says("root"))
        error = error_of(caught.value)
        assert error is not None
        assert (caught.value.code(), error.facts["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, name)
        assert not world.submitted

    with_gate(tmp_path, talk)


async def _until_refused(jobs: JobsStub) -> None:
    await asyncio.gather(*(jobs.Get(pb.GetJobRequest(id="42"), metadata=says("ada")) for _ in range(100)))
