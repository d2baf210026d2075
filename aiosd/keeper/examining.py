"""What the child asks of the readers of formats: where tensors begin, and what a version is. Each is a seam with one owner."""

from collections.abc import Callable, Sequence

from aiosd.host.sources import Tree
from aiosd.models.manifest import Manifest
from aiosd.models.version import Schema
from aiosd.storage.blobs.cutting import Boundaries, safetensors_boundaries

Examine = Callable[[Tree, Manifest], tuple[Schema, Sequence[str]]]
"""Before the files are checked for changes: the schema, and why the version is to be flagged."""

boundaries: Boundaries = safetensors_boundaries


def examine(tree: Tree, manifest: Manifest) -> tuple[Schema, Sequence[str]]:
    return Schema(), ()
