"""What the child asks of the readers of formats: where tensors begin, what a version is, whether it may be taken at all."""

from collections.abc import Sequence
from typing import BinaryIO

from aiosd.errors import InvalidArgument
from aiosd.host import inspecting
from aiosd.host.identities import Identity
from aiosd.host.sources import Tree
from aiosd.models.formats import registry
from aiosd.models.manifest import Manifest
from aiosd.models.reading import Unreadable
from aiosd.models.version import Schema


def boundaries(path: str, file: BinaryIO) -> Sequence[int] | None:
    """In this process, for it only decides where to cut: what cannot be read has none, and is refused by `examine`."""
    try:
        return registry.boundaries(path.rpartition("/")[2], file) or None
    except Unreadable:
        return None


def examine(tree: Tree, manifest: Manifest, identity: Identity | None) -> tuple[Schema, Sequence[str]]:
    """What was taken, in a process with limits, as the user: the schema, and why the version is to be flagged.

    It looks at the user's files, after they were read and before they are checked for changes: what it sees is what was taken.
    raises    InvalidArgument for a file that is not what it says it is
    """
    as_user = (identity.uid, identity.gid) if identity is not None and identity.uid else None
    found = inspecting.inspect(inspecting.Model(tree.fd, tree.name), as_user)
    for path, why in found.refused.items():
        raise InvalidArgument(f"'{path}' cannot be registered: {why}", hint="it is damaged, or made to do harm", path=tree.path, file=path)
    return found.schema, ()
