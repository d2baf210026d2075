"""`client.models.optimize`: a smaller or faster version of a model, made by a job."""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Unpack

from aios.spec import JobSpec, SubmitOptions

if TYPE_CHECKING:
    from aios._channel import Channel
    from aios.jobs import Job
    from aios.v1 import jobs_pb2

JobOf = Callable[["jobs_pb2.Job"], "Job"]


class OptimizeCalls:
    """`_job` makes a job of what the daemon says of one."""

    _channel: "Channel"
    _job: JobOf

    def optimize(
        self,
        ref: str,
        *,
        quantize: str = "",
        prune: float = 0.0,
        calibrate: "str | os.PathLike[str]" = "",
        gates: Iterable[str] = (),
        branch: str = "main",
        message: str = "",
        key: str = "",
        timeout: float | None = None,
        **options: Unpack[SubmitOptions],
    ) -> "Job":
        """Make a version of the model `ref` that is smaller or faster, and measure it beside it; the job that does. `options` are those of `aios.submit`.

        quantize   "int8" (calibrated where there are samples), "int8-dynamic" or "fp16"
        prune      the part of the weights, the smallest, that becomes 0
        calibrate  samples: a version of a dataset ("mnist:clean"), or the path of a .npz file ("samples.npz") with an array for each input,
                   and `labels` where the accuracy is to be measured; without: random samples
        gates      what it must be worth to come onto the branch: "accuracy>=-0.5%", "latency<=0.8x", "size<=20M", "agreement>=0.99"
        raises     FailedPrecondition: its format cannot be optimised, or the daemon has no such package, which the hint names
        """
        from uuid import uuid4

        from aios import _requests
        from aios.v1 import jobs_pb2
        from aios.v1 import models_pb2 as pb

        request = pb.OptimizeRequest(
            ref=ref, quantize=quantize, prune=prune, calibrate=_absolute(os.fspath(calibrate)), gates=[gates] if isinstance(gates, str) else gates,
            branch=branch, message=message, job=_requests.job_without_command(JobSpec((), **options)), idempotency_key=key or uuid4().hex,
        )  # fmt: skip
        return self._job(self._channel.unary("Models/Optimize", request, jobs_pb2.Job, timeout))


def _absolute(data: str) -> str:
    """A path begins as no name of a dataset does, or ends as the file would."""
    return os.path.abspath(os.path.expanduser(data)) if data.startswith(("/", ".", "~")) or data.endswith(".npz") else data
