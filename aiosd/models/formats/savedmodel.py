"""TensorFlow's SavedModel: signatures in saved_model.pb, and beside it a sorted table that says where each variable lies."""

from collections.abc import Iterator

from aiosd.models.formats.dtypes import bytes_of
from aiosd.models.formats.wire import Message, signed, varint, whole
from aiosd.models.reading import Contents, Malformed, Region, StoredTensor, TooMuch, check_names, clean, metadata_of, shown, text_of
from aiosd.models.version import Schema, Tensor

MODEL_FILE, VARIABLES = "saved_model.pb", "variables/variables"  # without ".index" and ".data"
_DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 8: "complex64", 9: "int64", 10: "bool", 14: "bfloat16",
    17: "uint16", 18: "complex128", 19: "float16", 20: "resource", 21: "variant", 22: "uint32", 23: "uint64", 24: "float8_e5m2",
    25: "float8_e4m3fn", 29: "int4", 30: "uint4",
}  # fmt: skip

# The numbers of fields in saved_model.proto, meta_graph.proto and tensor_bundle.proto.
_MODEL_VERSION, _MODEL_GRAPH = 1, 2
_GRAPH_ABOUT, _GRAPH_SIGNATURE = 1, 5
_ABOUT_TAG, _ABOUT_TENSORFLOW = 4, 5
_MAP_KEY, _MAP_VALUE = 1, 2
_SIGNATURE_INPUT, _SIGNATURE_OUTPUT = 1, 2
_INFO_TYPE, _INFO_SHAPE = 2, 3
_SHAPE_DIMENSION, _SHAPE_UNKNOWN = 2, 3
_ENTRY_TYPE, _ENTRY_SHAPE, _ENTRY_SHARD, _ENTRY_OFFSET, _ENTRY_SIZE, _ENTRY_SLICES = 1, 2, 3, 4, 5, 7
_DEFAULT_SIGNATURE = "serving_default"

_TABLE_MAGIC, _FOOTER_BYTES = 0xDB4775248B80FB57, 48
_TRAILER_BYTES = 5  # of a block: how it is packed, and a checksum
_NOT_WEIGHTS = "_CHECKPOINTABLE_OBJECT_GRAPH"


def matches(name: str, head: bytes) -> bool:
    return name == MODEL_FILE


def read(region: Region) -> Contents:
    """The signatures. The variables are in files of their own: `read_index`. Raises Malformed and TooMuch."""
    signatures: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    about: list[tuple[str, object]] = []
    tensorflow, version, graphs = "", 0, 0
    model = whole(region)
    for one in model:
        if one.number == _MODEL_VERSION:
            version = one.value
        elif one.number == _MODEL_GRAPH:
            graphs += 1
            graph = model.inner(one)
            for part in graph:
                if part.number == _GRAPH_ABOUT:
                    tags, tensorflow = _about(graph.inner(part))
                    about.append((f"tags {graphs}", ", ".join(tags)))
                elif part.number == _GRAPH_SIGNATURE:
                    signatures.update([_signature(graph.inner(part))])
    if not graphs:
        raise Malformed("it has no graph; a SavedModel has one at least")
    chosen = _DEFAULT_SIGNATURE if _DEFAULT_SIGNATURE in signatures else next((name for name in sorted(signatures) if not name.startswith("__")), "")
    inputs, outputs = signatures.get(chosen, ([], []))
    about += [("schema version", version), ("signatures", ", ".join(sorted(signatures)))]
    return Contents(
        Schema(
            format="savedmodel",
            framework=f"tensorflow {tensorflow}".strip(),
            inputs=tuple(inputs),
            outputs=tuple(outputs),
            metadata=metadata_of(about),
            notes=() if chosen else ("it has no signature, so that its inputs are not known",),
        )
    )


def _about(message: Message) -> tuple[list[str], str]:
    tags, version = [], ""
    for one in message:
        if one.number == _ABOUT_TAG:
            tags.append(message.text(one))
        elif one.number == _ABOUT_TENSORFLOW:
            version = message.text(one)
    return tags, clean(version)


def _signature(entry: Message) -> tuple[str, tuple[list[Tensor], list[Tensor]]]:
    name = ""
    found: tuple[list[Tensor], list[Tensor]] = ([], [])
    for one in entry:
        if one.number == _MAP_KEY:
            name = entry.text(one)
        elif one.number == _MAP_VALUE:
            signature = entry.inner(one)
            for part in signature:
                if part.number in (_SIGNATURE_INPUT, _SIGNATURE_OUTPUT):
                    found[part.number - 1].append(_info(signature.inner(part)))
    for tensors in found:
        tensors.sort(key=lambda tensor: tensor.name)  # a map has no order, and a schema must have one
    return name, found


