"""The calls of the client that concern queues and the policy."""

from typing import TYPE_CHECKING

from aios._calls import Calls
from aios.units import parse_seconds

if TYPE_CHECKING:
    from aios.queues import Policy, Queue
    from aios.schedule import Schedule


class QueueCalls(Calls):
    """The calls of `aios.Client` that concern queues and the policy."""

    def queues(self, *, timeout: float | None = None) -> "list[Queue]":
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        return [_convert_node.queue(queue) for queue in self._channel.unary("Queues/List", pb.ListQueuesRequest(), pb.ListQueuesResponse, timeout).queues]

    def queue(self, name: str, *, timeout: float | None = None) -> "Queue":
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        return _convert_node.queue(self._channel.unary("Queues/Get", pb.GetQueueRequest(name=name), pb.Queue, timeout))

    def set_queue(
        self,
        name: str,
        *,
        priority: int | None = None,
        max_running: int | None = None,
        open: bool | None = None,
        started: bool | None = None,
        default_time: str | float | None = None,
        max_time: str | float | None = None,
        timeout: float | None = None,
    ) -> "Queue":
        """Change what is named and leave the rest; the queue is made when there is none of this name."""
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        request = pb.SetQueueRequest(
            name=name,
            priority=priority,
            max_running=max_running,
            open=open,
            started=started,
            default_time_limit_s=None if default_time is None else parse_seconds(default_time, zero=True),
            max_time_limit_s=None if max_time is None else parse_seconds(max_time, zero=True),
        )
        return _convert_node.queue(self._channel.unary("Queues/Set", request, pb.Queue, timeout))

    def schedule(self, *, timeout: float | None = None) -> "Schedule":
        """How the scheduler works at present: demand, availability, policy, execution, adjustment."""
        from aios import _convert_schedule
        from aios.v1 import queues_pb2 as pb

        return _convert_schedule.schedule(self._channel.unary("Queues/Schedule", pb.ScheduleRequest(), pb.ScheduleResponse, timeout))

    def policy(self, *, timeout: float | None = None) -> "Policy":
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        return _convert_node.policy(self._channel.unary("Queues/GetPolicy", pb.GetPolicyRequest(), pb.Policy, timeout))

    def set_policy(self, name: str, *, timeout: float | None = None) -> "Policy":
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        return _convert_node.policy(self._channel.unary("Queues/SetPolicy", pb.SetPolicyRequest(name=name), pb.Policy, timeout))
