"""How a simulated machine decides: policy and rules, what it knows of run times, and how often it looks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiosd.errors import InvalidArgument
from aiosd.scheduling.registry import POLICIES
from aiosd.scheduling.rules import Backfill, BackfillOrder, QueueSettings, SchedulingRules


class RunTimes(StrEnum):
    """What the scheduler believes of how long jobs run."""

    ASKED = "asked"  # as long as they may: the limit that was asked for, if any
    ACTUAL = "actual"  # the truth
    PREDICTED = "predicted"  # what it has learned from the runs that had ended by then; where there is a limit only with `rules.predict`, as in the daemon


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """`rules` and `queues` as the daemon has them; `shares` by user, absent: 1.0.

    estimate    what is believed of run times
    events      in one instant: each submission, then each end (in the order of the starts), and a pass after each, as the
                published simulators have it; what runs counts as gone at its estimated end, be that handled yet or not,
                and a submission that does not fit causes no pass. Else one pass an instant, as the daemon does it
    """

    policy: str = "fifo"
    rules: SchedulingRules = SchedulingRules()
    queues: Mapping[str, QueueSettings] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    estimate: RunTimes = RunTimes.ASKED
    events: bool = False

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InvalidArgument(f"there is no policy {self.policy[:40]!r}", hint=f"policies: {', '.join(POLICIES)}", policy=self.policy[:40])


def setup(policy: str = "fifo", backfill: str = "off", order: str = "arrival", *, estimate: str = "asked", events: bool = False) -> Setup:
    """With rules that say nothing else."""
    rules = SchedulingRules(backfill=Backfill(backfill), backfill_order=BackfillOrder(order))
    return Setup(policy=policy, rules=rules, estimate=RunTimes(estimate), events=events)
