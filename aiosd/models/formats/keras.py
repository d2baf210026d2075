"""Keras: the archive of version 3, whose layers are JSON, and HDF5, of which only the superblock is read."""

import json
from collections.abc import Iterator, Mapping

from aiosd.models.formats import zipped
from aiosd.models.reading import Contents, Malformed, Region, TooMuch, clean, metadata_of, text_of
from aiosd.models.version import Schema, Tensor

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
CONFIG, METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_HDF5_SUFFIXES = (".h5", ".hdf5", ".keras", ".weights")
_NOT_READ = "its weights are HDF5, which is not read here: their number and names are not known"
_UNDEFINED = (1 << 64) - 1


def matches(name: str, head: bytes) -> bool:
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    is_archive = head.startswith(zipped.MAGIC) and (name.endswith(".keras") or first in (METADATA.encode(), CONFIG.encode()))
    return is_archive or (head.startswith(HDF5_MAGIC) and name.endswith(_HDF5_SUFFIXES)) or (name.endswith((".keras", ".h5")))


def hdf5_at(region: Region) -> int | None:
    """Where HDF5 begins: its libraries look at the beginning, then at 512 bytes, and at twice as many again and again. None: it is none."""
    at = 0
    while at + len(HDF5_MAGIC) <= region.size:
        if region.read(at, len(HDF5_MAGIC)) == HDF5_MAGIC:
            return at
        at = 2 * at or 512
    return None


def read(region: Region) -> Contents:
    """Raises Malformed and TooMuch."""
    if region.head(8) == HDF5_MAGIC:
        return Contents(_read_hdf5(region))
    if region.head(4) != zipped.MAGIC:
        raise Malformed("it is neither an archive of Keras 3 nor HDF5")
    members = zipped.members(region)
    if CONFIG not in members or METADATA not in members:
        raise Malformed(f"an archive of Keras has the members {CONFIG} and {METADATA}")
    about, config = _json(region, members, METADATA), _json(region, members, CONFIG)
    layers = list(_layers(config))
    return Contents(
        Schema(
            format="keras",
            framework=f"keras {clean(str(about.get('keras_version', '')))}".strip(),
            inputs=tuple(_inputs(config, layers)),
            metadata=metadata_of([("class", config.get("class_name", "")), ("layers", len(layers)), ("saved", about.get("date_saved", ""))]),
            notes=(_NOT_READ,) if _WEIGHTS in members else ("it holds no weights",),
        )
    )


def _json(region: Region, members: Mapping[str, zipped.Member], name: str) -> Mapping[str, object]:
    try:
        found = json.loads(text_of(zipped.unpack(region, members[name]), name))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{name} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Malformed(f"{name} is no JSON object")
    return found


def _layers(config: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The settings of each layer, with its class."""
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        if isinstance(layer, dict):
            own = layer.get("config")
            yield {**(own if isinstance(own, dict) else {}), "class_name": layer.get("class_name")}


def _inputs(config: Mapping[str, object], layers: list[Mapping[str, object]]) -> Iterator[Tensor]:
    """The layers that are inputs; a model without one says its shape when it was built."""
    found = [layer for layer in layers if layer["class_name"] == "InputLayer"]
    for layer in found:
        yield Tensor(clean(str(layer.get("name", ""))), _dtype(layer.get("dtype")), _shape(layer.get("batch_shape", layer.get("batch_input_shape"))))
    built = config.get("build_config")
    if not found and isinstance(built, dict):
        yield Tensor("input", "float32", _shape(built.get("input_shape")))


def _dtype(value: object) -> str:
    return clean(value) if isinstance(value, str) else "float32"


def _shape(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(one is None or (type(one) is int and 0 <= one < 1 << 62) for one in value):
        return None
    return tuple(-1 if one is None else one for one in value)


def _read_hdf5(region: Region) -> Schema:
    """The superblock says how long the file must be. Raises Malformed for one that is cut off, TooMuch for what is not known."""
    version = region.read(8, 1)[0]
    if version in (0, 1):
        widths_at, end_at = 13, 24 + 4 * version + 16
    elif version in (2, 3):
        widths_at, end_at = 9, 12 + 16
    else:
        raise TooMuch(f"version {version} of HDF5's superblock is not known here")
    if region.read(widths_at, 1)[0] != 8:
        raise TooMuch("its offsets do not have 8 bytes")
    (end,) = region.unpack("<Q", end_at)
    if end > region.size or end == _UNDEFINED:
        raise Malformed(f"it must have {end} bytes and has {region.size}: it is cut off, or was not closed")
    return Schema(format="keras", framework="keras", metadata={"superblock": str(version)}, notes=(_NOT_READ,))
