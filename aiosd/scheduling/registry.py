"""The policies by name: to add one, write its module and add its line here."""

from collections.abc import Callable
from typing import NamedTuple

from aiosd.scheduling.fair import fair, fair_ranking
from aiosd.scheduling.fifo import fifo, fifo_ranking
from aiosd.scheduling.multifactor import multifactor
from aiosd.scheduling.ordering import age_alone, urgency
from aiosd.scheduling.policy import Basis, Policy, Ranking, Within
from aiosd.scheduling.priority import priority, priority_ranking


class Registered(NamedTuple):
    policy: Policy
    summary: str
    within: Callable[[Basis], Within]  # the order of the classes of one lane
    ranking: Ranking  # for telling who is ahead of a job


POLICIES: dict[str, Registered] = {
    "fifo": Registered(fifo, "strict arrival order within each queue", age_alone, fifo_ranking),
    "priority": Registered(priority, "most points first: priority, waiting, fair share, queue, QoS; nothing starves", multifactor, priority_ranking),
    "fair": Registered(fair, "the account and user who has used least of its share first; then priority, then age", urgency, fair_ranking),
}
