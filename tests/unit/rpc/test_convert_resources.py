"""Requests, grants, the node and queues over the wire."""

from dataclasses import astuple

import pytest
from hypothesis import given, settings

from aios.v1 import node_pb2, queues_pb2, resources_pb2
from aiosd.errors import InvalidArgument
from aiosd.jobs.actions import QueueChange, SetPolicy
from aiosd.jobs.draft import RequestDraft
from aiosd.jobs.sharing import ShareNode
from aiosd.jobs.views import NodeView, QosState, QueueState
from aiosd.monitoring.looks import ForeignUse, IdleDevice
from aiosd.monitoring.machine import DaemonInfo, MachineLoad
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Cpu, Device, DeviceLink, Inventory, NumaNode
from aiosd.resources.isolation import Isolation
from aiosd.resources.oversubscription import physical
from aiosd.resources.request import DeviceRequest, Request
from aiosd.rpc import convert_node, convert_queues
from aiosd.rpc import convert_resources as convert
from aiosd.rpc.needs import NodeReport, Reloaded
from aiosd.scheduling.reservations import Reservation
from aiosd.scheduling.rules import Backfill, BackfillOrder, PreemptMode, QosSettings, QueueSettings, SchedulingRules
from tests.unit.rpc.records import GRANT, grants, requests


@given(requests)
@settings(max_examples=50, deadline=None)
def test_a_request_comes_back(request: Request) -> None:
    back = convert.from_request(resources_pb2.Request.FromString(convert.to_request(request).SerializeToString()))
    assert back == RequestDraft(request.cpu_millis, request.memory_bytes, request.devices, request.disk_bytes, request.exclusive)


@given(grants)
@settings(max_examples=50, deadline=None)
def test_a_grant_is_told_whole_with_the_kernels_numbers(grant: Grant) -> None:
    told = resources_pb2.Grant.FromString(convert.to_grant(grant).SerializeToString())
    assert [(c.cpu, c.millis) for c in told.cpus] == [(physical(c.cpu), c.millis) for c in grant.cpus]
    assert [(d.device_id, d.kind, d.index, d.millis, d.memory_bytes) for d in told.devices] == [astuple(d) for d in grant.devices]
    assert (told.memory_bytes, told.disk_bytes) == (grant.memory_bytes, grant.disk_bytes)


def test_a_node_is_told_whole() -> None:
    device = Device("GPU-1", "gpu", 1, "A100 \udcff", 1 << 34, 1, ("/dev/nvidia0",), "GPU-0", "ok", quarantined=True)
    inventory = Inventory(
        "box", (Cpu(1, 2, 3, 4),), 8, 9, (NumaNode(1, (1,), 8, (10,)),), (device,), (DeviceLink("a", "b", "nvlink", 2, 3_000_000),), 10, "cpu", "6.1"
    )
    report = NodeReport(
        inventory,
        GRANT,
        NodeView(True, "upgrade", "fair", {"queued": 3}, ("disk full",)),
        DaemonInfo("0.1", 5, 6.0, "/s", "/c", "sqlite", 7, "/l"),
        (Isolation("cpu", "watched", "no cgroup"),),
        MachineLoad(0.5, 11, 12.0),
        (Reservation(1, 2.0, 3.0, ("ann", "@lab"), frozenset({"ann"}), Request(1000, 5, (DeviceRequest("gpu", 2000),)), "demo", "root"),),
        foreign_use=(ForeignUse("GPU-1", 4242, "bob \udcff", "python3 \udcff", 3 << 30),),
        idle_devices=(IdleDevice("GPU-1", "42", 900.0),),
    )
    wire = convert_node.to_status(report)
    for part in (
        wire,
        wire.inventory,
        wire.daemon,
        wire.inventory.devices[0],
        wire.inventory.cpus[0],
        wire.isolation[0],
        wire.used,
        wire.used.devices[0],
        wire.reservations[0],
        wire.foreign_use[0],
        wire.idle_devices[0],
    ):
        missing = {field.name for field in part.DESCRIPTOR.fields} - {field.name for field, _ in part.ListFields()}
        assert missing <= {"index"}, missing  # 0 is the first
    assert wire.inventory.devices[0].model == "A100 \\udcff"
    assert dict(wire.jobs_by_phase) == {"queued": 3}
    assert convert_node.from_drain(node_pb2.DrainRequest(reason="upgrade")) == "upgrade"
    assert list(convert_node.to_reloaded(Reloaded(("log.level",), ("listen.socket",))).needs_restart) == ["listen.socket"]


