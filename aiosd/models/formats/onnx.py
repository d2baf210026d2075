"""ONNX: a protobuf message whose graph holds the tensors, or says in which file beside it they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aiosd.models.formats.dtypes import BITS, bytes_of, parameters_of
from aiosd.models.formats.wire import BYTES, VARINT, Field, Message, signed, whole
from aiosd.models.reading import Contents, Malformed, Region, StoredTensor, check_names, check_ranges, count_elements, metadata_of, shown
from aiosd.models.version import Schema, Tensor

_DTYPES = (
    "", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64", "uint32", "uint64", "complex64",
    "complex128", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "uint4", "int4", "float4_e2m1", "float8_e8m0fnu",
    "uint2", "int2",
)  # fmt: skip

# The numbers of fields in onnx.proto3.
_MODEL_PRODUCER, _MODEL_PRODUCER_VERSION, _MODEL_GRAPH, _MODEL_OPSET, _MODEL_METADATA, _MODEL_FUNCTIONS = 2, 3, 7, 8, 14, 25
_MODEL_TEXTS = {4: "domain", 6: "doc_string"}
_MODEL_NUMBERS = {1: "ir_version", 5: "model_version"}
_GRAPH_NODE, _GRAPH_NAME, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_SPARSE = 1, 2, 5, 11, 12, 15
_NODE_OUTPUT, _NODE_ATTRIBUTE = 2, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 2, 8, 9, 13, 14
_TENSOR_TYPED = (4, 5, 6, 7, 10, 11)
_LITTLE_ENDIAN = {4: ("float32", "complex64"), 10: ("float64", "complex128")}  # typed fields whose packed form is the tensor's own bytes
_EXTERNAL = 1
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_KINDS = {4: "sequence", 5: "map", 8: "sparse", 9: "optional"}


@dataclass(slots=True)
class _Found:
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    tensors: list[StoredTensor] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nodes: int = 0


def matches(name: str, head: bytes) -> bool:
    """By its name alone: a protobuf message says nothing of what it is."""
    return name.endswith(".onnx")


def read(region: Region) -> Contents:
    """Raises Malformed and TooMuch."""
    about: list[tuple[str, object]] = []
    opsets: dict[str, int] = {}
    producer, graphs = ["", ""], []
    model = whole(region)
    for one in model:
        if one.number in (_MODEL_PRODUCER, _MODEL_PRODUCER_VERSION):
            producer[one.number - _MODEL_PRODUCER] = model.text(one)
        elif one.number in _MODEL_TEXTS:
            about.append((_MODEL_TEXTS[one.number], model.text(one, region.limits.header_bytes)))
        elif one.number in _MODEL_NUMBERS:
            about.append((_MODEL_NUMBERS[one.number], signed(one.value)))
        elif one.number == _MODEL_OPSET:
            opsets.update([_opset(model.inner(one))])
        elif one.number == _MODEL_METADATA:
            about.append(_entry(model.inner(one)))
        elif one.number == _MODEL_GRAPH:
            graphs.append(model.inner(one))
    if len(graphs) != 1:
        raise Malformed(f"it has {len(graphs)} graphs; an ONNX model has one")
    found = _Found()
    _read_graph(graphs[0], found, top=True)
    here = [one for one in found.tensors if not one.file and one.size >= 0]
    check_ranges(here, region.size)
    return Contents(_schema(found, [pair for pair in about if pair[1] != ""], producer, opsets), found.tensors)


def _schema(found: _Found, about: list[tuple[str, object]], producer: list[str], opsets: dict[str, int]) -> Schema:
    others = [(f"opset {domain}", version) for domain, version in sorted(opsets.items()) if domain]
    stored = {one.name for one in found.tensors}
    return Schema(
        format="onnx",
        framework=" ".join(producer).strip()[:200],
        opset=opsets.get("", 0),
        inputs=tuple(one for one in found.inputs if one.name not in stored),  # old files list the initializers, too
        outputs=tuple(found.outputs),
        parameters=parameters_of(found.tensors),
        tensors=len(found.tensors),
        metadata=metadata_of([*about, *others, ("nodes", found.nodes)]),
        notes=tuple(found.notes),
    )


def _opset(message: Message) -> tuple[str, int]:
    domain, version = "", 0
    for one in message:
        if one.number == 1:
            domain = message.text(one)
        elif one.number == 2:
            version = signed(one.value)
    return ("" if domain == "ai.onnx" else domain), version


def _entry(message: Message) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    for one in message:
        if one.number in texts:
            texts[one.number] = message.text(one, message.region.limits.header_bytes)
    return texts[1], texts[2]


def _read_graph(graph: Message, found: _Found, *, top: bool) -> None:
    """What the graph holds itself, and what the graphs inside its nodes do."""
    own: list[StoredTensor] = []
    for one in graph:
        if one.number == _GRAPH_INITIALIZER:
            own.append(_tensor(graph.inner(one), ""))
        elif one.number == _GRAPH_NODE:
            found.nodes += 1
            _read_node(graph.inner(one), found)
        elif one.number == _GRAPH_SPARSE and not found.notes:
            found.notes.append("its sparse tensors are not counted")
        elif top and one.number in (_GRAPH_INPUT, _GRAPH_OUTPUT):
            (found.inputs if one.number == _GRAPH_INPUT else found.outputs).append(_value(graph.inner(one)))
    check_names([one for one in own if one.name])
    found.tensors += own


def _read_node(node: Message, found: _Found) -> None:
    """Constants are tensors that are named by what they come out as."""
    output, held = "", []
    for one in node:
        if one.number == _NODE_OUTPUT and not output:
            output = node.text(one)
        elif one.number == _NODE_ATTRIBUTE:
            attribute = node.inner(one)
            for part in attribute:
                if part.number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                    held.append(attribute.inner(part))
                elif part.number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                    _read_graph(attribute.inner(part), found, top=False)
    found.tensors += [_tensor(message, output) for message in held]


def _tensor(message: Message, output: str) -> StoredTensor:
    shape: list[int] = []
    external: dict[str, str] = {}
    dtype, name, data, location = "", "", [], 0
    for one in message:
        if one.number == _TENSOR_DIMS:
            shape += message.numbers(one)
        elif one.number == _TENSOR_TYPE:
            dtype = _dtype(one.value)
        elif one.number == _TENSOR_NAME:
            name = message.text(one)
        elif one.number == _TENSOR_RAW or one.number in _TENSOR_TYPED:
            data.append(one)
        elif one.number == _TENSOR_EXTERNAL:
            external.update([_entry(message.inner(one))])
        elif one.number == _TENSOR_LOCATION:
            location = one.value
    name = name or output
    if location == _EXTERNAL:
        return _outside(name, dtype, tuple(shape), external)
    return _inside(name, dtype, tuple(shape), data)


def _inside(name: str, dtype: str, shape: tuple[int, ...], data: Sequence[Field]) -> StoredTensor:
    expected = bytes_of(dtype, shape, name)
    if len(data) == 1 and data[0].number == _TENSOR_RAW and data[0].kind == BYTES:
        found = data[0].end - data[0].start
        if expected not in (-1, found):
            raise Malformed(f"tensor {shown(name)} is {dtype} {list(shape)}, which takes {expected} bytes; it has {found}")
        return StoredTensor(name, dtype, shape, data[0].start, found)
    if len(data) == 1 and data[0].kind == BYTES and dtype in _LITTLE_ENDIAN.get(data[0].number, ()) and data[0].end - data[0].start == expected:
        return StoredTensor(name, dtype, shape, data[0].start, expected)
    _refuse_without_data(name, shape, data)
    return StoredTensor(name, dtype, shape, 0, -1)


def _refuse_without_data(name: str, shape: tuple[int, ...], data: Sequence[Field]) -> None:
    """Numbers in a field of their own take a byte each at least, in complex ones two make an element."""
    elements = count_elements(shape, f"tensor {shown(name)}")
    room = sum(one.end - one.start for one in data)
    if elements > 2 * room:
        raise Malformed(f"tensor {shown(name)} claims {elements} elements in {room} bytes")


def _outside(name: str, dtype: str, shape: tuple[int, ...], external: dict[str, str]) -> StoredTensor:
    """Its bytes are in a file beside the model. Raises Malformed when that leads out of the model's directory."""
    file = external.get("location", "")
    parts = file.split("/")
    if not file or "\0" in file or "\\" in file or file.startswith("/") or ".." in parts:
        raise Malformed(
            f"tensor {shown(name)} is kept in {shown(file)}, which is no file beside the model", hint="its location must be a relative path below it"
        )
    expected = bytes_of(dtype, shape, name)
    offset, length = _count(external, "offset", 0, name), _count(external, "length", expected, name)
    if expected not in (-1, length):
        raise Malformed(f"tensor {shown(name)} is {dtype} {list(shape)}, which takes {expected} bytes; {length} are kept in {shown(file)}")
    return StoredTensor(name, dtype, shape, offset, length, "/".join(part for part in parts if part not in ("", ".")))


