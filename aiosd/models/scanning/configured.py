"""Code that needs no pickle: layers of Keras that are functions or classes from anywhere, and what scripts of TorchScript may do to files."""

import json
import re
from collections.abc import Iterator

from aiosd.models.findings import Severity
from aiosd.models.reading import Region, shown
from aiosd.models.scanning.allowed import judge
from aiosd.models.scanning.pickled import Told

_PIECE_BYTES, _OVERLAP = 4 << 20, 4096
_RUNS_CODE = {"Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "get_file", "load_model", "enable_unsafe_deserialization"}
_KERAS = re.compile(r"(tf_)?keras(_hub|_nlp|_cv)?(\.|$)|tensorflow\.(python\.)?keras(\.|$)")
_FUNCTIONS_OF = re.compile(r"\.(activations|initializers|losses|metrics|regularizers|constraints)(\.|$)")
_WRITTEN = re.compile(rb'"(class_name|module)"\s*:\s*"([^"]{0,300})"')
_HIDDEN = re.compile(rb"\\u00[2-7][0-9a-fA-F]")  # nobody writes such letters so
_OPERATIONS = re.compile(b"|".join(b"\\x12%c%s" % (len(name), name) for name in (b"PyFunc", b"PyFuncStateless", b"EagerPyFunc", b"ReadFile", b"WriteFile")))
_FILES = re.compile(r"\b(?:torch\.|aten::|ops\.\w+\.)(from_file|save|load|_?load_\w+|_?save_\w+)\s*\(")


def in_json(data: bytes) -> Iterator[Told]:
    """The configuration of Keras 3: each object names its module and class, which are imported when it is loaded."""
    if b"class" not in data and not _HIDDEN.search(data):
        return
    try:
        yield from dict.fromkeys(_objects(json.loads(data)))
    except (ValueError, RecursionError) as error:
        yield Severity.BROKEN, f"it is no JSON: {error}"


def _objects(value: object) -> Iterator[Told]:
    if isinstance(value, dict):
        name, module = value.get("class_name"), value.get("module")
        if isinstance(name, str):
            yield from _judged(name, module if isinstance(module, str) else "", value.get("config"))
        for one in value.values():
            yield from _objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(one)


def _judged(name: str, module: str, config: object) -> Iterator[Told]:
    called = config if name == "function" and isinstance(config, str) else name
    if called in _RUNS_CODE:
        yield Severity.DANGER, f"it has a {shown(called)[1:-1]}, which runs code of its own when it is loaded"
    elif module and not _KERAS.match(module):
        yield judge(module, called) or Severity.UNKNOWN, f"it would import {shown(f'{module}.{called}')[1:-1]}"
    elif name == "function" and module and not _FUNCTIONS_OF.search(module):
        yield Severity.DANGER, f"it would call {shown(f'{module}.{called}')[1:-1]}"
    elif not name[:1].isupper() and name != "function" and module:
        yield Severity.DANGER, f"it would call {shown(f'{module}.{name}')[1:-1]}, which is no class"


def in_hdf5(region: Region, at: int) -> Iterator[Told]:
    """HDF5 is not parsed: the configuration is text in it, in one piece."""
    if at:
        yield Severity.DANGER, f"{at} bytes lie before it: what is loaded depends on who loads it"
    found: dict[Told, None] = {}
    for start in range(0, region.size, _PIECE_BYTES):
        piece = region.read(start, min(_PIECE_BYTES + _OVERLAP, region.size - start))
        for key, value in _WRITTEN.findall(piece):
            text = value.decode(errors="replace")
            if key == b"class_name" and text in _RUNS_CODE:
                found[Severity.DANGER, f"it has a {text}, which runs code of its own when it is loaded"] = None
            elif key == b"module" and text and not _KERAS.match(text):
                found[Severity.UNKNOWN, f"it would import from {shown(text)[1:-1]}"] = None
        if b'"class_name"' in piece and _HIDDEN.search(piece):
            found[Severity.DANGER, "its configuration hides letters"] = None
    yield from found


def in_graph(region: Region) -> Iterator[Told]:
    """A graph of TensorFlow: of its operations those that call Python, or use files that are not the model's."""
    found: dict[str, None] = {}
    for start in range(0, region.size, _PIECE_BYTES):
        piece = region.read(start, min(_PIECE_BYTES + _OVERLAP, region.size - start))
        found |= dict.fromkeys(one[2:].decode() for one in _OPERATIONS.findall(piece))
    yield from ((Severity.DANGER, f"its graph has the operation {name}") for name in found)


def in_script(data: bytes) -> Iterator[Told]:
    """TorchScript is compiled, not run by Python; what is left to it is files."""
    for name in dict.fromkeys(_FILES.findall(data.decode(errors="replace"))):
        yield Severity.DANGER, f"its code uses files: {name}"
