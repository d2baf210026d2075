"""Optimize of the Models service: a submission whose command is made here."""

# ruff: noqa: N802  (gRPC spells its methods with capitals)
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import aiosd
from aios._target import python_path
from aios.errors import InvalidArgument as Refused
from aios.optimizing.gates import ACCURACY, parse_gate
from aios.v1 import jobs_pb2
from aios.v1 import models_pb2 as pb
from aios.v1.models_pb2_grpc import ModelsServicer as Wire
from aiosd.errors import InvalidArgument
from aiosd.models.optimizing import OptimizeWish
from aiosd.models.references import MAIN
from aiosd.rpc.auth import current
from aiosd.rpc.context import Context
from aiosd.rpc.fields import needed, text, texts
from aiosd.rpc.limits import CHOICES, NAME, PATH, TEXT

if TYPE_CHECKING:
    from aiosd.rpc.models import ModelServices

Submit = Callable[[jobs_pb2.SubmitJobsRequest, Context], Awaitable[jobs_pb2.SubmitJobsResponse]]
_MADE_HERE = ("command", "script", "array", "stdin_open")
_PYTHONPATH = "PYTHONPATH"


class OptimizeCalls(Wire):
    """`_submit`: Jobs.Submit, with all that it checks."""

    _services: "ModelServices"
    _submit: Submit

    async def Optimize(self, request: pb.OptimizeRequest, context: Context) -> jobs_pb2.Job:
        wish, key = from_optimize(request), text(request.idempotency_key, "", "idempotency_key", NAME)
        command = await self._services.optimizer.command(wish, self._services.by())
        submission = jobs_pb2.SubmitJobsRequest(specs=[_job(request.job, command, wish)], idempotency_key=key)
        (job,) = (await self._submit(submission, context)).jobs
        current().about = f"model {wish.ref} by job {job.id}"
        return job


def from_optimize(wire: pb.OptimizeRequest) -> OptimizeWish:
    """Raises InvalidArgument for gates that cannot be read, and for those that nothing could pass."""
    gates = texts(wire.gates, "", "gates", CHOICES)
    for gate in gates:
        try:
            blind = parse_gate(gate).figure == ACCURACY and not wire.calibrate
        except Refused as error:
            raise InvalidArgument(str(error), hint=error.hint, field="gates", given=gate[:80]) from None
        if blind:
            hint = "give samples with an array `labels` (--calibrate), or set a gate on the agreement with the original: agreement>=0.99"
            raise InvalidArgument(f"the gate {gate[:80]!r} needs to know what is right", hint=hint, field="gates", given=gate[:80])
    return OptimizeWish(
        ref=needed(wire.ref, "", "ref", TEXT),
        quantize=text(wire.quantize, "", "quantize", TEXT),
        prune=wire.prune,
        calibrate=text(wire.calibrate, "", "calibrate", PATH),
        gates=gates,
        branch=text(wire.branch, "", "branch", TEXT) or MAIN,
        message=text(wire.message, "", "message"),
    )


def _job(wire: jobs_pb2.JobSpec, command: tuple[str, ...], wish: OptimizeWish) -> jobs_pb2.JobSpec:
    """What was asked of the job, with the program in it, which is found as the daemon's own."""
    given = [name for name in _MADE_HERE if getattr(wire, name)]
    if given:
        raise InvalidArgument(f"job.{given[0]} is not for the caller to say: the daemon makes it", hint="leave it out", field=f"job.{given[0]}")
    made = jobs_pb2.JobSpec()
    made.CopyFrom(wire)
    made.command[:] = command
    made.name = wire.name or f"optimize {wish.ref}"
    inherited = next((each.value for each in reversed(wire.environment) if each.name == _PYTHONPATH), "")
    made.environment.add(name=_PYTHONPATH, value=python_path(aiosd.__file__, inherited))
    return made
