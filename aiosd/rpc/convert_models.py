"""Models between wire and records: requests in, versions, references and differences out."""

import re
from collections.abc import Mapping
from dataclasses import replace

from aios.v1 import models_pb2 as pb
from aiosd.access.principal import Principal
from aiosd.errors import InvalidArgument
from aiosd.models.care_service import Collected, Usage
from aiosd.models.damage import Damage
from aiosd.models.diff import Diff, TensorChange, TensorDiff
from aiosd.models.draft import Draft
from aiosd.models.manifest import FileEntry, check_path
from aiosd.models.model import DamagedModel, Move, Reference, RefKind, Signature
from aiosd.models.move_service import Wish
from aiosd.models.parcel import MOST_VERSIONS
from aiosd.models.permits import role_named, visibility_named
from aiosd.models.ports import ModelQuery
from aiosd.models.read_service import ModelView, VersionView
from aiosd.models.references import MAIN
from aiosd.models.settings import ModelChange
from aiosd.models.transfer_service import Arriving
from aiosd.models.vault_ports import Progress, Source
from aiosd.models.version import Kind, Lineage, Schema, Tensor, Version
from aiosd.rpc.fields import amount, few, needed, pairs, printable, seconds, text, texts
from aiosd.rpc.limits import CHOICES, NAME, PATH, REASON, TEXT

KINDS: dict[int, Kind] = {pb.STORE_KIND_UNSPECIFIED: Kind.MODEL, pb.MODEL: Kind.MODEL, pb.DATASET: Kind.DATASET}
MOST_PACKAGES = 20_000
_METRIC = re.compile(r"\s*([^<>=!]+?)\s*(>=|<=|!=|>|<|==?)\s*(\S+)\s*")

# Requests


def kind_of(number: int) -> Kind:
    if number not in KINDS:
        raise InvalidArgument(f"kind is {number}, which this daemon does not know", hint="choose MODEL or DATASET", field="kind", given=number)
    return KINDS[number]


def from_register(wire: pb.RegisterRequest) -> Draft:
    few(wire.environment.packages, "environment.", "packages", MOST_PACKAGES)
    return Draft(
        model=needed(wire.model, "", "model"),
        kind=kind_of(wire.kind),
        branch=wire.branch or MAIN,
        message=text(wire.message, "", "message"),
        metrics=dict(wire.metrics),
        labels=pairs(wire.labels, "", "labels"),
        licence=text(wire.licence, "", "licence", TEXT),
        card=text(wire.card, "", "card"),
        description=text(wire.description, "", "description"),
        tags=texts(wire.tags, "", "tags", CHOICES),
        expected=text(wire.expected, "", "expected", NAME),
        parents=texts(wire.parents, "", "parents", CHOICES),
        visibility=visibility_named(wire.visibility),
        group=text(wire.group, "", "group", NAME),
        lineage=_from_lineage(wire.environment, wire.job_id),
        key=text(wire.idempotency_key, "", "idempotency_key", NAME),
        allow_flagged=wire.allow_flagged,
    )


def source_of(wire: pb.RegisterRequest, by: Principal) -> str | Source:
    """What is to be registered: what lies at a path, or what the caller's process has open."""
    path = needed(wire.path, "", "path", PATH)
    if wire.HasField("descriptor"):
        if not by.pid:
            raise InvalidArgument("a descriptor is of a process of this machine, and this call is of none", hint="upload the file", field="descriptor")
        return Source(check_path(path), by.uid, by.gid, by.name, descriptor=(by.pid, amount(wire.descriptor, "", "descriptor")))
    if not path.startswith("/"):
        raise InvalidArgument(f"path is {path[:100]!r}, which is not absolute", hint="write it from the root on", field="path", given=path[:100])
    return path


def _from_lineage(wire: pb.Lineage, job_id: str) -> Lineage:
    return Lineage(
        job_id=text(job_id or wire.job_id, "", "job_id", NAME),
        cwd=text(wire.cwd, "environment.", "cwd", PATH),
        git_commit=text(wire.git_commit, "environment.", "git_commit", NAME),
        git_branch=text(wire.git_branch, "environment.", "git_branch", TEXT),
        git_remote=text(wire.git_remote, "environment.", "git_remote", TEXT),
        git_dirty=wire.git_dirty,
        python=text(wire.python, "environment.", "python", NAME),
        packages=pairs(wire.packages, "environment.", "packages"),
        host=text(wire.host, "environment.", "host", NAME),
    )


def from_receive(wire: pb.ReceiveRequest) -> Arriving:
    few(wire.signatures, "", "signatures", CHOICES)
    version = needed(wire.version, "", "version", NAME)
    return Arriving(
        kind=kind_of(wire.kind),
        model=needed(wire.model, "", "model", TEXT),
        version=version,
        branch=text(wire.branch, "", "branch", TEXT) or MAIN,
        tags=texts(wire.tags, "", "tags", CHOICES),
        ancestry=texts(wire.ancestry, "", "ancestry", MOST_VERSIONS),
        flags=texts(wire.flags, "", "flags", CHOICES),
        signatures=tuple(
            Signature(version, text(one.key_id, "", "key_id", NAME), text(one.format, "", "format", NAME), one.signature, one.signed_at_s, "")
            for one in wire.signatures
        ),
    )


