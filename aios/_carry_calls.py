"""What all calls about models and datasets stand on, and those by which versions leave for a file and come from one."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from aios.versions import MODEL, OnProgress, Version

if TYPE_CHECKING:
    from aios._channel import Channel
    from aios.v1 import models_pb2 as pb

Answer = TypeVar("Answer", "pb.RegisterResponse", "pb.CheckoutResponse", "pb.VerifyResponse", "pb.TransferResponse")


class CarryCalls:
    """A base of StoreCalls: `kind` says whether it is of models or of datasets."""

    def __init__(self, channel: "Channel", kind: str = MODEL) -> None:
        self._channel = channel
        self._kind = kind

    def export(
        self,
        refs: str | Sequence[str],
        path: "str | os.PathLike[str]",
        *,
        format: str = "bundle",
        base: str = "",
        history: bool = False,
        replace: bool = False,
        allow_flagged: bool = False,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> tuple[Version, ...]:
        """Have the daemon write versions of one model to `path`, as the caller, for where no daemon answers; what went there.

        format   "bundle": one file with all that versions are; "oci": an image layout with a ModelPack, a directory or a .tar; "hf": the
                 directory of a repository on a hub. The last two hold one version, as it is
        base     of a bundle: a version that the other side has, whose content is left out
        history  of a bundle: with all versions that come before, back to the base
        replace  a file that is there; a directory never is
        raises   AlreadyExists, NotFound, Denied, FailedPrecondition (flagged or damaged), DataLoss, DiskFull
        """
        from aios.v1 import models_pb2 as pb

        request = pb.ExportRequest(
            refs=[refs] if isinstance(refs, str) else refs, kind=self._wire_kind, path=os.path.abspath(os.fspath(path)), format=format, base=base,
            history=history, replace=replace, allow_flagged=allow_flagged,
        )  # fmt: skip
        return self._carried("Export", request, on_progress, timeout)

    def import_(
        self,
        path: "str | os.PathLike[str]",
        name: str = "",
        *,
        format: str = "bundle",
        branch: str = "",
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> tuple[Version, ...]:
        """Take what `export`, or somebody else's tool, has written; the versions, with `existed` where they were here before.

        Those of a bundle keep their ids, and go where they were: tags stay, a branch goes forward, or Conflict says where it is. What is
        flagged stays so, and all of it is examined again. Of the other formats a new version is made, with what they say of the model.

        name    of the model here; needed where the format is not "bundle"
        branch  where it goes; "" as the bundle says, else main
        raises  InvalidArgument (damaged, or made to do harm; nothing is kept), Conflict, FailedPrecondition (the base is not here), Exhausted
        """
        from aios.v1 import models_pb2 as pb

        target = os.path.abspath(os.fspath(path))
        request = pb.ImportRequest(path=target, kind=self._wire_kind, model=name, format=format, branch=branch)
        return self._carried("Import", request, on_progress, timeout)

    def _carried(
        self, method: str, request: "pb.ExportRequest | pb.ImportRequest", on_progress: OnProgress | None, timeout: float | None
    ) -> tuple[Version, ...]:
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        last = self._followed(method, request, pb.TransferResponse, on_progress, timeout, lambda answer: bool(answer.path))
        new = set(last.new_versions)
        return tuple(_convert_models.version(one, existed=method == "Import" and one.id not in new) for one in last.versions)

    @property
    def _wire_kind(self) -> "pb.StoreKind":
        from aios import _convert_models

        return _convert_models.KINDS[self._kind]

    def _followed(
        self,
        method: str,
        request: "pb.RegisterRequest | pb.CheckoutRequest | pb.VerifyRequest | pb.ExportRequest | pb.ImportRequest",
        answer: type[Answer],
        on_progress: OnProgress | None,
        timeout: float | None,
        is_last: Callable[[Answer], bool],
    ) -> Answer:
        """The last answer of a stream; what comes before it is progress. After a break it is asked for again."""
        from aios import _convert_models

        deadline = None if timeout is None else time.monotonic() + self._channel.allowed(timeout)
        done: list[Answer] = []
        for one in self._channel.resuming(lambda: self._channel.stream(f"Models/{method}", request, answer, deadline), deadline, lambda: bool(done)):
            if is_last(one):
                done.append(one)
            elif on_progress is not None and one.HasField("progress"):
                on_progress(_convert_models.progress(one.progress))
        return done[-1]
