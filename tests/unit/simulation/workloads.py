"""Random small workloads, as hypothesis makes them."""

from hypothesis import strategies as st

from aiosd.simulation.records import TraceJob

_users = st.sampled_from(("ada", "bob", "cy"))


@st.composite
def workloads(draw: st.DrawFn, *, most_cpus: int = 4, limits: bool = True, users: bool = False, priorities: bool = False) -> list[TraceJob]:
    """Whole seconds, so that many things happen in one instant; limits are never exceeded."""
    jobs = []
    for _ in range(draw(st.integers(1, 25))):
        submit_s, run_s = float(draw(st.integers(0, 40))), float(draw(st.integers(1, 20)))
        limit_s = run_s + draw(st.sampled_from((0, 0, 1, 10))) if limits else 0.0
        user = draw(_users) if users else "ada"
        priority = draw(st.integers(0, 2)) if priorities else 0
        jobs.append(TraceJob(submit_s, run_s, 1000 * draw(st.integers(1, most_cpus)), limit_s=limit_s, user=user, priority=priority))
    return sorted(jobs, key=lambda job: job.submit_s)
