"""A model as an OCI artifact by the ModelPack specification of the CNCF: which media types, what its config and manifest say, and what they mean."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn, TypeVar

import msgspec

from aiosd.errors import InvalidArgument
from aiosd.models.vault_ports import Said
from aiosd.models.version import Commit

T = TypeVar("T")

LAYOUT, INDEX = "oci-layout", "index.json"
LAYOUT_VERSION = b'{"imageLayoutVersion":"1.0.0"}'
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
FILEPATH, METADATA = "org.cncf.model.filepath", "org.cncf.model.file.metadata+json"
MOST_JSON = 8 << 20  # bytes of an index, manifest or config
_PATHS = (FILEPATH, "org.cnai.model.filepath", "org.opencontainers.image.title")  # the second: before the specification moved
_REF_NAME, _CREATED = "org.opencontainers.image.ref.name", "org.opencontainers.image.created"
_OURS = "dev.aios."  # annotations of this house
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_DOCS, _CODE = (".md", ".txt", ".pdf", ".rst"), (".py", ".sh", ".ipynb", ".c", ".cpp", ".js", ".ts", ".java", ".go", ".rs")
_CONFIGS = (".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".jinja", ".model", ".vocab", ".tiktoken")
_LICENCES = ("license", "licence", "readme", "notice", "copying")


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    mediaType: str  # noqa: N815  (as the specification spells it)
    digest: str
    size: int
    artifactType: str = ""  # noqa: N815
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True):
    schemaVersion: int  # noqa: N815
    manifests: list[Descriptor]


class Manifest(msgspec.Struct, frozen=True):
    schemaVersion: int  # noqa: N815
    config: Descriptor
    layers: list[Descriptor]
    mediaType: str = MANIFEST_TYPE  # noqa: N815
    artifactType: str = ""  # noqa: N815
    annotations: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Layer:
    """A blob that is a file, or an archive of some. `packing`: raw, tar, tar+gzip, tar+zstd."""

    digest: str  # of SHA-256, in hexadecimal
    size: int
    packing: str
    path: str = ""
    executable: bool = False


# Out


def layer(path: str, digest: str, size: int, *, executable: bool) -> Descriptor:
    """Of one file, as it is."""
    mode = 0o755 if executable else 0o644
    metadata = {"name": path.rpartition("/")[2], "mode": mode, "uid": 0, "gid": 0, "size": size, "mtime": "1970-01-01T00:00:00Z", "typeflag": 0}
    return Descriptor(
        f"application/vnd.cncf.model.{_role(path)}.v1.raw", f"sha256:{digest}", size, annotations={FILEPATH: path, METADATA: json.dumps(metadata)}
    )


def config(commit: Commit, name: str, layers: Sequence[Descriptor], created: str) -> bytes:
    """`created`: as RFC 3339."""
    schema = commit.schema
    descriptor: dict[str, Any] = {"name": name, "createdAt": created, "authors": [commit.author]}
    if commit.licence:
        descriptor["licenses"] = [commit.licence]
    if commit.message:
        descriptor["description"] = commit.message
    model = {"format": schema.format} if schema.format != "other" else {}
    if schema.parameters:
        model["paramSize"] = _short(schema.parameters)
    diffs = [one.digest for one in layers]  # they are not compressed
    return _json({"descriptor": descriptor, "config": model, "modelfs": {"type": "layers", "diffIds": diffs}})


def manifest(commit: Commit, config_digest: str, config_size: int, layers: Sequence[Descriptor], created: str) -> bytes:
    annotations = {_CREATED: created, f"{_OURS}version": commit.id}
    for name, value in (("metrics", dict(commit.metrics)), ("labels", dict(commit.labels)), ("card", commit.card)):
        if value:
            annotations[f"{_OURS}{name}"] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    made = Manifest(2, Descriptor(CONFIG_TYPE, f"sha256:{config_digest}", config_size), list(layers), MANIFEST_TYPE, ARTIFACT_TYPE, annotations)
    return msgspec.json.encode(made)


def index(digest: str, size: int, ref_name: str) -> bytes:
    described = Descriptor(MANIFEST_TYPE, f"sha256:{digest}", size, ARTIFACT_TYPE, {_REF_NAME: ref_name})
    return _json({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [msgspec.to_builtins(described)]})


def _role(path: str) -> str:
    """What a file is to a model, by its name, as the tools of others judge it."""
    name = path.rpartition("/")[2].lower()
    if name.endswith(_DOCS) or name.partition(".")[0] in _LICENCES:
        return "doc"
    if name.endswith(_CODE):
        return "code"
    return "weight.config" if name.endswith(_CONFIGS) else "weight"


def _short(count: int) -> str:
    """As "8b", "22m"."""
    for unit, letter in ((10**9, "b"), (10**6, "m"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{letter}"
    return str(count)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


# In


def chosen(data: bytes) -> Descriptor:
    """The one manifest of an index."""
    found = _decoded(data, Index, INDEX)
    packs = [one for one in found.manifests if one.mediaType == MANIFEST_TYPE]
    if found.schemaVersion != 2 or len(packs) != 1:
        names = ", ".join(one.annotations.get(_REF_NAME, one.digest[:19]) for one in packs[:10]) or "none"
        _refuse(f"its index has {len(packs)} image manifests: {names}", "keep one of them in it")
    return packs[0]


def pack(data: bytes) -> tuple[Manifest, Sequence[Layer]]:
    found = _decoded(data, Manifest, "its manifest")
    if found.schemaVersion != 2:
        _refuse(f"its manifest has the schema {found.schemaVersion}, not 2")
    if found.artifactType and "model" not in found.artifactType and "model" not in found.config.mediaType:
        _refuse(f"it holds no model: it is {found.artifactType[:100]}", "an image of a container is nothing to register as a model")
    return found, [_layer(one) for one in found.layers]


def said(found: Manifest, config_data: bytes) -> Said:
    """What its config and annotations tell of the model."""
    try:
        given = msgspec.json.decode(config_data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _refuse(f"its config cannot be read: {error}")
    descriptor = given.get("descriptor") if isinstance(given, dict) else None
    descriptor = descriptor if isinstance(descriptor, dict) else {}
    licences = descriptor.get("licenses")
    labels = {name: value for name in ("family", "version", "vendor", "revision") if isinstance(value := descriptor.get(name), str) and value}
    ours = found.annotations
    return Said(
        licence=", ".join(one for one in licences if isinstance(one, str))[:1000] if isinstance(licences, list) else "",
        card=ours.get(f"{_OURS}card", ""),
        description=description[:1000] if isinstance(description := descriptor.get("description"), str) else "",
        labels={**labels, **{name: value for name, value in _values(ours.get(f"{_OURS}labels", "")).items() if isinstance(value, str)}},
        metrics={name: float(value) for name, value in _values(ours.get(f"{_OURS}metrics", "")).items() if _is_number(value)},
    )


def digest_in(descriptor: Descriptor) -> str:
    """In hexadecimal. Raises InvalidArgument for another algorithm, or none."""
    match = _DIGEST.fullmatch(descriptor.digest)
    if match is None:
        _refuse(f"it names a blob by {descriptor.digest[:80]!r}, and only sha256 is read here")
    if descriptor.size < 0:
        _refuse(f"a blob of it has {descriptor.size} bytes")
    return match.group(1)


def _layer(one: Descriptor) -> Layer:
    path = next((one.annotations[key] for key in _PATHS if one.annotations.get(key)), "")
    ending = one.mediaType.rpartition(".")[2]
    packing = ending if ending in ("tar", "tar+gzip", "tar+zstd") else "raw"
    if packing == "raw" and not path:
        _refuse(f"its layer {one.digest[:19]} is a file without a name", f"it takes the annotation {FILEPATH}")
    return Layer(digest_in(one), one.size, packing, path, _is_executable(one.annotations.get(METADATA, "")))


def _is_executable(metadata: str) -> bool:
    mode = _values(metadata).get("mode")
    return isinstance(mode, int) and bool(mode & 0o111)


def _values(text: str) -> Mapping[str, Any]:
    try:
        given = msgspec.json.decode(text) if text else {}
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    return given if isinstance(given, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e308 and isfinite(value)


def _decoded(data: bytes, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        _refuse(f"{what} cannot be read: {error}")


def _refuse(why: str, hint: str = "is it an OCI image layout with a ModelPack? Nothing was kept of it") -> NoReturn:
    raise InvalidArgument(f"the OCI layout cannot be taken: {why}", hint=hint)