def _count(external: dict[str, str], key: str, default: int, name: str) -> int:
    text = external.get(key, "") or str(default)
    if not text.lstrip("-").isascii() or not text.isdigit() or len(text) > 19:
        if text == "-1":
            return -1
        raise Malformed(f"tensor {shown(name)} has {shown(text)} as its {key}")
    return int(text)


def _dtype(number: int) -> str:
    return _DTYPES[number] if number < len(_DTYPES) else f"type {number}"


def _value(message: Message) -> Tensor:
    """An input or output: a tensor, or something else that is called by its kind."""
    name, dtype, shape = "", "", None
    for one in message:
        if one.number == _VALUE_NAME:
            name = message.text(one)
        elif one.number == _VALUE_TYPE:
            dtype, shape = _type(message.inner(one))
    return Tensor(name, dtype, shape)


def _type(message: Message) -> tuple[str, tuple[int, ...] | None]:
    dtype: str = ""
    shape: tuple[int, ...] | None = None
    for one in message:
        if one.number in _TYPE_KINDS:
            return _TYPE_KINDS[one.number], None
        if one.number == 1:
            tensor = message.inner(one)
            for part in tensor:
                if part.number == 1 and part.kind == VARINT:
                    dtype = _dtype(part.value)
                elif part.number == 2:
                    shape = tuple(_dimensions(tensor.inner(part)))
    return dtype, shape


def _dimensions(shape: Message) -> Iterator[int]:
    """-1 where any size will do, also under a name."""
    for one in shape:
        if one.number == 1:
            sizes = [signed(part.value) for part in shape.inner(one) if part.number == 1 and part.kind == VARINT]
            yield sizes[-1] if sizes and sizes[-1] >= 0 else -1


assert set(_DTYPES) - {"", "string"} <= set(BITS)
