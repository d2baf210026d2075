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
        return convert_queues.to_policy(self._views.policy(), self._policies)

    async def SetPolicy(self, request: pb.SetPolicyRequest, context: Context) -> pb.Policy:
        return convert_queues.to_policy(await self._jobs.set_policy(needed(request.name, "", "name", limits.TEXT)), self._policies)

    async def Schedule(self, request: pb.ScheduleRequest, context: Context) -> pb.ScheduleResponse:
        return to_schedule(self._schedule())
