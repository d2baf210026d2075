"""Which files of a directory are the model, and what they say together; a single file is a directory of one."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from aiosd.models.findings import ScanFinding
from aiosd.models.formats import registry, savedmodel
from aiosd.models.formats.dtypes import parameters_of
from aiosd.models.reading import Contents, Limits, Malformed, Region, StoredTensor, TooMuch, Unreadable, clean, metadata_of, shown
from aiosd.models.version import Schema

_MOST_FILES = 2000  # that are read; in a set of data as many may lie that look like a model
_MOST_JSON = 8 << 20
# What is the model where several formats lie beside each other: the first of these.
_RANK = ("safetensors", "gguf", "onnx", "savedmodel", "torchscript", "pytorch", "keras", "tflite", "joblib", "pickle")
_SHARD = re.compile(r"^(.*)-\d{5}-of-(\d{5})(\.[a-z]+)$")
_CONFIG, _INDEX = "config.json", ".index.json"
_CONFIG_KEYS = ("model_type", "architectures", "torch_dtype", "dtype", "transformers_version")

Open = Callable[[str], BinaryIO]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file was found to be; `refused`: why it is not what it says it is, `left`: why it was not read."""

    format: str = ""
    tensors: Sequence[StoredTensor] = ()
    refused: str = ""
    left: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known of a model: its schema, and its files by path, those that are of some format."""

    schema: Schema = Schema()
    files: Mapping[str, FileReport] = field(default_factory=dict)
    findings: Sequence[ScanFinding] = ()

    @property
    def refused(self) -> Mapping[str, str]:
        """Why a file is not to be taken, by path."""
        return {path: one.refused for path, one in self.files.items() if one.refused}


def inspect(sizes: Mapping[str, int], open: Open, limits: Limits | None = None) -> Inspection:
    """Reads what can be read of files by their relative path. Never raises for what is in them.

    sizes  bytes of each file
    open   gives one of them to read; OSError is noted
    """
    found: dict[str, tuple[FileReport, Schema]] = {}
    candidates = sorted(sizes, key=lambda path: (path.count("/"), path))
    if len(sizes) > 1:
        candidates = [path for path in candidates if registry.may_be_one(_name(path))]
    for path in candidates[:_MOST_FILES]:
        report, schema = _read(path, open, limits)
        if report.format or report.refused or report.left:
            found[path] = (report, schema)
    schema = _together(found, sizes, open)
    if len(candidates) > _MOST_FILES:
        schema = replace(schema, notes=(*schema.notes, f"{len(candidates) - _MOST_FILES} more files that look like models were not read"))
    return Inspection(schema, {path: report for path, (report, _) in found.items()})


def _read(path: str, open: Open, limits: Limits | None) -> tuple[FileReport, Schema]:
    try:
        with open(path) as file:
            contents = registry.read(_name(path), file, limits)
            if contents and contents.schema.format == "savedmodel":
                contents = _with_variables(path, contents, open, limits)
    except TooMuch as error:
        return FileReport(left=str(error)), Schema()
    except (Unreadable, Malformed) as error:
        return FileReport(refused=f"{error}{f' ({error.hint})' if error.hint else ''}"), Schema()
    except (MemoryError, RecursionError) as error:
        return FileReport(left=f"reading it takes more than a reader is given: {type(error).__name__}"), Schema()
    except OSError as error:
        return FileReport(left=f"it cannot be read: {error.strerror}"), Schema()
    return (FileReport(contents.schema.format, contents.tensors), contents.schema) if contents else (FileReport(), Schema())


def _with_variables(path: str, contents: Contents, open: Open, limits: Limits | None) -> Contents:
    """The variables of a SavedModel are described in a file beside it, and kept in others."""
    beside = path.removesuffix(_name(path))
    try:
        with open(f"{beside}{savedmodel.VARIABLES}.index") as file:
            tensors = savedmodel.read_index(Region(file, limits), f"{savedmodel.VARIABLES}.data")
    except OSError:
        return Contents(replace(contents.schema, notes=(*contents.schema.notes, "it has no variables beside it")))
    return Contents(replace(contents.schema, parameters=parameters_of(tensors), tensors=len(tensors)), tensors)


def _together(found: Mapping[str, tuple[FileReport, Schema]], sizes: Mapping[str, int], open: Open) -> Schema:
    """The schema of the file that is the model, with the names of the others."""
    readable = [path for path, (report, _) in found.items() if report.format]
    troubles = [f"{shown(path)[1:-1]}: {report.refused or report.left}" for path, (report, _) in found.items() if report.refused or report.left]
    if not readable:
        return Schema(notes=tuple(clean(one) for one in troubles[:20]))
    chosen = min(readable, key=lambda path: (path.count("/"), _RANK.index(found[path][0].format), -sizes[path], path))
    shards = [path for path in readable if _shard_of(path) == _shard_of(chosen) != ""] or [chosen]
    schema = _merged([found[path][1] for path in shards])
    about, notes = _config(chosen, sizes, open), _missing(chosen, shards, sizes, open)
    others = [f"{path} ({found[path][0].format})" for path in readable if path not in shards]
    more = [("file", chosen if len(shards) == 1 else f"{len(shards)} files"), ("other models", ", ".join(others))] if len(sizes) > 1 else []
    metadata = {**schema.metadata, **metadata_of([*about, *((name, value) for name, value in more if value)])}
    return replace(schema, metadata=metadata, notes=(*schema.notes, *notes, *(clean(one) for one in troubles[:20])))


def _merged(schemas: Sequence[Schema]) -> Schema:
    """Shards are one model; what they say of themselves is said once."""
    first = schemas[0]
    notes = tuple(dict.fromkeys(note for one in schemas for note in one.notes))
    metadata = {key: value for one in reversed(schemas) for key, value in one.metadata.items()}
    return replace(first, parameters=sum(one.parameters for one in schemas), tensors=sum(one.tensors for one in schemas), metadata=metadata, notes=notes)


def _shard_of(path: str) -> str:
    """What all shards of one model have in common; "": it is none."""
    match = _SHARD.match(path)
    return f"{match[1]}{match[3]} of {match[2]}" if match else ""


def _missing(chosen: str, shards: Sequence[str], sizes: Mapping[str, int], open: Open) -> list[str]:
    """Shards that are not there, by the count in the names, or by the index beside them."""
    match = _SHARD.match(chosen)
    if not match:
        return []
    notes = []
    if len(shards) != int(match[2]):
        notes.append(f"{len(shards)} of its {int(match[2])} files are there")
    weights = _json(f"{match[1]}{match[3]}{_INDEX}", sizes, open).get("weight_map")
    named = {one for one in weights.values() if isinstance(one, str)} if isinstance(weights, dict) else set()
    absent = sorted(name for name in named if name not in {_name(path) for path in shards})
    return notes + ([f"its index names files that are not there: {clean(', '.join(absent[:5]))}"] if absent else [])


def _config(chosen: str, sizes: Mapping[str, int], open: Open) -> list[tuple[str, object]]:
    """What the configuration of Hugging Face's libraries beside the model says."""
    config = _json(chosen.removesuffix(_name(chosen)) + _CONFIG, sizes, open)
    pairs = [(key, config.get(key)) for key in _CONFIG_KEYS]
    return [(key, ", ".join(str(one) for one in value[:5]) if isinstance(value, list) else value) for key, value in pairs if isinstance(value, str | list)]


def _json(path: str, sizes: Mapping[str, int], open: Open) -> Mapping[str, object]:
    """Of a file that may be there; {} for whatever is none."""
    if not 0 < sizes.get(path, 0) <= _MOST_JSON:
        return {}
    with suppress(OSError, ValueError, RecursionError), open(path) as file:
        found = json.loads(file.read(_MOST_JSON))
        return found if isinstance(found, dict) else {}
    return {}


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def stem_of(path: str) -> str:
    """The same for all files of a model that is in several."""
    return _shard_of(path) or path


def tensor_names(reports: Iterable[FileReport]) -> list[str]:
    """Of all files, each once, in order."""
    return list(dict.fromkeys(clean(tensor.name) for report in reports for tensor in report.tensors))
