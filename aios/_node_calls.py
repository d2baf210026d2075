"""The calls of the client that concern the node and the daemon."""

from typing import TYPE_CHECKING

from aios._calls import Calls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aios.node import NodeStatus, Reloaded, Reservation
    from aios.spec import Amount, Devices, Duration, Moment, Size


class NodeCalls(Calls):
    """The calls of `aios.Client` that concern the node and the daemon."""

    def node(self, *, timeout: float | None = None) -> "NodeStatus":
        from aios import _convert_node
        from aios.v1 import node_pb2 as pb

        return _convert_node.node_status(self._channel.unary("Node/Get", pb.GetNodeRequest(), pb.NodeStatus, timeout))

    def drain(self, reason: str = "", *, timeout: float | None = None) -> "NodeStatus":
        """Running jobs finish, nothing new starts."""
        from aios import _convert_node
        from aios.v1 import node_pb2 as pb

        return _convert_node.node_status(self._channel.unary("Node/Drain", pb.DrainRequest(reason=reason), pb.NodeStatus, timeout))

    def resume_node(self, *, timeout: float | None = None) -> "NodeStatus":
        """The end of a drain."""
        from aios import _convert_node
        from aios.v1 import node_pb2 as pb

        return _convert_node.node_status(self._channel.unary("Node/Resume", pb.ResumeRequest(), pb.NodeStatus, timeout))

    def set_device(self, device_id: str, *, quarantined: bool, reason: str = "", timeout: float | None = None) -> "NodeStatus":
        """Take a device out of use, or let it be handed out again; what runs on it goes on. Raises NotFound."""
        from aios import _convert_node
        from aios.v1 import node_pb2 as pb

        request = pb.SetDeviceRequest(device_id=device_id, quarantined=quarantined, reason=reason)
        return _convert_node.node_status(self._channel.unary("Node/SetDevice", request, pb.NodeStatus, timeout))

    def reserve(
        self,
        begin: "Moment",
        length: "Duration",
        users: "str | Iterable[str]",
        *,
        cpus: "Amount | None" = None,
        memory: "Size | None" = None,
        gpus: str | float | None = None,
        gres: "Devices | None" = None,
        disk: "Size | None" = None,
        exclusive: bool = False,
        reason: str = "",
        timeout: float | None = None,
    ) -> "Reservation":
        """Keep a part of the machine for `users` ("alice", "@group") from `begin` on; what is asked reads as in `submit`.

        Without `cpus` it is a processor for each device; `exclusive` is the whole machine. Raises NeverFits and Conflict.
        """
        from aios import _convert_node
        from aios._requests import reservation
        from aios.spec import JobSpec
        from aios.v1 import node_pb2 as pb
        from aios.v1 import resources_pb2

        what = JobSpec("", cpus=cpus, memory=memory, gpus=gpus, gres=gres, disk=disk, exclusive=exclusive)
        request = pb.ReserveRequest(reservation=reservation(begin, length, users, what, reason))
        return _convert_node.reservation(self._channel.unary("Node/Reserve", request, resources_pb2.Reservation, timeout, repeatable=False))

    def unreserve(self, number: int, *, timeout: float | None = None) -> "Reservation":
        """End a reservation, or take it back. Raises NotFound."""
        from aios import _convert_node
        from aios.v1 import node_pb2 as pb
        from aios.v1 import resources_pb2

        request = pb.UnreserveRequest(id=number)
        return _convert_node.reservation(self._channel.unary("Node/Unreserve", request, resources_pb2.Reservation, timeout, repeatable=False))

    def reload(self, *, timeout: float | None = None) -> "Reloaded":
        """Have the daemon read its configuration again, as SIGHUP does."""
        from aios.node import Reloaded
        from aios.v1 import node_pb2 as pb

        answer = self._channel.unary("Node/Reload", pb.ReloadRequest(), pb.ReloadResponse, timeout)
        return Reloaded(tuple(answer.applied), tuple(answer.needs_restart))

    def stop_daemon(self, *, timeout: float | None = None) -> None:
        """Ask the daemon to stop; running jobs go on. `aios.daemon.stop` also waits until it is gone."""
        from aios.v1 import node_pb2 as pb

        self._channel.unary("Node/Stop", pb.StopRequest(), pb.StopResponse, timeout, repeatable=False)