def from_query(wire: pb.ListModelsRequest) -> ModelQuery:
    return ModelQuery(
        kind=kind_of(wire.kind),
        text=text(wire.text, "", "text", TEXT),
        format=text(wire.format, "", "format", NAME),
        metrics=tuple(_metric(one) for one in texts(wire.metrics, "", "metrics", CHOICES)),
        labels=pairs(wire.labels, "", "labels"),
        author=text(wire.author, "", "author", NAME),
        job_id=text(wire.job_id, "", "job_id", NAME),
        tensor=text(wire.tensor, "", "tensor", NAME),
    )


def _metric(written: str) -> tuple[str, str, float]:
    """ "accuracy>0.9" in its parts."""
    match = _METRIC.fullmatch(written)
    try:
        if match is not None:
            name, operator, number = match.groups()
            return name, "=" if operator == "==" else operator, float(number)
    except ValueError:
        match = None
    raise InvalidArgument(f"metrics: {written[:100]!r} cannot be read", hint='write it like "accuracy>0.9"; there are > >= < <= = !=', field="metrics")


def from_set(wire: pb.SetModelRequest) -> ModelChange:
    few(wire.roles, "", "roles", CHOICES)
    return ModelChange(
        description=text(wire.description, "", "description") if wire.HasField("description") else None,
        visibility=visibility_named(wire.visibility) if wire.HasField("visibility") else None,
        group=text(wire.group, "", "group", NAME) if wire.HasField("group") else None,
        roles={needed(name, "", "roles", NAME): role_named(role) for name, role in wire.roles.items()},
        require_signature=wire.require_signature if wire.HasField("require_signature") else None,
        trust=tuple(wire.trust_keys),
        distrust=texts(wire.distrust_keys, "", "distrust_keys", CHOICES),
        keep_last=amount(wire.keep_last, "", "keep_last") if wire.HasField("keep_last") else None,
        keep_for_s=seconds(wire.keep_for_s, "", "keep_for_s") if wire.HasField("keep_for_s") else None,
    )


def from_move(wire: pb.MoveReferenceRequest) -> Wish:
    return Wish(
        kind=kind_of(wire.kind),
        model=needed(wire.model, "", "model", TEXT),
        name=needed(wire.name, "", "name", TEXT),
        of=ref_kind(wire.of),
        to=text(wire.to, "", "to", TEXT),
        expected=text(wire.expected, "", "expected", NAME) if wire.HasField("expected") else None,
        why=text(wire.why, "", "why", REASON),
        force=wire.force,
        job_id=text(wire.job_id, "", "job_id", NAME),
    )


def ref_kind(word: str) -> RefKind | None:
    """None: it was left open."""
    if not word:
        return None
    try:
        return RefKind(word)
    except ValueError:
        raise InvalidArgument(f"of is {word[:40]!r}", hint=f"choose one of {', '.join(RefKind)}", field="of", given=word[:40]) from None


# Answers


def to_version(view: VersionView) -> pb.Version:
    version = view.version
    commit = version.commit
    made = pb.Version(
        model=version.model,
        kind=commit.kind.name,
        id=version.id,
        parents=commit.parents,
        author=printable(commit.author),
        created_at_s=commit.created_at_s,
        message=commit.message,
        metrics=commit.metrics,
        labels=commit.labels,
        licence=commit.licence,
        card=commit.card,
        schema=to_schema(commit.schema),
        lineage=_to_lineage(commit.lineage),
        manifest=commit.manifest,
        size=version.size,
        files=version.files,
        stored_bytes=version.stored_bytes,
        references=view.references,
        state=version.state,
        reasons=map(printable, version.reasons),
        signatures=map(to_signature, view.signatures),
        number=version.number,
        used_by=view.used_by,
    )
    if view.manifest is not None:
        made.listing.extend(map(to_file, view.manifest.files))
    return made


def to_logged(view: VersionView) -> pb.Version:
    """As one line of many: without its card and its packages, which would be most of it."""
    commit = view.version.commit
    short = replace(commit, card="", lineage=replace(commit.lineage, packages={}))
    return to_version(replace(view, version=replace(view.version, commit=short)))


def plain_version(version: Version) -> pb.Version:
    return to_version(VersionView(version))


def to_schema(schema: Schema) -> pb.Schema:
    return pb.Schema(
        format=schema.format,
        framework=printable(schema.framework),
        opset=schema.opset,
        inputs=map(_to_tensor, schema.inputs),
        outputs=map(_to_tensor, schema.outputs),
        parameters=schema.parameters,
        metadata=_printable(schema.metadata),
        tensors=schema.tensors,
        notes=map(printable, schema.notes),
    )


