"""Queues and policies between wire and records."""

from collections.abc import Mapping

from aios.v1 import queues_pb2 as pb
from aiosd.jobs.actions import QueueChange
from aiosd.jobs.views import QueueState
from aiosd.rpc.fields import amount, seconds


def to_queue(queue: QueueState) -> pb.Queue:
    settings = queue.settings
    return pb.Queue(
        name=settings.name,
        priority=settings.priority,
        max_running=settings.max_running,
        open=settings.open,
        started=settings.started,
        default_time_limit_s=settings.default_time_limit_s,
        max_time_limit_s=settings.max_time_limit_s,
        queued=queue.queued,
        running=queue.running,
        oldest_wait_s=queue.oldest_wait_s,
    )


def from_set_queue(wire: pb.SetQueueRequest) -> QueueChange:
    """What the request changes; what it does not mention stays."""
    has = wire.HasField
    return QueueChange(
        priority=wire.priority if has("priority") else None,
        max_running=amount(wire.max_running, "", "max_running") if has("max_running") else None,
        open=wire.open if has("open") else None,
        started=wire.started if has("started") else None,
        default_time_limit_s=seconds(wire.default_time_limit_s, "", "default_time_limit_s") if has("default_time_limit_s") else None,
        max_time_limit_s=seconds(wire.max_time_limit_s, "", "max_time_limit_s") if has("max_time_limit_s") else None,
    )


def to_policy(name: str, summaries: Mapping[str, str]) -> pb.Policy:
    """The policy in force, and all there are with one sentence each."""
    choices = [pb.PolicyChoice(name=each, summary=summary) for each, summary in summaries.items()]
    return pb.Policy(name=name, summary=summaries.get(name, ""), choices=choices)
