"""A pickle of joblib shows what it would import and the arrays in the middle of it, packed or not."""

import bz2
import gzip
import io
import lzma
import pickle
import zlib

import numpy as np
import pytest

from aiosd.models.formats import joblib
from aiosd.models.reading import Contents, Limits, Malformed, Region, TooMuch
from tests.unit.models.formats.frameworks import Wrapped, joblib_dump

PARTS = ["text", Wrapped(np.arange(6.0).reshape(2, 3)), 5, Wrapped(np.asfortranarray(np.ones((2, 3), np.int8)), align=False)]


def read(data: bytes, **limits: int) -> Contents:
    return joblib.read(Region(io.BytesIO(data), Limits(**limits)))


def test_arrays_are_found_between_the_opcodes() -> None:
    data = joblib_dump(PARTS)
    found = read(data)
    assert (found.schema.format, found.schema.framework) == ("joblib", "scikit-learn 1.5.2")
    assert (found.schema.tensors, found.schema.parameters) == (2, 12)
    assert found.schema.metadata == {"class": "sklearn.linear_model._logistic.LogisticRegression", "imports": "joblib, numpy, sklearn"}
    first, second = found.tensors
    assert (first.dtype, first.shape, first.offset % 16) == ("float64", (2, 3), 0)
    assert data[first.offset : first.offset + first.size] == np.arange(6.0).tobytes()
    assert (second.dtype, second.stride) == ("int8", (1, 2))


def test_an_array_of_objects_is_a_pickle_within() -> None:
    found = read(joblib_dump([Wrapped(np.array([1, None, "x"], dtype=object), align=False), Wrapped(np.ones(2))]))
    assert [one.shape for one in found.tensors] == [(2,)]


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)])
def test_packed_ones_are_unpacked_within_bounds(pack: object) -> None:
    data = pack(joblib_dump(PARTS))
    found = read(data)
    assert found.schema.parameters == 12
    assert [one.size for one in found.tensors] == [-1, -1]
    with pytest.raises(TooMuch, match="unpacks to more than the 100 bytes"):
        read(data, unpacked_bytes=100)
    with pytest.raises(Malformed):
        read(data[: len(data) // 2])
    with pytest.raises(Malformed):
        read(data[:20] + b"\xff\0\xff\0" * 50)


def test_a_plain_pickle_is_one_too() -> None:
    schema = read(pickle.dumps({"a": [1, 2]})).schema
    assert (schema.format, schema.framework, schema.notes) == ("pickle", "", ())
    assert read(pickle.dumps(1) + b"more").schema.notes == ("4 bytes behind the pickle were not read",)


def test_an_array_larger_than_its_file_is_refused() -> None:
    data = joblib_dump([Wrapped(np.arange(6.0))])
    at = data.index(b"shapeq") + len(b"shapeq\x0e")
    with pytest.raises(Malformed, match="array 0 claims"):
        read(data[:at] + data[at:].replace(b"K\x06", b"K\xff", 1))
    with pytest.raises(Malformed):
        read(data[:-20])


def test_its_files_are_known_by_name() -> None:
    assert joblib.matches("a.joblib", b"")
    assert joblib.matches("a.pkl", b"")
    assert joblib.matches("a.sav", b"\x80\x04")
    assert not joblib.matches("survey.sav", b"$FL2@(#) SPSS DATA FILE")
    assert not joblib.matches("a.bin", b"\x80\x04")
