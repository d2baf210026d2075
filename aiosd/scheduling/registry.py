"""The policies by name: to add one, write its module and add its line here."""

from typing import NamedTuple

from aiosd.scheduling.fair import fair, fair_ranking
from aiosd.scheduling.fifo import fifo, fifo_ranking
from aiosd.scheduling.ordering import by_age, by_priority
from aiosd.scheduling.policy import Policy, Ranking, Within
from aiosd.scheduling.priority import priority, priority_ranking


class Registered(NamedTuple):
    policy: Policy
    summary: str
    within: Within  # the order of the classes of one lane
    ranking: Ranking  # for telling who is ahead of a job


POLICIES: dict[str, Registered] = {
    "fifo": Registered(fifo, "strict arrival order within each queue", by_age, fifo_ranking),
    "priority": Registered(priority, "highest priority first, then the oldest; big jobs are not starved by small ones", by_priority, priority_ranking),
    "fair": Registered(fair, "the user who has used least of its share first; then priority, then age", by_priority, fair_ranking),
}
