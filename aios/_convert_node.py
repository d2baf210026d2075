"""From the wire to the records of the node, its queues and its policy."""

from collections.abc import Iterable
from math import isinf

from aios import _convert, resources
from aios.node import DaemonStatus, ForeignUse, IdleDevice, Isolation, NodeStatus, Reservation
from aios.queues import Policy, PolicyChoice, Qos, Queue, Share, Shares
from aios.v1 import node_pb2, queues_pb2, resources_pb2


def queue(wire: queues_pb2.Queue) -> Queue:
    return Queue(
        wire.name, wire.priority, wire.max_running, wire.open, wire.started,
        wire.default_time_limit_s, wire.max_time_limit_s, wire.queued, wire.running, wire.oldest_wait_s,
        wire.max_queued, wire.cpu_millis, wire.memory_bytes, wire.gpu_millis, wire.user_running, wire.user_cpu_millis, wire.user_gpu_millis,
        wire.share_permille, wire.borrow, tuple(wire.allowed_users), dict(wire.weights), tuple(wire.preempts), wire.preempt_mode,
        wire.preempt_after_s, wire.idle_gpus, wire.idle_gpus_after_s, wire.mean_wait_s,
    )  # fmt: skip


def qos(wire: queues_pb2.Qos) -> Qos:
    return Qos(
        wire.name, wire.priority, wire.max_running, wire.cpu_millis, wire.memory_bytes, wire.gpu_millis,
        wire.user_running, wire.user_cpu_millis, wire.user_gpu_millis, wire.max_time_limit_s, wire.usage_factor,
        tuple(wire.allowed_users), tuple(wire.preempts), wire.preempt_mode, wire.preempt_after_s, wire.queued, wire.running,
    )  # fmt: skip


def shares(wire: queues_pb2.SharesResponse) -> Shares:
    return Shares(tuple(_share(node) for node in wire.nodes), wire.half_life_s)


def _share(wire: queues_pb2.SharesResponse.Node) -> Share:
    return Share(
        wire.name, wire.parent, wire.is_user, wire.shares, wire.share, wire.usage, wire.usage_share,
        None if isinf(wire.level_fair_share) else wire.level_fair_share, wire.rank, wire.depth, wire.queued, wire.running,
    )  # fmt: skip


def policy(wire: queues_pb2.Policy) -> Policy:
    choices = tuple(PolicyChoice(one.name, one.summary) for one in wire.choices)
    return Policy(wire.name, wire.summary, choices, wire.backfill, wire.backfill_order, wire.predict, dict(wire.weights))


def node_status(wire: node_pb2.NodeStatus) -> NodeStatus:
    daemon = wire.daemon
    return NodeStatus(
        inventory=inventory(wire.inventory),
        used=_convert.grant(wire.used),
        isolation=tuple(Isolation(one.resource, one.state, one.detail) for one in wire.isolation),
        drained=wire.drained,
        drain_reason=wire.drain_reason,
        policy=wire.policy,
        daemon=DaemonStatus(
            daemon.version, daemon.pid, daemon.started_at_s, daemon.state_directory, daemon.config_file, daemon.database, daemon.memory_bytes, daemon.log_file
        ),
        jobs_by_state={name.removeprefix("JOB_PHASE_").lower(): count for name, count in wire.jobs_by_phase.items()},
        load_average_1m=wire.load_average_1m,
        memory_available_bytes=wire.memory_available_bytes,
        warnings=tuple(wire.warnings),
        cpu_busy_permille=wire.cpu_busy_permille,
        reservations=tuple(reservation(one) for one in wire.reservations),
        foreign_use=tuple(ForeignUse(one.device_id, one.pid, one.user, one.program, one.memory_bytes) for one in wire.foreign_use),
        idle_devices=tuple(IdleDevice(one.device_id, one.job_id, one.idle_s) for one in wire.idle_devices),
    )


def reservation(wire: resources_pb2.Reservation) -> Reservation:
    return Reservation(wire.id, wire.from_s, wire.until_s, tuple(wire.users), _convert.request(wire.request), wire.reason, wire.created_by)


def inventory(wire: resources_pb2.Inventory) -> resources.Inventory:
    return resources.Inventory(
        hostname=wire.hostname,
        cpus=tuple(resources.Cpu(one.id, one.core, one.socket, one.numa_node) for one in wire.cpus),
        memory_bytes=wire.memory_bytes,
        memory_total_bytes=wire.memory_total_bytes,
        numa_nodes=tuple(resources.NumaNode(one.id, tuple(one.cpus), one.memory_bytes, tuple(one.distances)) for one in wire.numa_nodes),
        devices=tuple(_devices(wire.devices)),
        links=tuple(resources.DeviceLink(one.a, one.b, one.kind, one.nvlinks, one.bytes_per_s) for one in wire.links),
        disk_bytes=wire.disk_bytes,
        cpu_model=wire.cpu_model,
        kernel=wire.kernel,
    )


def _devices(wire: Iterable[resources_pb2.Device]) -> Iterable[resources.Device]:
    for one in wire:
        yield resources.Device(
            one.id, one.kind, one.index, one.model, one.memory_bytes, one.numa_node, tuple(one.paths), one.parent_id, one.health, one.quarantined
        )
