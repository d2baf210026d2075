"""Rules of the scheduler that are set while it runs, and go before those of the configuration."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

from aiosd.scheduling.rules import Backfill, BackfillOrder, SchedulingRules


class Chosen(TypedDict, total=False):
    """As it is stored; what is absent is as the configuration says."""

    backfill: str
    backfill_order: str
    predict: bool
    weights: Mapping[str, float]


def in_force(configured: SchedulingRules, chosen: Chosen) -> SchedulingRules:
    """The rules of the configuration with what was chosen in its place."""
    weights: dict[str, Any] = dict(chosen.get("weights", {}))
    return replace(
        configured,
        backfill=Backfill(chosen.get("backfill", configured.backfill)),
        backfill_order=BackfillOrder(chosen.get("backfill_order", configured.backfill_order)),
        predict=chosen.get("predict", configured.predict),
        weights=replace(configured.weights, **weights),
    )
