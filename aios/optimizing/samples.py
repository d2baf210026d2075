"""What models are fed with to be measured: the user's own samples from a `.npz` file, or random ones that fit their inputs."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from aios.errors import InvalidArgument

Array = NDArray[Any]
Feed = Mapping[str, Array]
LABELS = "labels"
BATCH = 32  # samples at once, where the model takes any number
RANDOM = 32  # samples
_OPEN = 16  # of a dimension that may have any size, other than the first

_SEED = 5


@dataclass(frozen=True, slots=True)
class Input:
    """`dtype`: numpy's name of it, "": any. `shape`: a name (or "") for a dimension of any size; None: not known."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


class Model(Protocol):
    """A model that can be run: one array for each of its outputs."""

    inputs: Sequence[Input]
    outputs: Sequence[str]

    def __call__(self, feed: Feed) -> Sequence[Array]: ...


@dataclass(frozen=True, slots=True)
class Samples:
    """What is fed, run by run; `single` has as few samples as the model takes. `given`: by the user, else they are random.

    sizes   how many samples each run has
    truth  what is right for the samples of each run, in whole numbers, as the output number `output` has to say it
    """

    feeds: Sequence[Feed]
    single: Feed
    sizes: Sequence[int]
    given: bool
    truth: Sequence[Array] = field(default=())
    output: int = 0

    @property
    def count(self) -> int:
        return sum(self.sizes)

    def halves(self) -> "tuple[Samples, Samples]":
        """One to calibrate with, one to measure with; of a single run both have all of it."""
        middle = (len(self.feeds) + 1) // 2
        if middle == len(self.feeds):
            return self, self
        return self._part(slice(0, middle)), self._part(slice(middle, None))

    def _part(self, which: slice) -> "Samples":
        return replace(self, feeds=self.feeds[which], sizes=self.sizes[which], truth=self.truth[which])


def random_samples(inputs: Sequence[Input]) -> Samples:
    """The same ones each time: numbers of a normal distribution, 0 and 1 for whole numbers, since these are valid tokens and masks."""
    unknown = [each.name for each in inputs if each.shape is None]
    if unknown or not inputs:
        raise InvalidArgument(f"the model does not say what shape its inputs have: {', '.join(unknown)}", hint="give samples: --calibrate FILE.npz")
    chance = np.random.default_rng(_SEED)
    feeds = [{each.name: _random(each, chance) for each in inputs} for _ in range(RANDOM)]
    return Samples(feeds, feeds[0], [1] * RANDOM, given=False)


def _random(wanted: Input, chance: np.random.Generator) -> Array:
    shape = [each if isinstance(each, int) else _OPEN if place else 1 for place, each in enumerate(wanted.shape or ())]
    dtype = np.dtype(wanted.dtype)
    if dtype.kind in "iub":
        return np.asarray(chance.integers(0, 2, shape)).astype(dtype)
    if dtype.kind == "f":
        return np.asarray(chance.standard_normal(shape)).astype(dtype)
    raise InvalidArgument(f"the input {wanted.name} is of {wanted.dtype}, for which nothing random can be made", hint="give samples: --calibrate FILE.npz")


def file_in(path: Path) -> Path:
    """The samples that a path or a dataset has: it is a `.npz` file, or a directory with just one. Raises InvalidArgument."""
    if path.is_file():
        return path
    found = sorted(path.rglob("*.npz")) if path.is_dir() else []
    if len(found) != 1:
        there = f"has {len(found)} .npz files: {', '.join(each.name for each in found[:5])}" if found else "is no .npz file, and has none in it"
        raise InvalidArgument(f"{path} {there}", hint="give one .npz file with an array for each input of the model, and `labels` where you have them")
    return found[0]


