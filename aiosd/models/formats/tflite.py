"""TensorFlow Lite: a flatbuffer of tables, each field of which is found by the table's own list of offsets."""

from collections.abc import Iterator
from dataclasses import dataclass

from aiosd.models.formats.dtypes import bytes_of, parameters_of
from aiosd.models.reading import Contents, Malformed, Region, StoredTensor, clean, metadata_of, shown, text_of
from aiosd.models.version import Schema, Tensor

MAGIC = b"TFL3"
_DTYPES = (
    "float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64", "complex128", "uint64", "resource",
    "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4",
)  # fmt: skip

# The numbers of fields in schema.fbs.
_MODEL_VERSION, _MODEL_SUBGRAPHS, _MODEL_DESCRIPTION, _MODEL_BUFFERS = 0, 2, 3, 4
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS = 0, 1, 2
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_SIGNATURE = 0, 1, 2, 3, 7
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2
_LONGEST_TEXT = 1 << 16


def matches(name: str, head: bytes) -> bool:
    return name.endswith(".tflite") or head[4:8] == MAGIC


def read(region: Region) -> Contents:
    """Raises Malformed and TooMuch."""
    if region.head(8)[4:] != MAGIC:
        raise Malformed("it is no TensorFlow Lite model: TFL3 is not at its offset 4")
    model = _Table(region, region.unpack("<I", 0)[0])
    buffers = [_data(table) for table in model.tables(_MODEL_BUFFERS)]
    graphs = [(graph, list(graph.tables(_GRAPH_TENSORS))) for graph in model.tables(_MODEL_SUBGRAPHS)]
    if not graphs:
        raise Malformed("it has no graph")
    first, described = graphs[0]
    stored = [one for _, tables in graphs for one in _stored(tables, buffers)]
    schema = Schema(
        format="tflite",
        framework="tensorflow lite",
        inputs=tuple(_named(described, index) for index in first.numbers(_GRAPH_INPUTS)),
        outputs=tuple(_named(described, index) for index in first.numbers(_GRAPH_OUTPUTS)),
        parameters=parameters_of({(one.offset, one.size): one for one in stored}.values()),
        tensors=len(stored),
        metadata=metadata_of([("schema version", model.scalar(_MODEL_VERSION, "<I")), ("description", model.text(_MODEL_DESCRIPTION))]),
    )
    return Contents(schema, stored)


def _data(buffer: "_Table") -> tuple[int, int]:
    """(offset, size) of a buffer, inside of the flatbuffer or, where it would be too large for that, behind it."""
    at, count = buffer.vector(_BUFFER_DATA, 1)
    if count:
        return at, count
    at, size = buffer.scalar(_BUFFER_OFFSET, "<Q"), buffer.scalar(_BUFFER_SIZE, "<Q")
    if at > 1 and at + size > buffer.region.size:
        raise Malformed(f"a buffer claims bytes {at} to {at + size}, the file has {buffer.region.size}")
    return (at, size) if at > 1 else (0, 0)


def _stored(tables: "list[_Table]", buffers: list[tuple[int, int]]) -> Iterator[StoredTensor]:
    for table in tables:
        index = table.scalar(_TENSOR_BUFFER, "<I")
        if index >= len(buffers):
            raise Malformed(f"tensor {shown(table.text(_TENSOR_NAME))} is in buffer {index} of {len(buffers)}")
        at, size = buffers[index]
        if not size:
            continue
        name, dtype, shape = table.text(_TENSOR_NAME), _dtype(table), tuple(table.numbers(_TENSOR_SHAPE))
        expected = bytes_of(dtype, shape, name)
        if dtype not in ("string", "resource", "variant") and expected not in (-1, size):
            raise Malformed(f"tensor {shown(name)} is {dtype} {list(shape)}, which takes {expected} bytes; it has {size}")
        yield StoredTensor(name, dtype, shape, at, size)


def _named(tables: "list[_Table]", index: int) -> Tensor:
    if not 0 <= index < len(tables):
        raise Malformed(f"an input or output is tensor {index} of {len(tables)}")
    table = tables[index]
    shape = list(table.numbers(_TENSOR_SIGNATURE)) or list(table.numbers(_TENSOR_SHAPE))
    return Tensor(clean(table.text(_TENSOR_NAME)), _dtype(table), tuple(max(-1, size) for size in shape))


def _dtype(table: "_Table") -> str:
    number = table.scalar(_TENSOR_TYPE, "<B")
    return _DTYPES[number] if number < len(_DTYPES) else f"type {number}"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table at an offset; a field that it does not have is 0, "" or empty."""

    region: Region
    at: int

    def _place(self, field: int) -> int:
        """The offset of a field; 0: there is none."""
        self.region.spend()
        vtable = self.at - self.region.unpack("<i", self.at)[0]
        (size,) = self.region.unpack("<H", vtable)
        if 4 + 2 * field + 2 > size:
            return 0
        (relative,) = self.region.unpack("<H", vtable + 4 + 2 * field)
        return self.at + relative if relative else 0

    def scalar(self, field: int, layout: str) -> int:
        place = self._place(field)
        return int(self.region.unpack(layout, place)[0]) if place else 0

    def vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """(offset of the first item, how many). Raises Malformed when they leave the file."""
        place = self._place(field)
        if not place:
            return 0, 0
        at = place + self.region.unpack("<I", place)[0]
        (count,) = self.region.unpack("<I", at)
        if at + 4 + count * item_bytes > self.region.size:
            raise Malformed(f"{count} items of {item_bytes} bytes are claimed at offset {at}, the file has {self.region.size}")
        return at + 4, count

    def tables(self, field: int) -> "Iterator[_Table]":
        at, count = self.vector(field, 4)
        for place in range(at, at + 4 * count, 4):
            self.region.spend()
            yield _Table(self.region, place + self.region.unpack("<I", place)[0])

    def numbers(self, field: int) -> Iterator[int]:
        at, count = self.vector(field, 4)
        for place in range(at, at + 4 * count, 4):
            self.region.spend()
            yield self.region.unpack("<i", place)[0]

    def text(self, field: int) -> str:
        at, count = self.vector(field, 1)
        if count > _LONGEST_TEXT:
            raise Malformed(f"a text of {count} bytes at offset {at}")
        return text_of(self.region.read(at, count), f"the text at offset {at}")
