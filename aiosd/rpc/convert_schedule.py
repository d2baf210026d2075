"""The five steps of dynamic scheduling as an answer."""

from aios.v1 import queues_pb2 as pb
from aiosd.jobs.schedule import ScheduleView
from aiosd.rpc.fields import printable


def to_schedule(view: ScheduleView) -> pb.ScheduleResponse:
    made = pb.ScheduleResponse
    return made(
        demand=[made.Demand(resource=d.resource, asked=d.asked, learned=d.learned, total=d.total, jobs=d.jobs) for d in view.demand],
        availability=[
            made.Availability(resource=a.resource, total=a.total, granted=a.granted, used=a.used, pressure=a.pressure, idle=a.idle) for a in view.availability
        ],
        policy=view.policy,
        backfill=view.rules.backfill,
        backfill_order=view.rules.backfill_order,
        predict=view.rules.predict,
        rightsize=view.rightsize,
        passes=view.passes,
        pass_p50_s=view.paces.p50_s,
        pass_p99_s=view.paces.p99_s,
        starts=view.starts,
        reservations=[made.Reservation(job_id=str(e.job_id), at_s=e.at_s, grant=e.grant) for e in view.expected],
        adjustments=[made.Adjustment(at_s=a.at_s, what=printable(a.what), job_id=str(a.job_id or "")) for a in view.adjustments],
        held_back=view.held_back,
        policy_fault=printable(view.policy_fault),
        predictions=view.predictions,
        predictions_held=view.predictions_held,
        calibration=[made.Calibration(level=c.level, predictions=c.predictions, held=c.held) for c in view.calibration],
        runs_learned=view.runs_learned,
    )
