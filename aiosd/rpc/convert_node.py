"""The node between wire and records."""

from typing import NamedTuple

from aios.v1 import node_pb2 as pb
from aios.v1 import resources_pb2 as pb2
from aiosd.jobs.actions import Reserve
from aiosd.monitoring.looks import ForeignUse
from aiosd.monitoring.machine import DaemonInfo
from aiosd.rpc import limits
from aiosd.rpc.convert_resources import from_request, to_grant, to_inventory, to_request
from aiosd.rpc.fields import needed, printable, seconds, text, texts
from aiosd.rpc.needs import NodeReport, Reloaded
from aiosd.scheduling.reservations import Reservation


def from_drain(wire: pb.DrainRequest) -> str:
    """The reason."""
    return text(wire.reason, "", "reason", limits.REASON)


class DeviceWish(NamedTuple):
    device_id: str
    quarantined: bool
    reason: str


def from_set_device(wire: pb.SetDeviceRequest) -> DeviceWish:
    return DeviceWish(needed(wire.device_id, "", "device_id"), wire.quarantined, text(wire.reason, "", "reason"))


def from_reserve(wire: pb.ReserveRequest) -> Reserve:
    asked = wire.reservation
    return Reserve(
        from_s=seconds(asked.from_s, "reservation.", "from_s"),
        until_s=seconds(asked.until_s, "reservation.", "until_s"),
        users=texts(asked.users, "reservation.", "users"),
        members=frozenset(),
        request=from_request(asked.request, "reservation.request."),
        reason=text(asked.reason, "reservation.", "reason"),
    )


def to_reservation(made: Reservation) -> pb2.Reservation:
    return pb2.Reservation(
        id=made.id,
        from_s=made.from_s,
        until_s=made.until_s,
        users=map(printable, made.users),
        request=to_request(made.request),
        reason=printable(made.reason),
        created_by=printable(made.created_by),
    )


def to_status(report: NodeReport) -> pb.NodeStatus:
    return pb.NodeStatus(
        inventory=to_inventory(report.inventory),
        used=to_grant(report.used),
        isolation=[pb.Isolation(resource=i.resource, state=i.state, detail=printable(i.detail)) for i in report.isolation],
        drained=report.view.drained,
        drain_reason=report.view.drain_reason,
        policy=report.view.policy,
        daemon=_to_daemon(report.daemon),
        jobs_by_phase=report.view.jobs_by_phase,
        load_average_1m=report.load.load_average_1m,
        memory_available_bytes=report.load.memory_available_bytes,
        warnings=[printable(warning) for warning in report.view.warnings],
        cpu_busy_permille=report.load.cpu_busy_permille,
        reservations=[to_reservation(each) for each in report.reservations],
        foreign_use=[_to_foreign_use(use) for use in report.foreign_use],
        idle_devices=[pb2.IdleDevice(device_id=i.device_id, job_id=i.job_id, idle_s=i.idle_s) for i in report.idle_devices],
    )


def _to_foreign_use(use: ForeignUse) -> pb2.ForeignUse:
    program = printable(use.program)
    return pb2.ForeignUse(device_id=use.device_id, pid=use.pid, user=printable(use.user), program=program, memory_bytes=use.memory_bytes)


def _to_daemon(info: DaemonInfo) -> pb.DaemonStatus:
    return pb.DaemonStatus(
        version=info.version,
        pid=info.pid,
        started_at_s=info.started_at_s,
        state_directory=printable(info.state_directory),
        config_file=printable(info.config_file),
        database=printable(info.database),
        memory_bytes=info.memory_bytes,
        log_file=printable(info.log_file),
    )


def to_reloaded(reloaded: Reloaded) -> pb.ReloadResponse:
    return pb.ReloadResponse(applied=reloaded.applied, needs_restart=reloaded.needs_restart)
