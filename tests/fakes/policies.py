"""Policies that fail, each in its own way, to be put in the place of one that does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf, nan

from aiosd.ids import JobId
from aiosd.resources.grant import CpuGrant, DeviceGrant, Grant
from aiosd.scheduling.passes import Pass
from aiosd.scheduling.policy import Eviction, Plan, Planned, Policy, Snapshot, Start
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import PreemptMode

GIB = 1 << 30


def first(world: Snapshot) -> JobId:
    """The oldest that waits."""
    return min(job_class.oldest for lane in world.lanes for _, job_class in lane)


def grant(*cpus: int, memory_bytes: int = GIB) -> Grant:
    return Grant(tuple(CpuGrant(cpu, 1000) for cpu in cpus), memory_bytes)


def _raises(world: Snapshot) -> Plan:
    raise ZeroDivisionError("shares of nobody")


def _raises_while_it_holds(world: Snapshot) -> Plan:
    """In the middle of a pass: what it has taken and withheld is still open."""
    this_pass = Pass(world)
    for lane in world.lanes:
        for _, job_class in lane:
            if not this_pass.start(job_class.key, job_class.oldest):
                this_pass.hold(job_class.key, job_class.oldest)
    raise RuntimeError(this_pass)  # whoever keeps the error keeps the pass


def _starts(*starts: Start) -> Plan:
    return Plan(starts)


IMPOSSIBLE: dict[str, tuple[Policy, str]] = {
    "raises": (_raises, "it raised ZeroDivisionError: shares of nobody (policies.py, line "),
    "raises while it holds": (_raises_while_it_holds, "it raised RuntimeError"),
    "no plan": (lambda world: None, "it returned NoneType, which is no plan"),  # type: ignore[arg-type, return-value]
    "held": (lambda world: _starts(Start(first(world), grant(0))), "it gives what is not free: 1 of processor 0"),
    "not there": (lambda world: _starts(Start(first(world), grant(99))), "of processor 99, of which 0 is free"),
    "no such device": (
        lambda world: _starts(Start(first(world), replace(grant(3), devices=(DeviceGrant("GPU-9", "gpu", 9, 1000, 0),)))),
        "GPU-9, which this machine has not",
    ),
    "ill device": (
        lambda world: _starts(Start(first(world), replace(grant(3), devices=(DeviceGrant("GPU-0", "gpu", 0, 1000, 0),)))),
        "GPU-0, which is in quarantine",
    ),
    "twice what is free": (
        lambda world: _starts(*(Start(i, grant(3)) for i in sorted(i for lane in world.lanes for _, c in lane for i in c)[:2])),
        "it gives what is not free: 2 of processor 3, of which 1 is free",
    ),
    "nothing": (lambda world: _starts(Start(first(world), Grant((), GIB))), "no processor"),
    "too little": (lambda world: _starts(Start(first(world), grant(3, memory_bytes=1))), "less memory or disk than it asks for"),
    "negative": (lambda world: _starts(Start(first(world), Grant((CpuGrant(3, 2000), CpuGrant(2, -1000)), GIB))), "no processor"),
    "unknown job": (lambda world: _starts(Start(JobId(99), grant(3))), "it starts job 99, which does not wait to be started"),
    "running job": (lambda world: _starts(Start(JobId(1), grant(3))), "it starts job 1, which does not wait to be started"),
    "the same job twice": (lambda world: _starts(Start(first(world), grant(2)), Start(first(world), grant(3))), "twice"),
    "an array": (lambda world: _starts(Start(JobId(3), grant(3))), "it starts job 3, which does not wait to be started"),
    "more of an array": (lambda world: _starts(Start(JobId(3, 0), grant(2)), Start(JobId(3, 1), grant(3))), "it starts more of job 3 than the 1 that may run"),
    "evicts what does not run": (
        lambda world: Plan((), evictions=(Eviction(JobId(99), PreemptMode.REQUEUE, first(world)),)),
        "it evicts job 99, which does not run",
    ),
    "resumes what is not suspended": (lambda world: Plan((), resumes=(JobId(1),)), "it resumes job 1, which is not suspended"),
    "no time": (lambda world: Plan((), reservations=(Planned(first(world), nan, grant(3)),)), "at nan, which is no time"),
    "never": (lambda world: Plan((), reservations=(Planned(first(world), inf, grant(3)),)), "at inf, which is no time"),
    "keeps a place for nobody": (lambda world: Plan((), reservations=(Planned(JobId(99), 0.0, grant(3)),)), "it keeps a place for job 99"),
}


@dataclass
class Broken:
    """Fails when anybody waits, until it is `mended`; how often it was asked then is counted."""

    fails: Policy
    mended: bool = False
    asked: int = field(default=0)

    def __call__(self, world: Snapshot) -> Plan:
        if not world.lanes:
            return Plan(())
        self.asked += 1
        return POLICIES["fifo"].policy(world) if self.mended else self.fails(world)


@contextmanager
def registered(policy: Policy, name: str = "broken") -> Iterator[None]:
    """A policy of this name for as long as the block lasts; in all else it is as fair is."""
    POLICIES[name] = POLICIES["fair"]._replace(policy=policy)
    try:
        yield
    finally:
        del POLICIES[name]
