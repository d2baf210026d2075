"""The Node service: convert, call, convert."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)

from aios.v1 import node_pb2 as pb
from aios.v1.node_pb2_grpc import NodeServicer as Wire
from aios.v1.resources_pb2 import Reservation
from aiosd.rpc import convert_node
from aiosd.rpc.auth import caller
from aiosd.rpc.context import Context
from aiosd.rpc.fields import amount
from aiosd.rpc.needs import NodeControl
from aiosd.rpc.privacy import redact_node


class NodeServicer(Wire):
    def __init__(self, node: NodeControl) -> None:
        self._node = node

    async def Get(self, request: pb.GetNodeRequest, context: Context) -> pb.NodeStatus:
        return redact_node(convert_node.to_status(await self._node.status()))

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.NodeStatus:
        await self._node.drain(convert_node.from_drain(request))
        return convert_node.to_status(await self._node.status())

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.NodeStatus:
        await self._node.resume()
        return convert_node.to_status(await self._node.status())

    async def SetDevice(self, request: pb.SetDeviceRequest, context: Context) -> pb.NodeStatus:
        wish = convert_node.from_set_device(request)
        await self._node.set_device(wish.device_id, wish.quarantined, wish.reason, caller().name)
        return convert_node.to_status(await self._node.status())

    async def Reserve(self, request: pb.ReserveRequest, context: Context) -> Reservation:
        wish = convert_node.from_reserve(request)
        return convert_node.to_reservation(await self._node.reserve(wish, caller().name))

    async def Unreserve(self, request: pb.UnreserveRequest, context: Context) -> Reservation:
        number = amount(request.id, "", "id")
        return convert_node.to_reservation(await self._node.unreserve(number, caller().name))

    async def Reload(self, request: pb.ReloadRequest, context: Context) -> pb.ReloadResponse:
        return convert_node.to_reloaded(await self._node.reload())

    async def Stop(self, request: pb.StopRequest, context: Context) -> pb.StopResponse:
        await self._node.stop()
        return pb.StopResponse()
