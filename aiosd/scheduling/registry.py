"""The policies by name: to add one, write its module and add its line here."""

from typing import NamedTuple

from aiosd.scheduling.fair import fair
from aiosd.scheduling.fifo import fifo
from aiosd.scheduling.policy import Policy
from aiosd.scheduling.priority import priority


class Registered(NamedTuple):
    policy: Policy
    summary: str


POLICIES: dict[str, Registered] = {
    "fifo": Registered(fifo, "strict arrival order within each queue"),
    "priority": Registered(priority, "highest priority first, then the oldest; big jobs are not starved by small ones"),
    "fair": Registered(fair, "the user who has used least of its share first; then priority, then age"),
}
