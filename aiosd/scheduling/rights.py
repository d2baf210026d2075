"""Who may preempt whom: a strict order, so that nobody is preempted in a circle whatever an operator has written down."""

from collections.abc import Mapping
from functools import lru_cache

from aiosd.scheduling.policy import ClassKey
from aiosd.scheduling.rules import PreemptMode, QueueSettings, SchedulingRules

Standing = tuple[int, int]


class Rights:
    """A job may preempt a run when its queue names the run's among those it preempts, or its QoS the run's; or when the run has said
    that it is preemptible, and the job's priority is higher.

    Each of these holds only where neither the run's queue nor its QoS stands higher than the job's: what preempts others stands above
    them, however many steps there are in between, and what preempts each other in a circle stands on the same level. So whoever
    preempts has the higher standing (levels first, then priority), and no chain of preemptions comes back to where it began.
    """

    def __init__(self, queues: Mapping[str, QueueSettings], rules: SchedulingRules) -> None:
        self._queues, self._qos = queues, rules.qos
        self._queue_levels = _levels(tuple((name, q.preempts) for name, q in sorted(queues.items()) if q.preempts))
        self._qos_levels = _levels(tuple((name, q.preempts) for name, q in sorted(rules.qos.items()) if q.preempts))

    def over(self, mine: ClassKey, other: ClassKey) -> bool:
        """Whether a job of the class `mine` may preempt a run of the class `other`."""
        queues = self._queue_levels.get(mine.queue, 0) - self._queue_levels.get(other.queue, 0)
        qos = self._qos_levels.get(mine.qos, 0) - self._qos_levels.get(other.qos, 0)
        if queues < 0 or qos < 0:
            return False
        if queues > 0 and other.queue in self._queues[mine.queue].preempts:
            return True
        if qos > 0 and other.qos in self._qos[mine.qos].preempts:
            return True
        return other.preemptible and self._priority(mine) > self._priority(other)

    def open(self, key: ClassKey) -> bool:
        """Whether runs of this class may be preempted by anybody, as soon as they have run for long enough."""
        settings = self._queues.get(key.queue), self._qos.get(key.qos)
        return key.preemptible or any(s is not None and s.preempt_mode is not PreemptMode.OFF for s in settings)

    def standing(self, key: ClassKey) -> Standing:
        """Whoever may preempt another has the higher one."""
        return self._queue_levels.get(key.queue, 0) + self._qos_levels.get(key.qos, 0), self._priority(key)

    def _priority(self, key: ClassKey) -> int:
        """A job's own, its queue's and its QoS's together, whatever policy is in force."""
        queue, qos = self._queues.get(key.queue), self._qos.get(key.qos)
        return key.priority + (queue.priority if queue is not None else 0) + (qos.priority if qos is not None else 0)


@lru_cache(maxsize=32)
def _levels(preempts: tuple[tuple[str, tuple[str, ...]], ...]) -> Mapping[str, int]:
    """How many steps each name stands above the lowest; those that preempt each other in a circle are on one level."""
    named = dict(preempts)
    reached = {name: _reachable(name, named) for name in named}
    below = {name: frozenset(other for other in others if name not in reached.get(other, ())) for name, others in reached.items()}
    levels: dict[str, int] = {}
    for name in sorted(below, key=lambda name: len(below[name])):  # what is below one has fewer below it
        levels[name] = 1 + max((levels.get(other, 0) for other in below[name]), default=-1)
    return levels


def _reachable(name: str, named: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """All that it preempts, and that these preempt, and so on."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for other in named.get(todo.pop(), ()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return frozenset(found)