def read_samples(path: Path, inputs: Sequence[Input], outputs: Sequence[str]) -> Samples:
    """The first axis of each array counts the samples. Raises InvalidArgument that says which array is missing or does not fit."""
    arrays = _loaded(path)
    missing = [each.name for each in inputs if each.name not in arrays]
    if missing:
        raise InvalidArgument(
            f"{path.name} has no array {missing[0]!r}, an input of the model",
            hint=f"it has {', '.join(arrays) or 'none'}; the model takes {', '.join(each.name for each in inputs)}",
        )
    fitted = {each.name: _fitted(arrays[each.name], each, path.name) for each in inputs}
    step, least, count = _cut(fitted, inputs, path.name)
    feeds = [{each.name: _nth(fitted[each.name], each, at, step) for each in inputs} for at in range(0, count, step)]
    single = {each.name: _nth(fitted[each.name], each, 0, least) for each in inputs}
    sizes = [min(step, count - at) for at in range(0, count, step)]
    label = LABELS if LABELS in arrays else next((name for name in outputs if name in arrays and arrays[name].dtype.kind in "iub"), "")
    if not label:
        return Samples(feeds, single, sizes, given=True)
    truth = arrays[label]
    if truth.ndim != 1 or truth.dtype.kind not in "iub" or len(truth) < count:
        raise InvalidArgument(
            f"{label} in {path.name} is {truth.dtype} of shape {list(truth.shape)}", hint=f"it must be one whole number for each of the {count} samples"
        )
    parts = [truth[at : at + size] for at, size in zip(range(0, count, step), sizes, strict=True)]
    return Samples(feeds, single, sizes, True, parts, outputs.index(label) if label in outputs else 0)


def _loaded(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive.items())
    except (OSError, ValueError, EOFError, AttributeError, TypeError, BadZipFile, zlib.error) as error:  # a .npy has no names, a pickle would run code
        raise InvalidArgument(f"{path} cannot be read as .npz: {error}", hint="write it by numpy.savez(path, **arrays), without objects") from None


def _fitted(array: Array, wanted: Input, file: str) -> Array:
    dtype = np.dtype(wanted.dtype) if wanted.dtype else array.dtype
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        raise InvalidArgument(f"{wanted.name} in {file} is of {array.dtype}, and the model takes {wanted.dtype}", hint="store it as that")
    rank = None if wanted.shape is None else len(wanted.shape)
    if rank is not None and array.ndim not in (rank, rank + 1):
        raise InvalidArgument(
            f"{wanted.name} in {file} has the shape {list(array.shape)}, and the model takes {list(wanted.shape or ())}",
            hint="let the first axis count the samples; or put one whole input for each run along an axis before it",
        )
    return array.astype(dtype)


def _cut(fitted: Mapping[str, Array], inputs: Sequence[Input], file: str) -> tuple[int, int, int]:
    """How many samples a run has, how many at least, and how many there are; of a model that takes so many at once only whole runs."""
    counted = [each for each in inputs if not _is_constant(fitted[each.name], each)]
    lengths = {each.name: len(fitted[each.name]) for each in counted}
    if not lengths or len(set(lengths.values())) > 1 or not min(lengths.values()):
        raise InvalidArgument(f"the arrays in {file} have no common number of samples: {lengths}", hint="let the first axis of each count the samples")
    total = next(iter(lengths.values()))
    fixed = {each.shape[0] for each in counted if each.shape and isinstance(each.shape[0], int) and not _is_stacked(fitted[each.name], each)}
    stacked = any(_is_stacked(fitted[each.name], each) for each in counted)
    if len(fixed) > 1 or (stacked and fixed - {1}) or total < max(fixed, default=1):
        raise InvalidArgument(f"the {total} samples in {file} cannot be divided: the model takes {sorted(fixed)} at once", hint="give more, or whole inputs")
    least = next(iter(fixed), 1)
    step = 1 if stacked else least if fixed else min(BATCH, total)
    return step, least, total // least * least


def _is_stacked(array: Array, wanted: Input) -> bool:
    """Whether each of its samples is a whole input."""
    return wanted.shape is not None and array.ndim == len(wanted.shape) + 1


def _is_constant(array: Array, wanted: Input) -> bool:
    """The same in each run: a single number."""
    return array.ndim == 0 and not wanted.shape


def _nth(array: Array, wanted: Input, at: int, step: int) -> Array:
    if _is_constant(array, wanted):
        return array
    return np.asarray(array[at]) if _is_stacked(array, wanted) else array[at : at + step]
