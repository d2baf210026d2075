"""What an operator sets while the daemon runs: checked, and as it is remembered."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from math import isfinite
from typing import Any

from aiosd.errors import InvalidArgument
from aiosd.jobs.actions import SetPolicy
from aiosd.jobs.admit import check_priority
from aiosd.jobs.chosen import Chosen
from aiosd.scheduling.multifactor import WEIGHED
from aiosd.scheduling.rules import Backfill, BackfillOrder, PreemptMode, QueueSettings

CHOSEN = "scheduling"  # the setting that remembers what was chosen
MOST_WEIGHT = 1e9
MOST_NAMES = 1000
MOST_SHOWN = 16
IDLE = ("report", "requeue", "cancel")
LIMITS = (
    "max_running", "max_queued", "cpu_millis", "memory_bytes", "gpu_millis", "user_running", "user_cpu_millis", "user_gpu_millis",
    "default_time_limit_s", "max_time_limit_s", "idle_gpus_after_s", "preempt_after_s",
)  # fmt: skip


def with_change(before: Chosen, event: SetPolicy) -> Chosen:
    """What is chosen after that. Raises InvalidArgument."""
    after: Chosen = {**before}
    if event.backfill is not None:
        after["backfill"] = event.backfill.value
    if event.backfill_order is not None:
        after["backfill_order"] = event.backfill_order.value
    if event.predict is not None:
        after["predict"] = event.predict
    if event.weights:
        after["weights"] = {**before.get("weights", {}), **check_weights(event.weights)}
    return after


def chosen_rules(stored: object) -> Chosen:
    """What was remembered; entries that nobody can follow any more are left out."""
    rows: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
    chosen: Chosen = {}
    if rows.get("backfill") in tuple(Backfill):
        chosen["backfill"] = rows["backfill"]
    if rows.get("backfill_order") in tuple(BackfillOrder):
        chosen["backfill_order"] = rows["backfill_order"]
    if isinstance(rows.get("predict"), bool):
        chosen["predict"] = rows["predict"]
    if isinstance(rows.get("weights"), Mapping):
        chosen["weights"] = {name: float(weight) for name, weight in rows["weights"].items() if name in WEIGHED and _fit(weight)}
    return chosen


def check_weights(weights: Mapping[str, float]) -> dict[str, float]:
    """The same. Raises InvalidArgument."""
    for name, weight in weights.items():
        if name not in WEIGHED:
            raise InvalidArgument(f"there is no weight {name[:40]!r}", hint=f"weights: {', '.join(WEIGHED)}", field="weights", given=name[:40])
        if not _fit(weight):
            raise InvalidArgument(f"the weight {name} must be 0 to {MOST_WEIGHT:g}, not {weight}", hint="0 leaves it out", field="weights", given=weight)
    return dict(weights)


def _fit(weight: object) -> bool:
    return isinstance(weight, int | float) and 0 <= weight <= MOST_WEIGHT  # false for NaN


def queue_of(stored: Mapping[str, Any]) -> QueueSettings:
    """What `Set("queue.NAME")` has remembered; JSON has no tuples."""
    known = {field.name for field in fields(QueueSettings)}
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name in known}
    values["preempt_mode"] = PreemptMode(values.get("preempt_mode", PreemptMode.OFF))
    return QueueSettings(**values)


def queue_name(name: str) -> str:
    """The same. Raises InvalidArgument."""
    if not name or len(name) > 64 or not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidArgument(f"queue name {name[:70]!r} is not fit", hint="use 1 to 64 letters, digits, '-' and '_'")
    return name


def check_preempts(preempts: Collection[str], queues: Collection[str]) -> None:
    """Raises InvalidArgument for a queue that is not there: a name that is misspelt would preempt nobody, and nobody would know."""
    for name in preempts:
        if name not in queues:
            known = ", ".join(sorted(queues)[:MOST_SHOWN])
            raise InvalidArgument(f"there is no queue {name[:70]!r} to preempt", hint=f"set it up first; queues: {known}", field="preempts", given=name[:70])


def check_queue(queue: QueueSettings) -> None:
    """Raises InvalidArgument for what no queue can be."""
    check_priority(queue.priority)
    for name in LIMITS:
        value = getattr(queue, name)
        if not isfinite(value) or value < 0:
            raise InvalidArgument(f"{name} of queue {queue.name!r} must be 0 or more, not {value}", hint="0 means no limit", field=name, given=value)
    if queue.idle_gpus not in IDLE:
        raise InvalidArgument(f"queue {queue.name!r} cannot do {queue.idle_gpus!r} about idle GPUs", hint=f"use one of {', '.join(IDLE)}")
    if queue.max_time_limit_s and queue.default_time_limit_s > queue.max_time_limit_s:
        raise InvalidArgument(f"the default time limit of queue {queue.name!r} is more than its maximum", hint="lower the default or raise the maximum")
    if not 0 <= queue.share_permille <= 1000:
        raise InvalidArgument(f"the share of queue {queue.name!r} must be 0 to 1000 thousandths, not {queue.share_permille}", hint="0 means all of it")
    for name in ("allowed_users", "preempts"):
        names = getattr(queue, name)
        if len(names) > MOST_NAMES or not all(each and each.isprintable() and len(each) <= 256 for each in names):
            raise InvalidArgument(
                f"{name} of queue {queue.name!r} takes up to {MOST_NAMES} printable names", hint='users, groups as "@group", queues', field=name
            )
    check_weights(queue.weights)
