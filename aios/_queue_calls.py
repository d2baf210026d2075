"""The calls of the client that concern queues and the policy."""

from typing import TYPE_CHECKING

from aios._calls import Calls
from aios.errors import InvalidArgument
from aios.units import parse_bytes, parse_millis, parse_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aios.queues import Policy, Qos, Queue, Shares
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
        max_queued: int | None = None,
        max_cpus: str | float | None = None,
        max_memory: str | int | None = None,
        max_gpus: str | float | None = None,
        user_running: int | None = None,
        user_cpus: str | float | None = None,
        user_gpus: str | float | None = None,
        share: float | None = None,
        borrow: bool | None = None,
        allowed_users: "Sequence[str] | None" = None,
        weights: "Mapping[str, float] | None" = None,
        preempts: "Sequence[str] | None" = None,
        preempt_mode: str | None = None,
        preempt_after: str | float | None = None,
        idle_gpus: str | None = None,
        idle_gpus_after: str | float | None = None,
        timeout: float | None = None,
    ) -> "Queue":
        """Change what is named and leave the rest; the queue is made when there is none of this name. A limit of 0 lifts it.

        share          part of the machine that its jobs may hold together, 0 to 1; 0 and 1: all of it
        borrow         they may hold more while nobody else wants it
        allowed_users  names and "@group", in place of those before; none: everybody
        """
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        request = pb.SetQueueRequest(
            name=name,
            priority=priority,
            max_running=max_running,
            open=open,
            started=started,
            default_time_limit_s=_seconds(default_time),
            max_time_limit_s=_seconds(max_time),
            max_queued=max_queued,
            cpu_millis=_millis(max_cpus, "max_cpus"),
            memory_bytes=None if max_memory is None else parse_bytes(max_memory, what="max_memory", zero=True),
            gpu_millis=_millis(max_gpus, "max_gpus"),
            user_running=user_running,
            user_cpu_millis=_millis(user_cpus, "user_cpus"),
            user_gpu_millis=_millis(user_gpus, "user_gpus"),
            share_permille=None if share is None else _permille(share),
            borrow=borrow,
            allowed_users=None if allowed_users is None else pb.Names(names=allowed_users),
            weights=None if weights is None else pb.Weights(weights=weights),
            preempts=None if preempts is None else pb.Names(names=preempts),
            preempt_mode=preempt_mode,
            preempt_after_s=_seconds(preempt_after),
            idle_gpus=idle_gpus,
            idle_gpus_after_s=_seconds(idle_gpus_after),
        )
        return _convert_node.queue(self._channel.unary("Queues/Set", request, pb.Queue, timeout))

    def qos(self, *, timeout: float | None = None) -> "list[Qos]":
        """The qualities of service that jobs can ask for."""
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        return [_convert_node.qos(one) for one in self._channel.unary("Queues/ListQos", pb.ListQosRequest(), pb.ListQosResponse, timeout).qos]

    def shares(self, *, timeout: float | None = None) -> "Shares":
        """The tree of accounts and users: what each is due, has used, and who goes first."""
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        return _convert_node.shares(self._channel.unary("Queues/Shares", pb.SharesRequest(), pb.SharesResponse, timeout))

    def schedule(self, *, timeout: float | None = None) -> "Schedule":
        """How the scheduler works at present: demand, availability, policy, execution, adjustment."""
        from aios import _convert_schedule
        from aios.v1 import queues_pb2 as pb

        return _convert_schedule.schedule(self._channel.unary("Queues/Schedule", pb.ScheduleRequest(), pb.ScheduleResponse, timeout))

    def policy(self, *, timeout: float | None = None) -> "Policy":
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        return _convert_node.policy(self._channel.unary("Queues/GetPolicy", pb.GetPolicyRequest(), pb.Policy, timeout))

    def set_policy(
        self,
        name: str = "",
        *,
        backfill: str | None = None,
        backfill_order: str | None = None,
        predict: bool | None = None,
        weights: "Mapping[str, float] | None" = None,
        timeout: float | None = None,
    ) -> "Policy":
        """Change the policy, or its rules; what is not named stays. It lasts over restarts, and goes before the configuration.

        backfill        "off", "easy", "conservative"
        backfill_order  "arrival", "shortest"
        predict         among jobs of equal priority those that are expected to end soonest go first
        weights         of the factors of the policy priority; those that are named
        """
        from aios import _convert_node
        from aios.v1 import queues_pb2 as pb

        request = pb.SetPolicyRequest(name=name, backfill=backfill, backfill_order=backfill_order, predict=predict, weights=weights or {})
        return _convert_node.policy(self._channel.unary("Queues/SetPolicy", request, pb.Policy, timeout))


def _seconds(given: str | float | None) -> float | None:
    return None if given is None else parse_seconds(given, zero=True)


def _millis(given: str | float | None, what: str) -> int | None:
    return None if given is None else parse_millis(given, what=what, zero=True)


def _permille(share: float) -> int:
    """Thousandths, at least one of what is more than nothing; all of the machine is no limit."""
    if not 0 <= share <= 1:  # true for NaN
        raise InvalidArgument(f"share is {share}, and must be 0 to 1", hint="for example 0.25 for a quarter of the machine")
    return 0 if share in (0, 1) else max(1, round(1000 * share))
