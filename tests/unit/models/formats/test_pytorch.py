"""Checkpoints of PyTorch give their tensors and are never unpickled; tensors that leave their storage are refused."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from aiosd.models.formats import pytorch
from aiosd.models.reading import Contents, Malformed, Region, TooMuch
from tests.unit.models.formats import frameworks
from tests.unit.models.formats.frameworks import Parameter, Stored, torch_legacy, torch_pickle, torch_zip, zip_of

ARRAY = np.arange(6, dtype=np.float32)
MAKERS = [torch_zip, torch_legacy]


def read(data: bytes) -> Contents:
    return pytorch.read(Region(io.BytesIO(data)))


@pytest.mark.parametrize("make", MAKERS)
def test_tensors_are_found_where_they_lie(make: object) -> None:
    data = make()
    found = read(data)
    assert (found.schema.format, found.schema.framework, found.schema.tensors) == ("pytorch", "pytorch", 3)
    assert found.schema.parameters == 6  # tied weights count once, the counter does not
    weight, tied, steps = found.tensors
    assert (weight.name, weight.dtype, weight.shape) == ("fc.weight", "float32", (2, 3))
    assert data[weight.offset : weight.offset + weight.size] == ARRAY.tobytes()
    assert (tied.name, tied.offset) == ("fc.tied", weight.offset)
    assert data[steps.offset : steps.offset + steps.size] == np.array([3], np.int64).tobytes()


@pytest.mark.parametrize("make", MAKERS)
def test_names_are_the_path_through_whatever_was_saved(make: object) -> None:
    class Module:
        def __reduce__(self) -> tuple[object, ...]:
            inner = {"_parameters": OrderedDict(weight=Parameter(Stored("0", ARRAY))), "_buffers": {}, "_modules": {}}
            return OrderedDict, (), {"_modules": {"fc": inner}, "training": True}

    loop: list[object] = [Stored("0", ARRAY)]
    loop.append(loop)
    found = read(make({"model": Module(), "epoch": 3, "list": loop}, {"0": ARRAY}))
    assert [one.name for one in found.tensors] == ["model.fc.weight", "list.0"]


@pytest.mark.parametrize("make", MAKERS)
def test_views_know_their_part_and_their_order(make: object) -> None:
    state = {
        "part": Stored("0", ARRAY, start=2, shape=(2,)),
        "turned": Stored("0", ARRAY, shape=(2, 3), stride=(1, 2)),
        "every other": Stored("0", ARRAY, shape=(3,), stride=(2,)),
        "empty": Stored("0", ARRAY, shape=(0, 9)),
    }
    data = make(state, {"0": ARRAY})
    part, turned, every_other, empty = read(data).tensors
    assert data[part.offset : part.offset + part.size] == ARRAY[2:4].tobytes()
    assert (turned.stride, turned.size) == ((1, 2), 24)
    assert (every_other.size, empty.size) == (-1, 0)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (Stored("0", ARRAY, start=5, shape=(2,)), "reaches element 6 of a storage of 6"),
        (Stored("0", ARRAY, shape=(2,), stride=(1 << 40,)), "reaches element 1099511627776"),
        (Stored("0", ARRAY, shape=(2,), stride=(-1,)), "reaches element"),
        (Stored("0", ARRAY, start=-1), "no storage, offset, shape and stride"),
        (Stored("0", ARRAY, shape=(2,), stride=(1, 1)), "no storage, offset, shape and stride"),
        (Stored("0", ARRAY, shape=(1 << 40, 1 << 40), stride=(0, 0)), "elements or more"),
        (Stored("0", ARRAY, shape=(-3,), stride=(1,)), "has a dimension of -3"),
    ],
)
def test_tensors_stay_in_their_storage(make: object, tensor: Stored, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(make({"a": tensor}, {"0": ARRAY}))


def test_types_by_name_are_understood() -> None:
    """Types of today have no storage of their own: the tensor says what its bytes are."""
    body = (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v3\n"
        b"((X\x07\x00\x00\x00storagectorch.storage\nUntypedStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x18tQ"
        b"K\x00K\x18\x85K\x01\x85\x89Nctorch\nfloat8_e4m3fn\n}tRs."
    )
    found = read(zip_of({"m/data.pkl": body, "m/data/0": bytes(24)}))
    assert [(one.name, one.dtype, one.size) for one in found.tensors] == [("a", "float8_e4m3fn", 24)]


def test_a_packed_archive_is_read_and_its_tensors_lie_nowhere() -> None:
    members = {"m/data.pkl": torch_pickle({"a": Stored("0", ARRAY)}), "m/data/0": ARRAY.tobytes()}
    found = read(zip_of(members, zipfile.ZIP_DEFLATED)).tensors
    assert [(one.name, one.size) for one in found] == [("a", -1)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (torch_zip()[:-5], "cut off"),
        (torch_zip(arrays={}), "storage '0' is not in the archive"),
        (torch_zip(arrays={"0": ARRAY[:3], "1": ARRAY}), "storage '0' has 12 bytes for 6 elements"),
        (zip_of({"a": b""}), "0 members data.pkl"),
        (zip_of({"a/data.pkl": b"", "b/data.pkl": b""}), "2 members data.pkl"),
        (zip_of({"a/data.pkl": b"not a pickle"}), "at offset"),
        (torch_legacy()[:-1], "storage .1. ends at"),
        (torch_legacy()[:100], "the line at offset 91 does not end"),
        (torch_legacy(arrays={"0": ARRAY[:5], "1": np.array([3])}), "storage '0' has 5 elements"),
        (torch_legacy(arrays={"0": ARRAY}), "storage '1' is not in the file"),
        (torch_legacy(arrays={"9": ARRAY}), "names one that no tensor has"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        read(data)


def test_storages_of_a_type_to_come_are_left() -> None:
    with pytest.raises(TooMuch, match="'NewStorage' are not known"):
        read(_renamed())


def _renamed() -> bytes:
    pickled = torch_pickle({"a": Stored("0", ARRAY)}).replace(b"FloatStorage", b"NewStorage")
    return zip_of({"m/data.pkl": pickled, "m/data/0": ARRAY.tobytes()})


def test_a_view_of_a_legacy_storage_is_followed() -> None:
    view = torch_pickle({"a": Stored("0", ARRAY, shape=(2,))}, ("view", 3, 2))
    start = torch_legacy()
    start = start[: start.index(b"little_endian") + len(b"little_endianq\x03\x88u.")]
    data = start + view + pickle.dumps(["0"], 2) + struct.pack("<q", 6) + ARRAY.tobytes()
    (found,) = read(data).tensors
    assert data[found.offset : found.offset + found.size] == ARRAY[3:5].tobytes()
    with pytest.raises(Malformed, match="a view of storage '0' leaves it"):
        read(start + torch_pickle({"a": Stored("0", ARRAY, shape=(2,))}, ("view", 5, 2)) + pickle.dumps(["0"], 2) + struct.pack("<q", 6) + ARRAY.tobytes())


def test_it_knows_its_files_by_their_beginning() -> None:
    assert pytorch.matches("model.bin", torch_zip()[:64])
    assert pytorch.matches("model", torch_zip()[:64])
    assert pytorch.matches("model", torch_legacy()[:64])
    assert not pytorch.matches("photos.zip", zip_of({"a.jpg": b""})[:64])
    assert not pytorch.matches("model.pt", b"something else")
    assert frameworks.TORCH_MAGIC == 119547037146038801333356
