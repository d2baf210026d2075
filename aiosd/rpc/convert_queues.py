"""Queues and policies between wire and records."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from aios.v1 import queues_pb2 as pb
from aiosd.errors import InvalidArgument
from aiosd.jobs.actions import QueueChange, SetPolicy
from aiosd.jobs.sharing import ShareNode
from aiosd.jobs.views import QosState, QueueState
from aiosd.rpc import limits
from aiosd.rpc.fields import amount, few, needed, printable, seconds, text
from aiosd.scheduling.multifactor import WEIGHED
from aiosd.scheduling.rules import Backfill, BackfillOrder, PreemptMode, SchedulingRules

Word = TypeVar("Word", bound=StrEnum)


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
        max_queued=settings.max_queued,
        cpu_millis=settings.cpu_millis,
        memory_bytes=settings.memory_bytes,
        gpu_millis=settings.gpu_millis,
        user_running=settings.user_running,
        user_cpu_millis=settings.user_cpu_millis,
        user_gpu_millis=settings.user_gpu_millis,
        share_permille=settings.share_permille,
        borrow=settings.borrow,
        allowed_users=settings.allowed_users,
        weights=settings.weights,
        preempts=settings.preempts,
        preempt_mode=settings.preempt_mode,
        preempt_after_s=settings.preempt_after_s,
        idle_gpus=settings.idle_gpus,
        idle_gpus_after_s=settings.idle_gpus_after_s,
        mean_wait_s=queue.mean_wait_s,
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
        max_queued=amount(wire.max_queued, "", "max_queued") if has("max_queued") else None,
        cpu_millis=amount(wire.cpu_millis, "", "cpu_millis") if has("cpu_millis") else None,
        memory_bytes=amount(wire.memory_bytes, "", "memory_bytes") if has("memory_bytes") else None,
        gpu_millis=amount(wire.gpu_millis, "", "gpu_millis") if has("gpu_millis") else None,
        user_running=amount(wire.user_running, "", "user_running") if has("user_running") else None,
        user_cpu_millis=amount(wire.user_cpu_millis, "", "user_cpu_millis") if has("user_cpu_millis") else None,
        user_gpu_millis=amount(wire.user_gpu_millis, "", "user_gpu_millis") if has("user_gpu_millis") else None,
        share_permille=amount(wire.share_permille, "", "share_permille") if has("share_permille") else None,
        borrow=wire.borrow if has("borrow") else None,
        allowed_users=_names(wire.allowed_users, "allowed_users") if has("allowed_users") else None,
        weights=dict(wire.weights.weights) if has("weights") else None,
        preempts=_names(wire.preempts, "preempts") if has("preempts") else None,
        preempt_mode=_mode(wire.preempt_mode) if has("preempt_mode") else None,
        preempt_after_s=seconds(wire.preempt_after_s, "", "preempt_after_s") if has("preempt_after_s") else None,
        idle_gpus=text(wire.idle_gpus, "", "idle_gpus", limits.TEXT) if has("idle_gpus") else None,
        idle_gpus_after_s=seconds(wire.idle_gpus_after_s, "", "idle_gpus_after_s") if has("idle_gpus_after_s") else None,
    )


def _names(wire: pb.Names, field: str) -> tuple[str, ...]:
    return tuple(needed(name, "", field, limits.TEXT) for name in wire.names)


def _mode(name: str) -> PreemptMode:
    return _one_of(PreemptMode, name, "preempt_mode")


def _one_of(words: type[Word], name: str, field: str) -> Word:
    try:
        return words(name)
    except ValueError:
        raise InvalidArgument(f"{field} {name[:40]!r} is not known", hint=f"use one of {', '.join(words)}", field=field) from None


def to_qos(qos: QosState) -> pb.Qos:
    settings = qos.settings
    return pb.Qos(
        name=settings.name,
        priority=settings.priority,
        max_running=settings.max_running,
        cpu_millis=settings.cpu_millis,
        memory_bytes=settings.memory_bytes,
        gpu_millis=settings.gpu_millis,
        user_running=settings.user_running,
        user_cpu_millis=settings.user_cpu_millis,
        user_gpu_millis=settings.user_gpu_millis,
        max_time_limit_s=settings.max_time_limit_s,
        usage_factor=settings.usage_factor,
        allowed_users=settings.allowed_users,
        preempts=settings.preempts,
        preempt_mode=settings.preempt_mode,
        preempt_after_s=settings.preempt_after_s,
        queued=qos.queued,
        running=qos.running,
    )


def to_share(node: ShareNode) -> pb.SharesResponse.Node:
    return pb.SharesResponse.Node(
        name=printable(node.name),
        parent=node.parent,
        is_user=node.is_user,
        shares=node.shares,
        share=node.share,
        usage=node.usage,
        usage_share=node.usage_share,
        level_fair_share=node.level_fair_share,
        rank=node.rank,
        depth=node.depth,
        queued=node.queued,
        running=node.running,
    )


def from_set_policy(wire: pb.SetPolicyRequest) -> SetPolicy:
    """What the request changes; what it does not mention stays."""
    has = wire.HasField
    few(wire.weights, "", "weights", len(WEIGHED))
    return SetPolicy(
        name=text(wire.name, "", "name", limits.TEXT),
        backfill=_one_of(Backfill, wire.backfill, "backfill") if has("backfill") else None,
        backfill_order=_one_of(BackfillOrder, wire.backfill_order, "backfill_order") if has("backfill_order") else None,
        predict=wire.predict if has("predict") else None,
        weights=dict(wire.weights),
    )


def to_policy(name: str, summaries: Mapping[str, str], rules: SchedulingRules) -> pb.Policy:
    """The policy and the rules in force, and all policies there are with one sentence each."""
    choices = [pb.PolicyChoice(name=each, summary=summary) for each, summary in summaries.items()]
    return pb.Policy(
        name=name,
        summary=summaries.get(name, ""),
        choices=choices,
        backfill=rules.backfill,
        backfill_order=rules.backfill_order,
        predict=rules.predict,
        weights={weight: getattr(rules.weights, weight) for weight in WEIGHED},
    )
