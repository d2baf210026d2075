"""The calls of the client that concern models and datasets, as `client.models` and `client.datasets`."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from aios._model_safety_calls import SafetyCalls
from aios._optimize_calls import JobOf, OptimizeCalls
from aios._transfer_calls import TransferCalls
from aios.errors import InvalidArgument
from aios.units import parse_seconds
from aios.versions import MODEL, Diff, Garbage, Merge, Model, Move, OnProgress, Reference, Settings, Usage, Verified, Version

if TYPE_CHECKING:
    from aios._channel import Channel
    from aios._source import HasFileno

BEFORE = "-"
_PAGE = 500
_READING_S = 3600.0


class StoreCalls(TransferCalls, SafetyCalls):
    """The calls about models, or about datasets: `kind` says which. A `ref` names a version: "digits", "digits:prod", "digits@abc123",
    "digits:main~2", "digits:^1.2". `expected` is the version that a branch must be at; where it is elsewhere, Conflict names both.

    timeout  seconds of one call; what reads or copies has none unless one is given
    """

    # Versions

    def register(
        self,
        name: str,
        path: "str | os.PathLike[str] | int | HasFileno",
        *,
        branch: str = "main",
        message: str = "",
        metrics: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
        licence: str = "",
        card: str = "",
        description: str = "",
        tags: Sequence[str] = (),
        expected: str = "",
        parents: Sequence[str] = (),
        visibility: str = "",
        group: str = "",
        allow_flagged: bool = False,
        upload: bool | None = None,
        python: str | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> Version:
        """Register the file or directory at `path`, or an open file, as the next version on `branch`.

        A daemon of this machine reads it itself, as the caller; nothing travels. To one elsewhere it is uploaded; what came there before
        a break is not sent again, neither by this call nor by the next. Where the branch is at just this already, that version comes
        back with `existed`. A break of the connection is survived: the call is repeated under the same key. Inside a job, the version
        knows of it: what it ran, what it has read through AIOS, its GPU hours.

        card        Markdown
        parents     versions of it that it was made from ("digits:prod"), beside the one that the branch is at
        upload      send the bytes, or have the daemon read them; None: as it is on this machine or not
        visibility  of a new model: "private" (the default), "everyone" or "group", which needs a `group` that the caller is in
        python      the interpreter whose version and packages it is to know, "": of none; None: of the one that runs this
        allow_flagged  it may be used though the scanner flags it; takes an operator
        raises      NotFound, Denied, Conflict (somebody else moved the branch meanwhile), Exhausted (quota), AlreadyExists (a tag), FailedPrecondition
                    (it changed while it was read)
        """
        from uuid import uuid4

        from aios import _convert_models, _source
        from aios._provenance import environment
        from aios._transfer import left_s
        from aios.v1 import models_pb2 as pb

        deadline = self._deadline(timeout)
        request = pb.RegisterRequest(
            model=_text(name, "name"), kind=self._wire_kind, branch=branch, message=message, metrics=_metrics(metrics or {}),
            labels=_labels(labels), licence=licence, card=card, description=description, tags=_texts(tags, "tags"), expected=expected,
            parents=_texts(parents, "parents"), visibility=visibility, group=group, allow_flagged=allow_flagged, job_id=self._job_id,
            environment=environment(python), idempotency_key=uuid4().hex,
        )  # fmt: skip
        _source.name_in(request, path, self._channel, on_progress, deadline, upload=self._is_remote if upload is None else upload)
        last = self._followed("Register", request, pb.RegisterResponse, on_progress, left_s(deadline), lambda answer: answer.HasField("version"))
        return _convert_models.version(last.version, existed=last.existed)

    def checkout(
        self,
        ref: str,
        to: "str | os.PathLike[str]" = "",
        *,
        allow_flagged: bool = False,
        download: bool | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> str:
        """A verified, read-only path of what `ref` names; with `to` a copy of one's own there, which must not exist yet.

        Inside a job, the job is known to have read it, and it stays for as long as the job has not ended. From a daemon elsewhere it is
        downloaded: without `to` into the user's cache, where the same version lies only once; after a break the same call goes on where it was.

        download  fetch the bytes, or have the daemon put them there; None: as it is on this machine or not
        """
        from aios.v1 import models_pb2 as pb

        target = os.path.abspath(os.fspath(to)) if to else ""
        if self._is_remote if download is None else download:
            from aios import _download

            return _download.download(self._held(ref, allow_flagged, timeout), target, self._job_id, on_progress, self._deadline(timeout))
        request = pb.CheckoutRequest(ref=ref, kind=self._wire_kind, job_id=self._job_id, to=target, allow_flagged=allow_flagged)
        return str(self._followed("Checkout", request, pb.CheckoutResponse, on_progress, timeout, lambda answer: bool(answer.path)).path)

    def version(self, ref: str, *, listing: bool = False, timeout: float | None = None) -> Version:
        """`listing`: with its files."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.GetVersionRequest(ref=ref, kind=self._wire_kind, listing=listing)
        return _convert_models.version(self._channel.unary("Models/GetVersion", request, pb.Version, timeout))

    def log(self, ref: str, *, all: bool = False, limit: int = 0, timeout: float | None = None) -> Iterator[Version]:
        """A version and those before it, newest first, at most `limit`, without their cards and packages; `all`: every one of the model."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        token, left = "", limit or 1 << 62
        while left > 0:
            request = pb.LogRequest(ref=ref, kind=self._wire_kind, all=all, page_size=min(left, _PAGE), page_token=token)
            answer = self._channel.unary("Models/Log", request, pb.LogResponse, timeout)
            yield from map(_convert_models.version, answer.versions)
            token, left = answer.next_page_token, left - len(answer.versions)
            if not token:
                return

    def diff(self, a: str, b: str, *, tensors: bool = False, timeout: float | None = None) -> Diff:
        """`b` against `a`; `b` may leave the model out: ":prod", "@abc123". With `tensors` all that differs is read, which may take minutes."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.DiffRequest(a=a, b=b, kind=self._wire_kind, tensors=tensors)
        return _convert_models.diff(self._channel.unary("Models/Diff", request, pb.DiffResponse, _READING_S if tensors and timeout is None else timeout))

    # References

    def references(self, name: str, of: str = "", *, timeout: float | None = None) -> list[Reference]:
        """Branches, tags and aliases; `of` "branch", "tag" or "alias": only those."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.ListReferencesRequest(model=name, kind=self._wire_kind, of=of)
        return [_convert_models.reference(one) for one in self._channel.unary("Models/ListReferences", request, pb.ListReferencesResponse, timeout).references]

    def moves(self, name: str, reference: str = "", *, limit: int = 0, timeout: float | None = None) -> Iterator[Move]:
        """Every move of one reference, or of all, newest first, also of those that are no more."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        token, left = "", limit or 1 << 62
        while left > 0:
            request = pb.LogReferencesRequest(model=name, kind=self._wire_kind, reference=reference, page_size=min(left, _PAGE), page_token=token)
            answer = self._channel.unary("Models/LogReferences", request, pb.LogReferencesResponse, timeout)
            yield from map(_convert_models.move, answer.moves)
            token, left = answer.next_page_token, left - len(answer.moves)
            if not token:
                return

    def branch(self, ref: str, name: str, *, force: bool = False, expected: str | None = None, why: str = "", timeout: float | None = None) -> Reference:
        """Make the branch `name` at `ref`, or move it there; it goes back or sideways only by `force`."""
        return self._moved(ref, name, "branch", force=force, expected=expected, why=why, timeout=timeout)

    def tag(self, ref: str, name: str, *, force: bool = False, expected: str | None = None, why: str = "", timeout: float | None = None) -> Reference:
        """Name `ref` for good; a tag that is there moves only by `force`."""
        return self._moved(ref, name, "tag", force=force, expected=expected, why=why, timeout=timeout)

    def alias(self, ref: str, name: str, *, expected: str | None = None, why: str = "", timeout: float | None = None) -> Reference:
        """A name that moves at will, such as "prod"."""
        return self._moved(ref, name, "alias", force=False, expected=expected, why=why, timeout=timeout)

    def remove_reference(
        self, ref: str, *, of: str = "", force: bool = False, expected: str | None = None, why: str = "", timeout: float | None = None
    ) -> Reference:
        """Remove the branch, tag or alias `ref`, "digits:try-3", whichever it is, or only if it is one `of` these; versions stay until nothing keeps them."""
        model, name = _reference_in(ref)
        return self._move(model, name, of, "", force=force, expected=expected, why=why, timeout=timeout)

    def rollback(self, ref: str, *, to: str = "", expected: str | None = None, why: str = "", timeout: float | None = None) -> Reference:
        """Move a reference ("digits:prod"; "digits" is its main) back to where it was before, or `to`; the history stays."""
        model, _, name = ref.partition(":")
        return self._move(model, name or "main", "", to or BEFORE, force=True, expected=expected, why=why or "rollback", timeout=timeout)

    def merge(
        self, name: str, source: str, *, into: str = "main", strategy: str = "ff", message: str = "", expected: str = "", timeout: float | None = None
    ) -> Merge:
        """Bring `source` into a branch. strategy "ff": only where nothing has to be chosen; "ours", "theirs": whose content it is to have."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.MergeRequest(model=name, kind=self._wire_kind, into=into, strategy=strategy, message=message, expected=expected, job_id=self._job_id)
        setattr(request, "from", source)  # a word of Python
        answer = self._channel.unary("Models/Merge", request, pb.MergeResponse, timeout, repeatable=False)
        return Merge(_convert_models.version(answer.version), answer.how)

    def revert(self, ref: str, *, branch: str = "main", message: str = "", expected: str = "", timeout: float | None = None) -> Version:
        """Undo on a branch what the version `ref` changed, as a new version."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.RevertRequest(ref=ref, kind=self._wire_kind, branch=branch, message=message, expected=expected, job_id=self._job_id)
        return _convert_models.version(self._channel.unary("Models/Revert", request, pb.Version, timeout, repeatable=False))

    def _moved(self, ref: str, name: str, of: str, *, force: bool, expected: str | None, why: str, timeout: float | None) -> Reference:
        model = ref.partition(":")[0].partition("@")[0].partition("~")[0]
        return self._move(model, name, of, ref, force=force, expected=expected, why=why, timeout=timeout)

    def _move(self, model: str, name: str, of: str, to: str, *, force: bool, expected: str | None, why: str, timeout: float | None) -> Reference:
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.MoveReferenceRequest(
            model=model, kind=self._wire_kind, name=name, of=of, to=to, expected=expected, why=why, force=force, job_id=self._job_id
        )  # fmt: skip
        repeatable = to != BEFORE  # going back twice is going further back
        return _convert_models.reference(self._channel.unary("Models/MoveReference", request, pb.Reference, timeout, repeatable=repeatable))

    # Models

    def search(
        self,
        *,
        text: str = "",
        format: str = "",
        metrics: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        author: str = "",
        job_id: str = "",
        tensor: str = "",
        limit: int = 0,
        timeout: float | None = None,
    ) -> list[Model]:
        """Those that may be read, at most `limit`, by name; with a text by how well it fits. What is asked of versions is of one and the same, but the text.

        text     words, each of which begins a word of the name, the description, or anything that is said of any version
        metrics  such as "accuracy>0.9"
        tensor   the name of one, in which * and ? stand for anything: "encoder.*.weight"
        """
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        found: list[Model] = []
        request = pb.ListModelsRequest(
            kind=self._wire_kind, text=text, format=format, metrics=_texts(metrics, "metrics"), labels=_labels(labels), author=author,
            job_id=job_id, tensor=tensor, page_size=min(limit or _PAGE, _PAGE),
        )  # fmt: skip
        while True:
            answer = self._channel.unary("Models/List", request, pb.ListModelsResponse, timeout)
            found += map(_convert_models.model, answer.models)
            request.page_token = answer.next_page_token
            if not request.page_token or 0 < limit <= len(found):
                return found[: limit or None]

    def get(self, name: str, *, timeout: float | None = None) -> Model:
        """What is set for a name, its references, and its latest version."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        return _convert_models.model(self._channel.unary("Models/Get", pb.GetModelRequest(name=name, kind=self._wire_kind), pb.Model, timeout))

    def update(self, name: str, settings: Settings, *, timeout: float | None = None) -> Model:
        """Change what `settings` names; takes the owner, or a writer for the description alone."""
        from aios import _convert_models, signatures
        from aios.v1 import models_pb2 as pb

        request = pb.SetModelRequest(
            name=name, kind=self._wire_kind, description=settings.description, visibility=settings.visibility, group=settings.group, roles=settings.roles,
            require_signature=settings.require_signature, trust_keys=map(signatures.public_key, settings.trust_keys),
            distrust_keys=settings.distrust_keys, keep_last=settings.keep_last,
            keep_for_s=None if settings.keep_for is None else parse_seconds(settings.keep_for, what="keep_for", zero=True),
        )  # fmt: skip
        return _convert_models.model(self._channel.unary("Models/Set", request, pb.Model, timeout))

    def remove(self, ref: str, *, force: bool = False, timeout: float | None = None) -> tuple[str, ...]:
        """A whole model by its name, which takes `force` where it has versions; or one version that nothing leads to."""
        from aios.v1 import models_pb2 as pb

        request = pb.RemoveModelRequest(ref=ref, kind=self._wire_kind, force=force)
        return tuple(self._channel.unary("Models/Remove", request, pb.RemoveModelResponse, timeout, repeatable=False).removed)

    # Care

    def verify(self, ref: str = "", *, sample: float = 1.0, on_progress: OnProgress | None = None, timeout: float | None = None) -> Verified:
        """Have the daemon read a version back, or all there is (""; takes an operator). sample: the part of its chunks, 0 to 1."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        if not 0 < sample <= 1:
            raise InvalidArgument(f"sample is {sample!r}", hint="allowed: more than 0, at most 1", facts={"sample": str(sample)})
        permille = max(1, round(sample * 1000))
        request = pb.VerifyRequest(ref=ref, kind=self._wire_kind, sample_permille=permille, all=not ref)
        return _convert_models.verified(self._followed("Verify", request, pb.VerifyResponse, on_progress, timeout, lambda answer: answer.done))

    def collect_garbage(self, *, dry_run: bool = False, grace: str | float | None = None, timeout: float | None = None) -> Garbage:
        """Remove what nothing keeps; takes an operator. grace: what is younger stays, "1h"; of models and datasets alike"""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        grace_s = None if grace is None else parse_seconds(grace, what="grace", zero=True)
        request = pb.CollectGarbageRequest(dry_run=dry_run, grace_s=grace_s)
        allowed = 86_400.0 if timeout is None else timeout
        return _convert_models.garbage(self._channel.unary("Models/CollectGarbage", request, pb.CollectGarbageResponse, allowed, repeatable=False))

    def usage(self, *, timeout: float | None = None) -> Usage:
        """What users' models and datasets take: everybody's for an operator, else one's own."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        return _convert_models.usage(self._channel.unary("Models/Usage", pb.ModelUsageRequest(), pb.ModelUsageResponse, timeout))

    @property
    def _job_id(self) -> str:
        """The job that this process runs in, where it is one of the daemon that is asked; "": none."""
        here = "AIOS_RUN_KEY" in os.environ and os.environ.get("AIOS_TARGET") == str(self._channel.target)
        return os.environ.get("AIOS_JOB_ID", "") if here else ""


class ModelCalls(StoreCalls, OptimizeCalls):
    """With what there is of models alone."""

    def __init__(self, channel: "Channel", job: JobOf) -> None:
        super().__init__(channel, MODEL)
        self._job = job

    def register_outputs(self, job: str, *, timeout: float | None = None) -> tuple[str, ...]:
        """Try again to register what a job that has succeeded was to leave as models: why it still cannot be; empty when all of it is there."""
        from aios.v1 import models_pb2 as pb

        request, allowed = pb.RegisterOutputsRequest(job_id=job), 86_400.0 if timeout is None else timeout
        return tuple(self._channel.unary("Models/RegisterOutputs", request, pb.RegisterOutputsResponse, allowed).problems)


def _reference_in(ref: str) -> tuple[str, str]:
    model, colon, name = ref.partition(":")
    if not colon or not name:
        raise InvalidArgument(f"{ref!r} names no branch, tag or alias", hint='write it like "digits:try-3"', facts={"ref": ref})
    return model, name


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"{what} is {value!r}", hint="give a text", facts={what: repr(value)})
    return value


def _texts(given: Iterable[str], what: str) -> Iterable[str]:
    """A text alone would be taken for its letters."""
    if isinstance(given, str):
        raise InvalidArgument(f"{what} is the text {given!r}", hint=f"give a list: [{given!r}]", facts={what: given})
    return given


def _metrics(given: Mapping[str, float]) -> dict[str, float]:
    """Numbers of numpy and torch count as what they are."""
    try:
        return {_text(name, "the name of a metric"): float(value) for name, value in given.items()}
    except (AttributeError, TypeError, ValueError):
        raise InvalidArgument(f"metrics are {given!r}", hint='give numbers by name: {"accuracy": 0.97}', facts={}) from None


def _labels(given: Mapping[str, str] | None) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"labels are {given!r}", hint='give texts by name: {"team": "vision"}', facts={})
    return {_text(name, "the name of a label"): _text(value, f"the label {name!r}") for name, value in given.items()}
