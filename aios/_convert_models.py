"""From the wire to the records of models: protobuf in, the SDK's own objects out."""

from collections.abc import Iterable

from aios import versions as models
from aios.v1 import models_pb2 as pb

KINDS = {models.MODEL: pb.MODEL, models.DATASET: pb.DATASET}
_NAMES = {pb.MODEL: models.MODEL, pb.DATASET: models.DATASET}


def version(wire: pb.Version, *, existed: bool = False) -> models.Version:
    return models.Version(
        model=wire.model,
        kind=_NAMES.get(wire.kind, models.MODEL),
        id=wire.id,
        number=wire.number,
        parents=tuple(wire.parents),
        author=wire.author,
        created_at_s=wire.created_at_s,
        message=wire.message,
        metrics=dict(wire.metrics),
        labels=dict(wire.labels),
        licence=wire.licence,
        card=wire.card,
        schema=_schema(wire.schema),
        lineage=_lineage(wire.lineage),
        manifest=wire.manifest,
        size=wire.size,
        files=wire.files,
        stored_bytes=wire.stored_bytes,
        references=tuple(wire.references),
        state=wire.state,
        reasons=tuple(wire.reasons),
        signatures=tuple(models.Signature(one.key_id, one.format, one.signature, one.signed_at_s, one.signed_by) for one in wire.signatures),
        listing=tuple(models.StoredFile(one.path, one.size, one.digest, one.executable) for one in wire.listing),
        used_by=tuple(wire.used_by),
        existed=existed,
    )


def _schema(wire: pb.Schema) -> models.Schema:
    return models.Schema(
        wire.format, wire.framework, wire.opset, _tensors(wire.inputs), _tensors(wire.outputs), wire.parameters, wire.tensors,
        dict(wire.metadata), tuple(wire.notes),
    )  # fmt: skip


def _tensors(wire: Iterable[pb.Tensor]) -> tuple[models.Tensor, ...]:
    return tuple(models.Tensor(one.name, one.dtype, tuple(one.shape)) for one in wire)


def _lineage(wire: pb.Lineage) -> models.Lineage:
    return models.Lineage(
        wire.job_id, tuple(wire.command), wire.cwd, wire.git_commit, wire.git_branch, wire.git_remote, wire.git_dirty, wire.python, dict(wire.packages),
        tuple(wire.models), tuple(wire.datasets), wire.gpu_hours, wire.host,
    )  # fmt: skip


def reference(wire: pb.Reference) -> models.Reference:
    return models.Reference(wire.model, wire.name, wire.kind, wire.version, wire.moved_at_s, wire.moved_by)


def move(wire: pb.Move) -> models.Move:
    return models.Move(wire.reference, wire.kind, getattr(wire, "from"), wire.to, wire.who, wire.at_s, wire.why)


def model(wire: pb.Model) -> models.Model:
    return models.Model(
        name=wire.name,
        kind=_NAMES.get(wire.kind, models.MODEL),
        owner=wire.owner,
        description=wire.description,
        visibility=wire.visibility,
        group=wire.group,
        roles=dict(wire.roles),
        require_signature=wire.require_signature,
        keep_last=wire.keep_last,
        keep_for_s=wire.keep_for_s,
        versions=wire.versions,
        references=tuple(map(reference, wire.references)),
        latest=version(wire.latest) if wire.HasField("latest") else None,
        size=wire.size,
        stored_bytes=wire.stored_bytes,
        created_at_s=wire.created_at_s,
        trusted_keys=tuple(wire.trusted_keys),
        damaged=wire.damaged,
        found=version(wire.found) if wire.HasField("found") else None,
    )


def diff(wire: pb.DiffResponse) -> models.Diff:
    return models.Diff(
        a=version(wire.a),
        b=version(wire.b),
        changes=tuple(models.Change(one.what, one.a, one.b) for one in wire.changes),
        files=tuple(models.FileChange(one.path, one.change, one.size_a, one.size_b) for one in wire.files),
        tensors=tuple(map(_tensor_change, wire.tensors)),
        tensors_unchanged=wire.tensors_unchanged,
        tensors_left_out=wire.tensors_left_out,
        tensor_notes=tuple(wire.tensor_notes),
    )


def _tensor_change(wire: pb.DiffResponse.TensorChange) -> models.TensorChange:
    norm = wire.relative_norm if wire.HasField("relative_norm") else None
    return models.TensorChange(wire.name, wire.change, wire.a, wire.b, norm, wire.file, wire.note)


def progress(wire: pb.TransferProgress) -> models.Progress:
    return models.Progress(wire.bytes_done, wire.bytes_total, wire.bytes_stored, wire.doing)


def verified(wire: pb.VerifyResponse) -> models.Verified:
    found = [models.Damage(one.digest, one.problem, tuple(one.versions), one.healed) for one in wire.damaged]
    return models.Verified(wire.chunks, tuple(one for one in found if not one.healed), tuple(one for one in found if one.healed))


def garbage(wire: pb.CollectGarbageResponse) -> models.Garbage:
    return models.Garbage(tuple(wire.removed), wire.chunks, wire.bytes, tuple(wire.kept_because))


def usage(wire: pb.ModelUsageResponse) -> models.Usage:
    users = tuple(models.UserUsage(one.user, one.bytes, one.stored_bytes, one.limit_bytes, one.models, one.versions) for one in wire.users)
    return models.Usage(users, wire.store_bytes, wire.free_bytes)
