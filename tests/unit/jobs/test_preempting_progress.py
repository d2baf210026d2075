"""In a closed system everybody gets done, whoever may preempt whom: no loops, and no preemption that does not lead to a start."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.ids import JobId
from aiosd.jobs.draft import RequestDraft
from aiosd.jobs.job import Phase
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.request import DeviceRequest
from aiosd.scheduling.rights import Rights
from aiosd.scheduling.rules import Backfill, PreemptMode, QueueSettings, SchedulingRules
from tests.unit.jobs.world import ALICE, BOB, GIB, World, draft, machine

NAMES = ("a", "b", "c")
QUEUES = st.fixed_dictionaries(
    {
        name: st.builds(
            QueueSettings, st.just(name), preempts=st.lists(st.sampled_from(NAMES), unique=True).map(tuple), preempt_mode=st.sampled_from(PreemptMode)
        )
        for name in NAMES
    }
)
JOBS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.integers(1, 4), st.integers(0, 6), st.sampled_from([0, 0, 500, 1000]), st.integers(0, 2), st.booleans(), st.booleans()
    ),
    min_size=2,
    max_size=9,
)


@settings(max_examples=80, deadline=None)
@given(queues=QUEUES, jobs=JOBS, policy=st.sampled_from(["fifo", "priority", "fair"]), backfill=st.sampled_from(Backfill), data=st.data())
def test_everybody_gets_done(
    queues: dict[str, QueueSettings], jobs: list[tuple[str, int, int, int, int, bool, bool]], policy: str, backfill: Backfill, data: st.DataObject
) -> None:
    known = {"default": QueueSettings("default"), **queues}
    world = World(machine(gpus=1), JobsSettings(policy=policy, queues=known, scheduling=SchedulingRules(backfill=backfill)))
    rights = Rights(known, SchedulingRules())
    keys, starts, owed, preempted = {}, Counter[JobId](), set[JobId](), Counter[JobId]()
    coming = list(enumerate(jobs, 1))
    for _ in range(600):
        state = world.engine.state
        active = sorted(j.id for j in state.jobs.values() if j.phase in (Phase.RUNNING, Phase.STOPPING))
        if coming and (not active or data.draw(st.booleans())):
            number, (queue, cpus, memory, gpu, priority, preemptible, bob) = coming.pop(0)
            devices = (DeviceRequest("gpu", gpu),) if gpu else ()
            request = RequestDraft(cpu_millis=1000 * cpus, memory_bytes=(1 + memory) * GIB, devices=devices)
            world.submit(draft("a", queue=queue, request=request, priority=priority, preemptible=preemptible), owner=BOB if bob else ALICE)
            keys[JobId(number)] = state.class_key(world.saved.get(JobId(number)) or state.job(JobId(number)))
        elif active:
            ending = data.draw(st.sampled_from(active))
            world.finish(ending, 75 if state.jobs[ending].phase is Phase.STOPPING else 0)
        elif not state.jobs:
            break
        else:
            world.wait(61)
        for job in world.launched:
            starts[job.id] += 1
            owed.discard(job.id)
        world.launched.clear()
        for job in (*world.engine.state.jobs.values(), *world.ended.values()):
            if job.preemptions > preempted[job.id]:
                assert job.preemptions == preempted[job.id] + 1 and job.made_room_for is not None
                assert rights.over(keys[job.made_room_for], keys[job.id])
                preempted[job.id] = job.preemptions
                if world.engine.state.jobs[job.made_room_for].phase is Phase.QUEUED:
                    owed.add(job.made_room_for)
        for job_id, times in preempted.items():
            above = sum(starts[other] + (other in owed) for other in keys if rights.over(keys[other], keys[job_id]))
            assert times <= above, "each time for a start of somebody who stands higher"
        world.begin()
        held = world.engine.state.pool.used()
        assert all(cpu.millis <= 1000 for cpu in held.cpus) and held.memory_bytes <= 16 * GIB
    assert not world.engine.state.jobs and not coming, "all have ended"
    assert not owed, "room was made, and nobody started there"
