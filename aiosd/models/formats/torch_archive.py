"""The archive that PyTorch and TorchScript share: a pickle, and each storage as a member beside it."""

import io
from collections.abc import Mapping

from aiosd.models.formats import zipped
from aiosd.models.formats.dtypes import BITS
from aiosd.models.formats.torch_tensors import Asked, Storage, tensors
from aiosd.models.pickles import Walk
from aiosd.models.reading import Malformed, Region, StoredTensor, shown


def prefix_of(members: Mapping[str, zipped.Member]) -> str:
    """The directory that all members are in, with its slash. Raises Malformed."""
    found = [name for name in members if name.rpartition("/")[2] == "data.pkl" and name.count("/") <= 1]
    if len(found) != 1:
        raise Malformed(f"it has {len(found)} members data.pkl; a file of PyTorch has one")
    return found[0].removesuffix("data.pkl")


def archived(region: Region, members: Mapping[str, zipped.Member], prefix: str, part: str) -> tuple[list[StoredTensor], object]:
    """(the tensors, what the pickle would build) of the archive's `part`.pkl, whose storages are in a directory of that name."""
    member = members[f"{prefix}{part}.pkl"]
    if zipped.is_plain(member):
        root = Walk(region, zipped.place(region, member)).load()
    else:  # PyTorch never packs it, others may
        root = Walk(Region(io.BytesIO(zipped.unpack(region, member)), region.limits)).load()

    def find(wanted: Asked) -> Storage:
        return _storage(region, members, f"{prefix}{part}/", wanted)

    return tensors(region, root, find), root


def _storage(region: Region, members: Mapping[str, zipped.Member], place: str, wanted: Asked) -> Storage:
    member = members.get(place + wanted.key)
    if member is None:
        raise Malformed(f"storage {shown(wanted.key)} is not in the archive")
    if member.unpacked < wanted.elements * BITS[wanted.dtype] // 8:
        raise Malformed(f"storage {shown(wanted.key)} has {member.unpacked} bytes for {wanted.elements} elements of {wanted.dtype}")
    return Storage(wanted.dtype, wanted.elements, zipped.place(region, member) if zipped.is_plain(member) else -1)
