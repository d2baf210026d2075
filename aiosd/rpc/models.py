"""The Models service: convert, call, convert. Calls of other parts are classes of their own, in rpc/models_*.py, and bases of the one below."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from aios.v1 import models_pb2 as pb
from aiosd.errors import InvalidArgument
from aiosd.models.care_service import ModelCare
from aiosd.models.history import strategy_of
from aiosd.models.move_service import ModelMoves
from aiosd.models.optimize_service import ModelOptimizer
from aiosd.models.permits import Caller
from aiosd.models.read_service import MOST_A_PAGE, ModelReader
from aiosd.models.safety_service import ModelSafety
from aiosd.models.send_service import ModelSender
from aiosd.models.service import ModelService
from aiosd.models.transfer_service import Transfers
from aiosd.models.vault_ports import Progress
from aiosd.rpc import convert_models as convert
from aiosd.rpc import slices
from aiosd.rpc.auth import caller, check_owner
from aiosd.rpc.context import Context
from aiosd.rpc.fields import amount, needed, printable, seconds, text
from aiosd.rpc.limits import NAME, PATH, TEXT
from aiosd.rpc.models_carry import CarryCalls
from aiosd.rpc.models_optimize import OptimizeCalls, Submit
from aiosd.rpc.models_safety import SafetyCalls
from aiosd.rpc.models_transfer import TransferCalls
from aiosd.rpc.needs import JobCalls, OutputCalls
from aiosd.rpc.streams import closing


@dataclass(frozen=True, slots=True)
class ModelServices:
    """What the models domain offers. `groups_of`: the Unix groups of a user, by name and first group."""

    models: ModelService
    moves: ModelMoves
    care: ModelCare
    reader: ModelReader
    sender: ModelSender
    optimizer: ModelOptimizer
    safety: ModelSafety
    transfers: Transfers
    groups_of: Callable[[str, int], frozenset[str]]

    def by(self) -> Caller:
        """Who makes the call that is being answered."""
        principal = caller()
        return Caller(principal, partial(self.groups_of, principal.name, principal.gid))


class ModelsServicer(CarryCalls, OptimizeCalls, SafetyCalls, TransferCalls):
    """`submit`: Jobs.Submit, for what runs as a job."""

    def __init__(self, services: ModelServices, jobs: JobCalls, outputs: OutputCalls, submit: Submit) -> None:
        self._services = services
        self._jobs = jobs
        self._outputs = outputs
        self._submit = submit

    # What is there

    async def List(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        query, limit = convert.from_query(request), _page(request.page_size)
        views, after = await self._services.reader.list(query, self._services.by(), text(request.page_token, "", "page_token", TEXT), limit)
        return pb.ListModelsResponse(models=await slices.each(views, lambda _, view: convert.to_model(view)), next_page_token=after)

    async def Get(self, request: pb.GetModelRequest, context: Context) -> pb.Model:
        name = needed(request.name, "", "name", TEXT)
        return convert.to_model(await self._services.reader.view(convert.kind_of(request.kind), name, self._services.by()))

    async def GetVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.Version:
        kind = convert.kind_of(request.kind)
        return convert.to_version(await self._services.reader.show(kind, _ref(request.ref), self._services.by(), listing=request.listing))

    async def Log(self, request: pb.LogRequest, context: Context) -> pb.LogResponse:
        kind, limit, before = convert.kind_of(request.kind), _page(request.page_size), _number(request.page_token)
        views, rest = await self._services.reader.log(kind, _ref(request.ref), self._services.by(), before, limit, everything=request.all)
        return pb.LogResponse(versions=await slices.each(views, lambda _, view: convert.to_logged(view)), next_page_token=_token(rest))

    async def LogReferences(self, request: pb.LogReferencesRequest, context: Context) -> pb.LogReferencesResponse:
        kind, model, reference = convert.kind_of(request.kind), _ref(request.model, "model"), text(request.reference, "", "reference", TEXT)
        limit, before = _page(request.page_size), _number(request.page_token)
        moves, rest = await self._services.reader.moves(kind, model, reference, self._services.by(), before, limit)
        return pb.LogReferencesResponse(moves=map(convert.to_move, moves), next_page_token=_token(rest))

    async def ListReferences(self, request: pb.ListReferencesRequest, context: Context) -> pb.ListReferencesResponse:
        kind, model, of = convert.kind_of(request.kind), _ref(request.model, "model"), convert.ref_kind(request.of)
        found = await self._services.reader.references(kind, model, self._services.by(), of)
        return pb.ListReferencesResponse(references=[convert.to_reference(model, each) for each in found])

    async def Diff(self, request: pb.DiffRequest, context: Context) -> pb.DiffResponse:
        kind, a, b = convert.kind_of(request.kind), _ref(request.a, "a"), _ref(request.b, "b")
        return convert.to_diff(await self._services.reader.diff(kind, a, b, self._services.by(), tensors=request.tensors))

    async def Usage(self, request: pb.ModelUsageRequest, context: Context) -> pb.ModelUsageResponse:
        return convert.to_usage(await self._services.care.usage(self._services.by()))

    # Versions

    async def Register(self, request: pb.RegisterRequest, context: Context) -> AsyncIterator[pb.RegisterResponse]:
        draft, by = convert.from_register(request), self._services.by()
        if request.upload_id:
            name, contents = needed(request.path, "", "path", PATH), needed(request.contents, "", "contents", NAME)
            taking = self._services.transfers.uploads.register(draft, name, request.upload_id, contents, by)
        else:
            taking = self._services.models.register(draft, convert.source_of(request, by.principal), by)
        async with closing(taking) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield pb.RegisterResponse(progress=convert.to_progress(step))
                else:
                    yield pb.RegisterResponse(version=convert.plain_version(step.version), existed=step.existed)

    async def RegisterOutputs(self, request: pb.RegisterOutputsRequest, context: Context) -> pb.RegisterOutputsResponse:
        job = await self._jobs.get(needed(request.job_id, "", "job_id", NAME))
        check_owner(job.owner.uid, f"job {job.id}")
        return pb.RegisterOutputsResponse(problems=map(printable, await self._outputs.again(job)))

    async def Checkout(self, request: pb.CheckoutRequest, context: Context) -> AsyncIterator[pb.CheckoutResponse]:
        kind, ref, to = convert.kind_of(request.kind), _ref(request.ref), text(request.to, "", "to", PATH)
        job_id = text(request.job_id, "", "job_id", NAME)
        steps = self._services.reader.checkout(kind, ref, self._services.by(), to, allow_flagged=request.allow_flagged, job_id=job_id)
        async with closing(steps):
            async for step in steps:
                if isinstance(step, Progress):
                    yield pb.CheckoutResponse(progress=convert.to_progress(step))
                else:
                    yield pb.CheckoutResponse(path=step.path, version=convert.plain_version(step.version))

    # References

    async def MoveReference(self, request: pb.MoveReferenceRequest, context: Context) -> pb.Reference:
        wish = convert.from_move(request)
        return convert.to_reference(wish.model, await self._services.moves.move(wish, self._services.by()))

    async def Merge(self, request: pb.MergeRequest, context: Context) -> pb.MergeResponse:
        kind, model = convert.kind_of(request.kind), _ref(request.model, "model")
        into, source = text(request.into, "", "into", TEXT), needed(getattr(request, "from"), "", "from", TEXT)
        message, expected = text(request.message, "", "message"), text(request.expected, "", "expected", NAME)
        by, job_id = self._services.by(), text(request.job_id, "", "job_id", NAME)
        merged = await self._services.moves.merge(kind, model, into, source, strategy_of(request.strategy), message, expected, by, job_id)
        return pb.MergeResponse(version=convert.plain_version(merged.version), how=merged.how)

    async def Revert(self, request: pb.RevertRequest, context: Context) -> pb.Version:
        kind, ref, onto = convert.kind_of(request.kind), _ref(request.ref), text(request.branch, "", "branch", TEXT)
        message, expected = text(request.message, "", "message"), text(request.expected, "", "expected", NAME)
        by, job_id = self._services.by(), text(request.job_id, "", "job_id", NAME)
        return convert.plain_version(await self._services.moves.revert(kind, ref, onto, message, expected, by, job_id))

    # Models

    async def Set(self, request: pb.SetModelRequest, context: Context) -> pb.Model:
        kind, name, by = convert.kind_of(request.kind), needed(request.name, "", "name", TEXT), self._services.by()
        await self._services.moves.set(kind, name, convert.from_set(request), by)
        return convert.to_model(await self._services.reader.view(kind, name, by))

    async def Remove(self, request: pb.RemoveModelRequest, context: Context) -> pb.RemoveModelResponse:
        kind, ref = convert.kind_of(request.kind), _ref(request.ref)
        return pb.RemoveModelResponse(removed=await self._services.moves.remove(kind, ref, self._services.by(), force=request.force))

    # Care

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> AsyncIterator[pb.VerifyResponse]:
        kind, ref = convert.kind_of(request.kind), "" if request.all else _ref(request.ref)
        permille = amount(request.sample_permille, "", "sample_permille")
        if permille > 1000:
            raise InvalidArgument(f"sample_permille is {permille}", hint="give 1 to 1000; 0 is all", field="sample_permille", given=permille)
        steps = self._services.care.verify(kind, ref, permille, self._services.by(), everything=request.all)
        async with closing(steps):
            async for step in steps:
                if isinstance(step, Progress):
                    yield pb.VerifyResponse(progress=convert.to_progress(step))
                else:
                    yield pb.VerifyResponse(damaged=map(convert.to_damage, step.damaged), chunks=step.chunks, done=True)

    async def CollectGarbage(self, request: pb.CollectGarbageRequest, context: Context) -> pb.CollectGarbageResponse:
        grace_s = seconds(request.grace_s, "", "grace_s") if request.HasField("grace_s") else self._services.care.grace_s
        return convert.to_collected(await self._services.care.collect(grace_s, dry_run=request.dry_run))


def _ref(value: str, field: str = "ref") -> str:
    return needed(value, "", field, TEXT)


def _page(size: int) -> int:
    return min(amount(size, "", "page_size"), MOST_A_PAGE)


def _number(token: str) -> int:
    if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise InvalidArgument(f"page_token is {token[:40]!r}, which no answer had", hint="give the next_page_token of the page before", field="page_token")
    return int(token or 0)


def _token(number: int) -> str:
    return str(number) if number else ""