def _info(entry: Message) -> Tensor:
    name, dtype, shape = "", "", None
    for one in entry:
        if one.number == _MAP_KEY:
            name = entry.text(one)
        elif one.number == _MAP_VALUE:
            info = entry.inner(one)
            for part in info:
                if part.number == _INFO_TYPE:
                    dtype = _DTYPES.get(part.value, f"type {part.value}")
                elif part.number == _INFO_SHAPE:
                    shape = _shape(info.inner(part))
    return Tensor(clean(name), dtype, shape)


def _shape(message: Message) -> tuple[int, ...] | None:
    sizes: list[int] = []
    for one in message:
        if one.number == _SHAPE_UNKNOWN and one.value:
            return None
        if one.number == _SHAPE_DIMENSION:
            found = [signed(part.value) for part in message.inner(one) if part.number == 1]
            sizes.append(max(-1, found[-1]) if found else 0)
    return tuple(sizes)


def read_index(region: Region, shards: str) -> list[StoredTensor]:
    """The variables of a checkpoint. `shards`: the path of its files of data without their "-00000-of-00001".

    raises  Malformed, TooMuch
    """
    header, found, described = 0, [], list(_table(region))
    for key, start, end in described:
        message = Message(region, start, end)
        if not key:
            header = next((one.value for one in message if one.number == 1), 1)
        elif key != _NOT_WEIGHTS:
            found.append(_entry(key, message, shards, header))
    check_names(found)
    return [one for one in found if one.dtype not in ("string", "resource", "variant")]


def _entry(key: str, message: Message, shards: str, count: int) -> StoredTensor:
    numbers: dict[int, int] = {}
    shape: tuple[int, ...] | None = ()
    for one in message:
        if one.number in (_ENTRY_TYPE, _ENTRY_SHARD, _ENTRY_OFFSET, _ENTRY_SIZE):
            numbers[one.number] = signed(one.value)
        elif one.number == _ENTRY_SHAPE:
            shape = _shape(message.inner(one))
    dtype = _DTYPES.get(numbers.get(_ENTRY_TYPE, 0), f"type {numbers.get(_ENTRY_TYPE, 0)}")
    shard, size = numbers.get(_ENTRY_SHARD, 0), numbers.get(_ENTRY_SIZE, 0)
    if shape is None or shard < 0 or shard >= max(count, 1) or size < 0 or numbers.get(_ENTRY_OFFSET, 0) < 0:
        raise Malformed(f"variable {shown(key)} has no shape, or no place in one of {count} files")
    expected = bytes_of(dtype, shape, key) if dtype not in ("string", "resource", "variant") else -1
    if expected not in (-1, size):
        raise Malformed(f"variable {shown(key)} is {dtype} {list(shape)}, which takes {expected} bytes; it has {size}")
    name = clean(key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"))
    return StoredTensor(name, dtype, shape, numbers.get(_ENTRY_OFFSET, 0), size, f"{shards}-{shard:05}-of-{count:05}")


def _table(region: Region) -> Iterator[tuple[str, int, int]]:
    """(key, start, end of the value) of each entry of a table in the format of LevelDB."""
    if region.size < _FOOTER_BYTES or region.unpack("<Q", region.size - 8)[0] != _TABLE_MAGIC:
        raise Malformed("its index does not end like a table of TensorFlow's")
    footer = region.size - _FOOTER_BYTES
    at = footer
    for _ in range(2):  # the handle of the block of filters comes first
        _, at = varint(region, at, region.size)
    for _, start, end in _block(region, *_handle(region, at, region.size)):
        yield from ((text_of(key, "a name"), first, last) for key, first, last in _block(region, *_handle(region, start, end)))


def _handle(region: Region, at: int, end: int) -> tuple[int, int]:
    offset, at = varint(region, at, end)
    size, _ = varint(region, at, end)
    if offset + size + _TRAILER_BYTES > region.size:
        raise Malformed(f"a block of its index claims bytes {offset} to {offset + size}, it has {region.size}")
    return offset, size


def _block(region: Region, at: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Each entry shares the beginning of its key with the one before."""
    if region.read(at + size, 1) != b"\0":
        raise TooMuch("its index is packed, which is not read here")
    (restarts,) = region.unpack("<I", at + size - 4)
    end = at + size - 4 - 4 * restarts
    if end < at:
        raise Malformed(f"a block of its index claims {restarts} places in {size} bytes")
    key = b""
    while at < end:
        region.spend()
        shared, at = varint(region, at, end)
        own, at = varint(region, at, end)
        length, at = varint(region, at, end)
        if shared > len(key) or at + own + length > end or shared + own > 1 << 16:
            raise Malformed(f"an entry at offset {at} of its index leaves its block")
        key = key[:shared] + region.read(at, own)
        yield key, at + own, at + own + length
        at += own + length