def _to_tensor(tensor: Tensor) -> pb.Tensor:
    return pb.Tensor(name=printable(tensor.name), dtype=tensor.dtype, shape=tensor.shape or ())


def _printable(values: Mapping[str, str]) -> dict[str, str]:
    return {printable(name): printable(value) for name, value in values.items()}


def _to_lineage(lineage: Lineage) -> pb.Lineage:
    return pb.Lineage(
        job_id=lineage.job_id,
        command=map(printable, lineage.command),
        cwd=printable(lineage.cwd),
        git_commit=lineage.git_commit,
        git_branch=lineage.git_branch,
        git_remote=lineage.git_remote,
        git_dirty=lineage.git_dirty,
        python=lineage.python,
        packages=lineage.packages,
        models=lineage.models,
        datasets=lineage.datasets,
        gpu_hours=lineage.gpu_hours,
        host=lineage.host,
    )


def to_file(entry: FileEntry) -> pb.File:
    return pb.File(path=printable(entry.path), size=entry.size, digest=entry.digest, executable=entry.executable)


def to_signature(signature: Signature) -> pb.Signature:
    return pb.Signature(
        key_id=signature.key_id, format=signature.format, signature=signature.signature, signed_at_s=signature.signed_at_s, signed_by=signature.signed_by
    )  # fmt: skip


def to_reference(model: str, reference: Reference) -> pb.Reference:
    by = printable(reference.moved_by)
    return pb.Reference(model=model, name=reference.name, kind=reference.kind, version=reference.version, moved_at_s=reference.moved_at_s, moved_by=by)


def to_move(move: Move) -> pb.Move:
    wire = pb.Move(reference=move.reference, kind=move.kind, to=move.target, who=printable(move.who), at_s=move.at_s, why=move.why)
    setattr(wire, "from", move.source)  # a word of Python
    return wire


def to_model(view: ModelView) -> pb.Model:
    model, summary = view.model, view.summary
    return pb.Model(
        name=model.name,
        kind=model.kind.name,
        owner=printable(model.owner),
        description=model.description,
        visibility=model.visibility,
        group=model.group,
        roles={printable(name): role.name.lower() for name, role in model.roles.items()},
        require_signature=model.require_signature,
        keep_last=model.keep_last,
        keep_for_s=model.keep_for_s,
        versions=summary.versions,
        references=[to_reference(model.name, each) for each in summary.references],
        latest=plain_version(view.latest) if view.latest is not None else None,
        found=plain_version(view.found) if view.found is not None else None,
        size=summary.size,
        stored_bytes=summary.stored_bytes,
        created_at_s=model.created_at_s,
        trusted_keys=model.trusted_keys,
        damaged=printable(model.why) if isinstance(model, DamagedModel) else "",
    )


def to_progress(progress: Progress) -> pb.TransferProgress:
    return pb.TransferProgress(bytes_done=progress.done, bytes_total=progress.total, bytes_stored=progress.stored, doing=printable(progress.doing))


def to_diff(diff: Diff) -> pb.DiffResponse:
    tensors = diff.tensors or TensorDiff()
    return pb.DiffResponse(
        a=plain_version(diff.a),
        b=plain_version(diff.b),
        changes=[pb.DiffResponse.Change(what=printable(one.what), a=printable(one.a), b=printable(one.b)) for one in diff.changes],
        files=[pb.DiffResponse.FileChange(path=printable(one.path), change=one.change, size_a=one.size_a, size_b=one.size_b) for one in diff.files],
        tensors=map(_to_tensor_change, tensors.changes),
        tensors_unchanged=tensors.unchanged,
        tensors_left_out=tensors.left_out,
        tensor_notes=map(printable, tensors.notes),
    )


def _to_tensor_change(change: TensorChange) -> pb.DiffResponse.TensorChange:
    return pb.DiffResponse.TensorChange(
        name=printable(change.name), change=change.change, a=change.before, b=change.after, relative_norm=change.relative_norm,
        file=printable(change.file), note=printable(change.note),
    )  # fmt: skip


def to_damage(damage: Damage) -> pb.Damage:
    return pb.Damage(digest=damage.digest, problem=damage.problem, versions=damage.versions, healed=damage.healed)


def to_collected(collected: Collected) -> pb.CollectGarbageResponse:
    return pb.CollectGarbageResponse(
        versions=len(collected.removed), chunks=collected.chunks, bytes=collected.bytes, kept_because=collected.kept_because, removed=collected.removed
    )  # fmt: skip


def to_usage(usage: Usage) -> pb.ModelUsageResponse:
    users = [
        pb.ModelUsageResponse.User(
            user=printable(one.user), bytes=one.holding.size, stored_bytes=one.holding.stored_bytes, limit_bytes=one.limit_bytes,
            models=one.holding.models, versions=one.holding.versions,
        )
        for one in usage.users
    ]  # fmt: skip
    return pb.ModelUsageResponse(users=users, store_bytes=usage.store_bytes, free_bytes=usage.free_bytes)
