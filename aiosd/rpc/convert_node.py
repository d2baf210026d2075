"""The node between wire and records."""

from aios.v1 import node_pb2 as pb
from aiosd.monitoring.machine import DaemonInfo
from aiosd.rpc import limits
from aiosd.rpc.convert_resources import to_grant, to_inventory
from aiosd.rpc.fields import printable, text
from aiosd.rpc.needs import NodeReport, Reloaded


def from_drain(wire: pb.DrainRequest) -> str:
    """The reason."""
    return text(wire.reason, "", "reason", limits.REASON)


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
    )


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
