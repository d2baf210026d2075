"""The simulated world starts the same jobs at the same instants as the daemon's engine does, driven by hand through virtual time."""

from collections import defaultdict
from heapq import heappop, heappush

from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.clock import Instant
from aiosd.ids import JobId
from aiosd.jobs.actions import Submit
from aiosd.jobs.draft import JobDraft, RequestDraft
from aiosd.jobs.job import Exit, Owner
from aiosd.jobs.ports import Launched, RunEnded
from aiosd.jobs.settings import JobsSettings
from aiosd.simulation.records import Machine, TraceJob
from aiosd.simulation.setup import Setup, setup
from aiosd.simulation.world import World
from tests.unit.jobs import world as engines
from tests.unit.simulation.workloads import workloads

MACHINE = Machine(4000)
BEGIN = Instant(1_000_000.0, 5_000.0)
GRACE_S = 1.0


class EngineRun:
    """A real engine under virtual time, with a launcher that starts at once and ends each run when the trace says."""

    def __init__(self, jobs: list[TraceJob], chosen: Setup) -> None:
        self.jobs = jobs
        chosen_settings = JobsSettings(policy=chosen.policy, scheduling=chosen.rules, grace_s=GRACE_S)
        self.world = engines.World(engines.machine(cpus=4), chosen_settings, BEGIN)
        self.ends: list[tuple[float, int, JobId]] = []
        self.number_of: dict[JobId, int] = {}
        self.starts: list[float] = [-1.0] * len(jobs)

    def run(self) -> list[float]:
        arrivals: dict[float, list[int]] = defaultdict(list)
        for number, job in enumerate(self.jobs):
            arrivals[job.submit_s].append(number)
        while arrivals or self.ends:
            at = min([*arrivals, *(end[0] for end in self.ends[:1])])
            self._instant(at, arrivals.pop(at, []))
        return self.starts

    def _instant(self, at: float, arriving: list[int]) -> None:
        """All that happens in it is handled, and then there is one dispatch, as in a turn of the daemon."""
        world, engine = self.world, self.world.engine
        world.now = now = Instant(BEGIN.wall_s + at, BEGIN.steady_s + at)
        while self.ends and self.ends[0][0] == at:
            job_id = heappop(self.ends)[2]
            run_s = self.jobs[self.number_of[job_id]].run_s
            engine.handle(RunEnded(job_id, engine.state.jobs[job_id].attempt, Exit(now.wall_s, exit_code=0, run_s=run_s)), now)
        for number in arriving:
            self._submit(number, now)
        begun = len(world.launched)
        world.do()
        for job in world.launched[begun:]:
            self.starts[self.number_of[job.id]] = at
            heappush(self.ends, (at + self.jobs[self.number_of[job.id]].run_s, len(world.launched), job.id))
            engine.handle(Launched(job.id, job.attempt, 4000, now.wall_s, now.steady_s), now)

    def _submit(self, number: int, now: Instant) -> None:
        job = self.jobs[number]
        draft = JobDraft(
            command=("true",), cwd="/tmp", request=RequestDraft(cpu_millis=job.cpu_millis, memory_bytes=1), priority=job.priority,
            time_limit_s=max(0.0, job.limit_s - GRACE_S) if job.limit_s else 0.0, grace_s=GRACE_S,
        )  # fmt: skip
        [made] = self.world.engine.handle(Submit((draft,), [engines.EMPTY], Owner(1000 + len(job.user), 1000, job.user), "", ""), now)  # type: ignore[union-attr,misc]
        self.number_of[made.id] = number


def by_world(jobs: list[TraceJob], chosen: Setup) -> list[float]:
    return World(jobs, MACHINE, chosen).run(lambda done: None)


@settings(max_examples=40)
@given(workloads(limits=False, users=True, priorities=True), st.sampled_from(("fifo", "priority", "fair")))
def test_without_backfill(jobs: list[TraceJob], policy: str) -> None:
    chosen = setup(policy)
    assert by_world(jobs, chosen) == EngineRun(jobs, chosen).run()
