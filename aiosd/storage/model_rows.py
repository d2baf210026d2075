"""Models between records and rows; what a row holds is what it was made from, or StorageCorrupt says so."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import RowMapping

from aiosd.errors import StorageCorrupt
from aiosd.models.manifest import Manifest, decode_manifest, digest_of
from aiosd.models.model import DamagedModel, Model, Move, Reference, RefKind, Signature
from aiosd.models.ports import Node, RefChange, Registered, Use, UseRole
from aiosd.models.version import Commit, Kind, Version, VersionState, decode_commit
from aiosd.storage import schema

ModelRow: TypeAlias = dict[str, object]
IS_HERE = schema.model_version.c.state != VersionState.ABSENT  # with its bytes: of one that is not, a list of files may be there that is not its own
_HINT = "restore a backup, or register or pull it again; `aiosctl model verify` says what else is damaged"
_DAMAGED = (msgspec.DecodeError, msgspec.ValidationError, ValueError, TypeError)


def model_row(model: Model) -> ModelRow:
    return {"kind": model.kind, "name": model.name, "owner_uid": model.owner_uid, "body": msgspec.json.encode(model).decode()}


def model(row: RowMapping) -> Model:
    """Raises StorageCorrupt."""
    try:
        found = msgspec.json.decode(row["body"], type=Model)
        if (found.kind, found.name, found.owner_uid) != (row["kind"], row["name"], row["owner_uid"]):
            raise ValueError(f"it says that it is {found.kind} {found.name[:100]}, of the user {found.owner_uid}")
        return found
    except _DAMAGED as error:
        raise StorageCorrupt(f"what is kept of {row['kind']} {row['name']} cannot be read: {error}", hint=_HINT, model=row["name"]) from error


def model_or_damage(row: RowMapping) -> Model:
    """For lists: one that is damaged hides none of the others."""
    try:
        return model(row)
    except StorageCorrupt as error:
        return DamagedModel(kind=Kind(row["kind"]), name=row["name"], owner="", owner_uid=row["owner_uid"], created_at_s=0.0, why=str(error))


def version_row(version: Version, body: bytes) -> ModelRow:
    return _said(version.commit) | {
        "model": version.model, "number": version.number, "id": version.id, "size": version.size, "files": version.files,
        "stored_bytes": version.stored_bytes, "state": version.state, "reasons": json.dumps(version.reasons), "commit_body": body,
    }  # fmt: skip


def _said(commit: Commit) -> ModelRow:
    """What the commit says, for the questions that are asked of all: the graph, the sweep, the search."""
    return {
        "kind": commit.kind, "parents": " ".join(commit.parents), "manifest": commit.manifest, "author": commit.author,
        "created_at_s": commit.created_at_s, "format": commit.schema.format, "job_id": commit.lineage.job_id,
    }  # fmt: skip


def version(row: RowMapping) -> Version:
    """Raises StorageCorrupt when the bytes of the commit are not those that its id was made from."""
    name = f"{row['model']}@{row['id'][:12]}"
    if digest_of(row["commit_body"]) != row["id"]:
        raise StorageCorrupt(
            f"the record of version {name} does not match its id: it was changed, or is damaged", hint=_HINT, model=row["model"], version=row["id"]
        )
    try:
        found = Version(
            model=row["model"],
            number=row["number"],
            id=row["id"],
            commit=decode_commit(row["commit_body"]),
            size=row["size"],
            files=row["files"],
            stored_bytes=row["stored_bytes"],
            state=VersionState(row["state"]),
            reasons=tuple(json.loads(row["reasons"])),
        )
        if any(row[name] != value for name, value in _said(found.commit).items()):
            raise ValueError("what lies beside the commit says otherwise than it does")
        return found
    except _DAMAGED as error:
        raise StorageCorrupt(f"the record of version {name} cannot be read: {error}", hint=_HINT, model=row["model"], version=row["id"]) from error


def metric_rows(version: Version) -> list[ModelRow]:
    return [{"version": version.id, "name": name, "value": value} for name, value in version.commit.metrics.items()]


def label_rows(version: Version) -> list[ModelRow]:
    return [{"version": version.id, "name": name, "value": value} for name, value in version.commit.labels.items()]


def node(row: Sequence[Any]) -> Node:
    number, id_, parents, manifest, created_at_s = row
    return Node(number, id_, tuple(parents.split()), manifest, created_at_s)


def reference(row: RowMapping) -> Reference:
    return Reference(row["name"], _kind_of(row, row["name"]), row["version"], row["moved_at_s"], row["moved_by"])


def _kind_of(row: RowMapping, name: str) -> RefKind:
    try:
        return RefKind(row["of"])
    except ValueError:
        raise StorageCorrupt(
            f"what is kept of {row['model']}:{name} is damaged: it is called a {row['of']!r}", hint=_HINT, model=row["model"], reference=name
        ) from None


def reference_row(change: RefChange) -> ModelRow:
    move = change.move
    return {
        "kind": change.kind, "model": change.model, "name": move.reference, "of": move.kind, "version": move.target,
        "moved_at_s": move.at_s, "moved_by": move.who,
    }  # fmt: skip


def move_row(change: RefChange, source: str) -> ModelRow:
    move = change.move
    return {
        "kind": change.kind, "model": change.model, "reference": move.reference, "of": move.kind, "source": source, "target": move.target,
        "who": move.who, "at_s": move.at_s, "why": move.why,
    }  # fmt: skip


def move(row: RowMapping) -> Move:
    return Move(row["reference"], _kind_of(row, row["reference"]), row["source"], row["target"], row["who"], row["at_s"], row["why"])


def signature_row(signature: Signature) -> ModelRow:
    return {
        "version": signature.version, "key_id": signature.key_id, "format": signature.format, "signature": signature.signature,
        "signed_at_s": signature.signed_at_s, "signed_by": signature.signed_by,
    }  # fmt: skip


def signature(row: RowMapping) -> Signature:
    return Signature(row["version"], row["key_id"], row["format"], row["signature"], row["signed_at_s"], row["signed_by"])


def request_row(request: Registered) -> ModelRow:
    return {
        "uid": request.uid, "key": request.key, "kind": request.kind, "model": request.model, "version": request.version, "at_s": request.at_s,
    }  # fmt: skip


def request(row: RowMapping) -> Registered:
    return Registered(row["uid"], row["key"], Kind(row["kind"]), row["model"], row["version"], row["at_s"])


def use_row(use: Use) -> ModelRow:
    return {"job_id": use.job_id, "role": use.role, "kind": use.kind, "model": use.model, "version": use.version, "at_s": use.at_s}


def use(row: RowMapping) -> Use:
    return Use(row["job_id"], UseRole(row["role"]), Kind(row["kind"]), row["model"], row["version"], row["at_s"])


@cache
def _zstd() -> Any:
    import zstandard  # here: a daemon whose models nobody asks for need not import it

    return zstandard


def squeezed(data: bytes) -> bytes:
    return bytes(_zstd().ZstdCompressor(level=3).compress(data))


def unsqueezed(data: bytes) -> bytes:
    """Raises ZstdError for what `squeezed` did not make."""
    return bytes(_zstd().ZstdDecompressor().decompress(data))


def manifest_rows(manifests: Mapping[str, bytes]) -> Sequence[ModelRow]:
    return [{"digest": digest, "body": squeezed(body)} for digest, body in manifests.items()]


def tensor_names(row: RowMapping) -> list[str]:
    """Raises StorageCorrupt."""
    digest = row["digest"]
    try:
        data = unsqueezed(row["body"])
    except _zstd().ZstdError as error:
        raise StorageCorrupt(f"the names of tensors {digest[:12]} are damaged: {error}", hint=_HINT, names=digest) from error
    if digest_of(data) != digest:
        raise StorageCorrupt(f"the names of tensors {digest[:12]} are damaged: they do not match their digest", hint=_HINT, names=digest)
    return data.decode().split("\n")


def manifest(digest: str, body: bytes) -> Manifest:
    """Raises StorageCorrupt for one that is not what its digest was made from."""
    try:
        data = unsqueezed(body)
        if digest_of(data) == digest:
            return decode_manifest(data)
        problem = "it does not match its digest"
    except (_zstd().ZstdError, *_DAMAGED) as error:
        problem = str(error)
    raise StorageCorrupt(f"the list of files {digest[:12]} is damaged: {problem}", hint=_HINT, manifest=digest)
