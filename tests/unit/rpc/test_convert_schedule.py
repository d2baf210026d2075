"""The schedule over the wire and back into the SDK's records: nothing is lost on the way."""

from dataclasses import fields

from aios._convert_schedule import schedule
from aiosd.ids import JobId
from aiosd.jobs.history import Adjustment
from aiosd.jobs.schedule import Availability, Demand, Expected, Held, Paces, ScheduleView
from aiosd.jobs.settings import Rightsize
from aiosd.rpc.convert_schedule import to_schedule
from aiosd.scheduling.rules import Backfill, BackfillOrder, SchedulingRules

FULL = ScheduleView(
    demand=[Demand("cpu", 1, 2, 3, 4)],
    availability=[Availability("gpu", 1, 2, 3, 0.5, 4)],
    policy="fair",
    rules=SchedulingRules(backfill=Backfill.EASY, backfill_order=BackfillOrder.SHORTEST, predict=True),
    rightsize=Rightsize.APPLY,
    passes=5,
    paces=Paces(0.25, 0.75),
    starts=6,
    expected=[Expected(JobId(42, 7), 99.0, "1 processor")],
    adjustments=[Adjustment(98.0, "has more", JobId(42)), Adjustment(97.0, "nothing new starts")],
    held_back="too little memory",
    policy_fault="it raised",
    predictions=10,
    predictions_held=0.9,
    calibration=[Held("command", 10, 0.9)],
    runs_learned=11,
)


def test_every_field_arrives() -> None:
    found = schedule(to_schedule(FULL))
    empty = schedule(to_schedule(ScheduleView()))
    assert [field.name for field in fields(found) if getattr(found, field.name) == getattr(empty, field.name)] == []
    assert (found.backfill, found.backfill_order, found.rightsize) == ("easy", "shortest", "apply")
    assert [(a.what, a.job_id) for a in found.adjustments] == [("has more", "42"), ("nothing new starts", "")]
    assert found.reservations[0].job_id == "42.7"
    assert (found.demand[0].learned, found.availability[0].idle, found.availability[0].pressure) == (2, 4, 0.5)
    assert (found.pass_p50_s, found.pass_p99_s, found.calibration[0].held) == (0.25, 0.75, 0.9)
