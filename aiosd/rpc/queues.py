"""The Queues service: convert, call, convert."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from collections.abc import Callable, Mapping

from aios.v1 import queues_pb2 as pb
from aios.v1.queues_pb2_grpc import QueuesServicer as Wire
from aiosd.jobs.schedule import ScheduleView
from aiosd.rpc import convert_queues, limits
from aiosd.rpc.context import Context
from aiosd.rpc.convert_schedule import to_schedule
from aiosd.rpc.fields import needed
from aiosd.rpc.needs import JobCalls, JobViews
from aiosd.rpc.privacy import redacted_schedule


class QueuesServicer(Wire):
    """`policies` says for the name of every policy, in one sentence, how it orders."""

    def __init__(self, jobs: JobCalls, views: JobViews, policies: Mapping[str, str], schedule: Callable[[], ScheduleView] = ScheduleView) -> None:
        self._jobs = jobs
        self._views = views
        self._policies = policies
        self._schedule = schedule

    async def List(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        return pb.ListQueuesResponse(queues=[convert_queues.to_queue(queue) for queue in self._views.queues()])

    async def Get(self, request: pb.GetQueueRequest, context: Context) -> pb.Queue:
        return convert_queues.to_queue(self._views.queue(needed(request.name, "", "name", limits.TEXT)))

    async def Set(self, request: pb.SetQueueRequest, context: Context) -> pb.Queue:
        change = convert_queues.from_set_queue(request)
        settings = await self._jobs.set_queue(needed(request.name, "", "name", limits.TEXT), change)
        return convert_queues.to_queue(self._views.queue(settings.name))

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Context) -> pb.Policy:
        return self._policy()

    async def SetPolicy(self, request: pb.SetPolicyRequest, context: Context) -> pb.Policy:
        wish = convert_queues.from_set_policy(request)
        await self._jobs.set_policy(wish.name, wish)
        return self._policy()

    async def ListQos(self, request: pb.ListQosRequest, context: Context) -> pb.ListQosResponse:
        return pb.ListQosResponse(qos=[convert_queues.to_qos(qos) for qos in self._views.qos()])

    async def Shares(self, request: pb.SharesRequest, context: Context) -> pb.SharesResponse:
        nodes, half_life_s = self._views.shares()
        return pb.SharesResponse(nodes=[convert_queues.to_share(node) for node in nodes], half_life_s=half_life_s)

    async def Schedule(self, request: pb.ScheduleRequest, context: Context) -> pb.ScheduleResponse:
        return to_schedule(redacted_schedule(self._schedule()))

    def _policy(self) -> pb.Policy:
        return convert_queues.to_policy(self._views.policy(), self._policies, self._views.rules())
