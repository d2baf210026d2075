"""TorchScript: an archive of PyTorch with code in it, whose `forward` names the inputs."""

import re
from collections.abc import Mapping
from dataclasses import replace

from aiosd.models.formats import zipped
from aiosd.models.formats.dtypes import parameters_of
from aiosd.models.formats.torch_archive import archived
from aiosd.models.formats.torch_tensors import distinct
from aiosd.models.pickles import Made
from aiosd.models.reading import Contents, Region
from aiosd.models.version import Schema, Tensor

_MOST_CODE = 4 << 20
_FORWARD = re.compile(r"\n  def forward\(self: [^,)]+,?\s*([^)]*)\)\s*->\s*([^:]+):")
_ARGUMENT = re.compile(r"^\s*(\w+)\s*:\s*(.+?)\s*$", re.DOTALL)
_WORDS = {"Tensor": "tensor"}


def read(region: Region, members: Mapping[str, zipped.Member], prefix: str) -> Contents:
    """Raises Malformed and TooMuch."""
    found, root = archived(region, members, prefix, "data")
    inputs, outputs, notes = _signature(region, members, prefix, root)
    constants = archived(region, members, prefix, "constants")[0] if f"{prefix}constants.pkl" in members else ()
    everything = [*found, *(replace(one, name=f"constants.{one.name}") for one in constants)]
    made_by = root.made_by.removeprefix("__torch__.") if isinstance(root, Made) else ""
    schema = Schema(
        format="torchscript",
        framework="pytorch",
        inputs=inputs,
        outputs=outputs,
        parameters=parameters_of(distinct(found)),
        tensors=len(everything),
        metadata={"class": made_by[:200]} if made_by else {},
        notes=notes,
    )
    return Contents(schema, everything)


def _signature(
    region: Region, members: Mapping[str, zipped.Member], prefix: str, root: object
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[str, ...]]:
    """What `forward` of the model's own class takes and gives, by its code."""
    made_by = root.made_by if isinstance(root, Made) else ""
    module, _, name = made_by.rpartition(".")
    member = members.get(f"{prefix}code/{module.replace('.', '/')}.py")
    if member is None or member.unpacked > _MOST_CODE:
        return (), (), ("its inputs are not known: the code of its class is not in the archive",)
    code = zipped.unpack(region, member).decode(errors="replace")
    own = code[code.find(f"class {name}(") :].partition("\nclass ")[0]
    found = _FORWARD.search(own)
    if found is None:
        return (), (), ("its inputs are not known: its class has no method `forward`",)
    return tuple(_arguments(found[1])), (Tensor("output", _spelt(found[2])),), ()


def _arguments(text: str) -> list[Tensor]:
    """By commas outside of brackets, each "name: type" with what it is by default."""
    parts = re.split(r",\s*(?![^\[]*\])", text)
    found = [_ARGUMENT.match(part.partition("=")[0]) for part in parts]
    return [Tensor(one[1], _spelt(one[2])) for one in found if one]


def _spelt(kind: str) -> str:
    kind = " ".join(kind.split())[:200]
    return _WORDS.get(kind, kind)
