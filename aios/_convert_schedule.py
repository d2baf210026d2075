"""From the wire to the records of the schedule."""

from aios import schedule as records
from aios.v1 import queues_pb2 as pb


def schedule(wire: pb.ScheduleResponse) -> records.Schedule:
    return records.Schedule(
        demand=tuple(records.Demand(d.resource, d.asked, d.learned, d.total, d.jobs) for d in wire.demand),
        availability=tuple(records.Availability(a.resource, a.total, a.granted, a.used, a.pressure, a.idle) for a in wire.availability),
        policy=wire.policy,
        backfill=wire.backfill,
        backfill_order=wire.backfill_order,
        predict=wire.predict,
        rightsize=wire.rightsize,
        passes=wire.passes,
        pass_p50_s=wire.pass_p50_s,
        pass_p99_s=wire.pass_p99_s,
        starts=wire.starts,
        reservations=tuple(records.Expected(r.job_id, r.at_s, r.grant) for r in wire.reservations),
        adjustments=tuple(records.Adjustment(a.at_s, a.what, a.job_id) for a in wire.adjustments),
        held_back=wire.held_back,
        policy_fault=wire.policy_fault,
        predictions=wire.predictions,
        predictions_held=wire.predictions_held,
        calibration=tuple(records.Calibration(c.level, c.predictions, c.held) for c in wire.calibration),
        runs_learned=wire.runs_learned,
    )
