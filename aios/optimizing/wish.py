"""What is to be done to a model, and what was; the same for every format."""

from dataclasses import dataclass, field

import numpy as np

from aios.optimizing.samples import Array

INT8, INT8_DYNAMIC, FP16 = "int8", "int8-dynamic", "fp16"


@dataclass(frozen=True, slots=True)
class Wish:
    """`quantize`: "" or one of the above; "int8" is static where there are samples. `prune`: the part of the weights that becomes 0."""

    quantize: str = ""
    prune: float = 0.0


@dataclass(slots=True)
class Done:
    """`did`: in a few words each; `sparsity`: the part of the weights that is 0, where it was pruned."""

    did: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sparsity: float | None = None

    def pruned(self, zeros: int, total: int, part: float) -> None:
        self.sparsity = zeros / total
        self.did.append(f"pruned by {100 * part:g} %")


def pruned(weights: Array, part: float) -> Array:
    """A copy whose smallest weights are 0: the part `part` of them, of this tensor."""
    count = int(part * weights.size)
    kept = np.array(weights)
    if count:
        kept.reshape(-1)[np.argpartition(np.abs(weights).reshape(-1), count - 1)[:count]] = 0
    return kept