FULL_QUEUE = QueueSettings(
    "night", 1, 2, True, True, 3.0, 4.0, "requeue", 5.0, 6, 7, 8, 9, 10, 11, 12, 13, True, ("ann",), {"age": 1.0}, ("day",), PreemptMode.CANCEL, 14.0
)


def test_queues() -> None:
    wire = convert_queues.to_queue(QueueState(FULL_QUEUE, 5, 6, 7.0, 8.0))
    assert {field.name for field, _ in wire.ListFields()} == {field.name for field in queues_pb2.Queue.DESCRIPTOR.fields}
    assert convert_queues.from_set_queue(queues_pb2.SetQueueRequest(name="night")) == QueueChange()
    full = queues_pb2.SetQueueRequest(name="night", priority=-1, max_running=0, open=False, started=False, default_time_limit_s=0, max_time_limit_s=9)
    assert convert_queues.from_set_queue(full) == QueueChange(-1, 0, False, False, 0.0, 9.0)
    numbers = {"max_queued": 1, "cpu_millis": 2, "memory_bytes": 3, "gpu_millis": 4, "user_running": 5, "user_cpu_millis": 6, "user_gpu_millis": 7}
    told = queues_pb2.SetQueueRequest(
        name="night", **numbers, share_permille=8, borrow=True, allowed_users=queues_pb2.Names(names=["ann"]), preempts=queues_pb2.Names(),
        weights=queues_pb2.Weights(weights={"age": 2.0}), preempt_mode="requeue", preempt_after_s=9.0, idle_gpus="cancel", idle_gpus_after_s=3.0,
    )  # fmt: skip
    assert convert_queues.from_set_queue(told) == QueueChange(
        **numbers, share_permille=8, borrow=True, allowed_users=("ann",), preempts=(), weights={"age": 2.0}, preempt_mode=PreemptMode.REQUEUE,
        preempt_after_s=9.0, idle_gpus="cancel", idle_gpus_after_s=3.0,
    )  # fmt: skip
    with pytest.raises(InvalidArgument, match="preempt_mode 'often'"):
        convert_queues.from_set_queue(queues_pb2.SetQueueRequest(name="night", preempt_mode="often"))
    for wrong in (queues_pb2.SetQueueRequest(max_running=-1), queues_pb2.SetQueueRequest(max_time_limit_s=float("nan"))):
        with pytest.raises(InvalidArgument):
            convert_queues.from_set_queue(wrong)


def test_policies() -> None:
    policy = convert_queues.to_policy("fair", {"fifo": "in order", "fair": "by share"}, SchedulingRules(predict=True))
    assert (policy.name, policy.summary, [choice.name for choice in policy.choices]) == ("fair", "by share", ["fifo", "fair"])
    assert (policy.backfill, policy.backfill_order, policy.predict, policy.weights["explicit"], len(policy.weights)) == ("off", "arrival", True, 10000.0, 7)
    assert convert_queues.from_set_policy(queues_pb2.SetPolicyRequest(name="fair")) == SetPolicy("fair")
    told = queues_pb2.SetPolicyRequest(backfill="easy", backfill_order="shortest", predict=False, weights={"age": 2.0})
    assert convert_queues.from_set_policy(told) == SetPolicy("", Backfill.EASY, BackfillOrder.SHORTEST, predict=False, weights={"age": 2.0})
    for wrong in (queues_pb2.SetPolicyRequest(backfill="some"), queues_pb2.SetPolicyRequest(weights={f"w{n}": 1.0 for n in range(8)})):
        with pytest.raises(InvalidArgument):
            convert_queues.from_set_policy(wrong)


def test_qos_and_shares_are_told_whole() -> None:
    qos = QosSettings("high", 1, 2, 3, 4, 5, 6, 7, 8, 9.0, 10.0, ("ann",), ("low",), PreemptMode.CANCEL, 11.0)
    wire = convert_queues.to_qos(QosState(qos, 12, 13))
    assert {field.name for field, _ in wire.ListFields()} == {field.name for field in queues_pb2.Qos.DESCRIPTOR.fields}
    share = convert_queues.to_share(ShareNode("ann \udcff", "lab", True, 1.0, 0.5, 2.0, 0.25, float("inf"), 3, 4, 5, 6))
    assert {field.name for field, _ in share.ListFields()} == {field.name for field in queues_pb2.SharesResponse.Node.DESCRIPTOR.fields}
    assert share.name == "ann \\udcff" and share.level_fair_share == float("inf")
