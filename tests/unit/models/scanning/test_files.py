"""A pickle is found wherever it lies: in archives, behind headers, packed, under any name; and what makes readers disagree is told."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from aiosd.models.findings import ScanFinding, Severity
from aiosd.models.formats import zipped
from aiosd.models.reading import Harmful, Limits, Region
from aiosd.models.scanning import files
from aiosd.models.scanning.files import scan, scan_all
from tests.unit.models.formats.frameworks import Wrapped, joblib_dump, keras, saved_model, torch_legacy, torch_script, torch_zip, zip_of
from tests.unit.models.scanning.evil import dumped

EVIL = dumped("/nowhere")
CALL = "it would call posix.system"


def look(data: bytes, name: str = "model.bin") -> list[ScanFinding]:
    return scan(name, io.BytesIO(data))


def whats(data: bytes, name: str = "model.bin") -> list[str]:
    return [one.what for one in look(data, name)]


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def name_only(value: str | bytes) -> str:
    """What is packed has the time of packing in it, and a test must be called the same in every process."""
    return value if isinstance(value, str) else "data"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.pt", torch_zip()), ("model.pth", torch_legacy()), ("model.bin", torch_zip()), ("model.jit", torch_script()), ("m.keras", keras()),
        ("m.joblib", joblib_dump([Wrapped(np.arange(6.0)), Wrapped(np.array([None, 1], object), align=False)])),
        ("m.joblib", zlib.compress(joblib_dump([Wrapped(np.ones(3))]))), ("a.npy", npy(np.ones(3))), ("a.npy", npy(np.array([None, "x"], object))),
        ("a.npz", zip_of({"a.npy": npy(np.ones(2))})), ("saved_model.pb", saved_model()), ("notes.txt.gz", gzip.compress(b"a,b\n1,2\n")), ("x", b"x\x9c"),
        ("data.tar", tar_of((tarfile.TarInfo("a/b.txt"), b"text"))), ("data.zip", zip_of({"a/b.txt": b"text"})), ("empty.pkl", b""),
    ],
    ids=name_only,
)  # fmt: skip
def test_what_is_harmless_is_not_flagged(name: str, data: bytes) -> None:
    assert look(data, name) == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.pt", torch_zip(more={"data/evil": EVIL})), ("model", zip_of({"archive/data.pkl": EVIL})), ("model", zip_of({"x": EVIL}, zipfile.ZIP_DEFLATED)),
        ("model.zip", zip_of({"deep.zip": zip_of({"deeper.npz": zip_of({"a": EVIL})})})), ("a.npy", npy(np.ones(1, object))[:128] + EVIL),
        ("a.npz", zip_of({"a.npy": npy(np.ones(1, object))[:128] + EVIL})), ("weights", EVIL), ("m.pkl.gz", gzip.compress(EVIL)), ("m", gzip.compress(EVIL)),
        ("m", bz2.compress(EVIL)), ("m.xz", lzma.compress(EVIL)), ("m.joblib", zlib.compress(EVIL)), ("m.tar", tar_of((tarfile.TarInfo("pickle"), EVIL))),
        ("m.tgz", gzip.compress(tar_of((tarfile.TarInfo("d/model.pkl"), EVIL)))), ("m.safetensors", EVIL), ("README.md", dumped("/x", 0)),
        ("m.joblib", joblib_dump([Wrapped(np.array([1], object), align=False)]).replace(b"\x80\x02]q\x00K\x01a.", EVIL)),
    ],
    ids=name_only,
)  # fmt: skip
def test_it_is_found_wherever_it_lies(name: str, data: bytes) -> None:
    assert CALL in whats(data, name)


def test_it_says_where() -> None:
    (found,) = look(zip_of({"a/deep.zip": zip_of({"weights": EVIL})}), "model.zip")
    assert found == ScanFinding("model.zip!a/deep.zip!weights", Severity.DANGER, CALL)


# Archives in which different programs see different things


def test_two_directories_are_told() -> None:
    harmless, evil = torch_zip(), zip_of({"archive/data.pkl": EVIL})
    assert "it cannot be looked at: there is no member" in whats(harmless + evil)[0]
    assert look(evil + harmless)
    out = io.BytesIO(harmless[:-2] + struct.pack("<H", len(evil)))
    out.seek(0, io.SEEK_END)
    with zipfile.ZipFile(out, "w") as archive:  # in the comment of the other, with offsets that are right
        archive.writestr("archive/data.pkl", b"N.")
    assert "programs differ" in whats(out.getvalue())[0]


def test_a_member_that_no_directory_names_is_told() -> None:
    data = zip_of({"a": b"1", "data.pkl": EVIL, "b": b"2"})
    members = zipped.members(Region(io.BytesIO(data)))
    at = data.index(b"PK\x01\x02")
    entry = data.index(b"PK\x01\x02", at + 1)
    hidden = data[:entry] + data[data.index(b"PK\x01\x02", entry + 1) :]
    end = hidden.rindex(b"PK\x05\x06")
    fewer = hidden[:end] + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 2, 2, end - at, at, 0)
    assert len(members) == 3
    assert "belong to no member" in whats(fewer)[0]


def test_a_member_that_says_otherwise_of_itself_is_told() -> None:
    data = zip_of({"data.pkl": b"N.", "b": b"1"})
    assert "says otherwise of itself" in whats(data.replace(b"data.pkl", b"evil.pkl", 1))[0]


@pytest.mark.parametrize("name", ["model.pkl", "model.bin"])
def test_an_archive_behind_something_else_is_told(name: str) -> None:
    archive = zip_of({"data.pkl": EVIL})
    for data in (archive, archive[:-2] + b"\x05\x00words", archive[:-2] + b"\x99\x00words"):
        assert any("an archive is appended to it" in what for what in whats(pickle.dumps([1]) + data, name))


def test_a_checksum_that_is_wrong_does_not_hide_a_member() -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        data = zip_of({"archive/data.pkl": EVIL}, compression)
        crc = struct.pack("<I", zlib.crc32(EVIL))
        found = whats(data.replace(crc, b"\0\0\0\0"))
        assert found == [CALL] if compression == zipfile.ZIP_STORED else "is damaged" in found[0]


def test_a_member_that_only_claims_to_be_encrypted_is_told() -> None:
    data = bytearray(zip_of({"archive/data.pkl": EVIL}))
    for at in (6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    assert "encrypted" in whats(bytes(data))[0]


def test_archives_that_cannot_be_read_are_told() -> None:
    assert whats(b"7z\xbc\xaf\x27\x1c" + bytes(100)) == ["it is packed by 7z, which is not read here"]
    assert whats(b"Rar!\x1a\x07\x00" + bytes(100)) == ["it is packed by RAR, which is not read here"]
    assert whats(b"\x28\xb5\x2f\xfd" + bytes(100), "m.pkl.zst") == ["it is packed by zstd, which is not read here"]
    assert whats(b"\x28\xb5\x2f\xfd" + bytes(100), "table.csv.zst") == []
    assert "cut off" in whats(b"PK\x03\x04" + bytes(100))[0]
    deep = b"N."
    for _ in range(7):
        deep = zip_of({"a": deep})
    assert "archives deep" in whats(deep)[0]


# Made to do harm to whoever unpacks them: not taken at all


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "C:/evil", "..\\evil", "\\evil"])
def test_members_that_lead_out_are_refused(name: str) -> None:
    with pytest.raises(Harmful, match="leads out"):
        look(zip_of({name: b"1"}))
    with pytest.raises(Harmful, match="leads out"):
        look(tar_of((tarfile.TarInfo(name), b"1")))


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (special("a", tarfile.SYMTYPE, "/etc/shadow"), "is a link out of the archive"), (special("d/a", tarfile.SYMTYPE, "../../b"), "is a link out"),
        (special("a", tarfile.LNKTYPE, "../b"), "is a link out"), (special("a", tarfile.CHRTYPE), "is a device"), (special("a", tarfile.FIFOTYPE), "is a device"),
    ],
)  # fmt: skip
def test_links_and_devices_are_refused(info: tarfile.TarInfo, why: str) -> None:
    with pytest.raises(Harmful, match=why):
        look(tar_of((info, b"")))


def test_links_within_an_archive_are_not() -> None:
    assert look(tar_of((tarfile.TarInfo("d/b"), b"1"), (special("d/e/a", tarfile.SYMTYPE, "../b"), b""), (special("c", tarfile.LNKTYPE, "d/b"), b""))) == []


def test_an_old_archive_of_tar_is_known_by_its_sum() -> None:
    """PyTorch looks for it first, also where a file begins as its newer ones do."""
    for name in ("pickle", "\x80\x02", "PK\x03\x04"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", encoding="latin-1") as tar:
            info = tarfile.TarInfo(name)
            info.size = len(EVIL)
            tar.addfile(info, io.BytesIO(EVIL))
        data = bytearray(out.getvalue())
        data[257:265] = bytes(8)  # the magic goes
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
        assert CALL in whats(bytes(data), "m.pt")
        assert "it is an archive of tar as well: what is loaded depends on who loads it" in whats(bytes(data), "m.pt")


def test_what_lies_behind_an_archive_of_tar_is_told() -> None:
    data = tar_of((tarfile.TarInfo("a"), b"1"))
    assert "something follows its end" in whats(data + tar_of((tarfile.TarInfo("b"), EVIL)))[0]
    sparse = tarfile.TarInfo("a")
    sparse.type = tarfile.GNUTYPE_SPARSE
    assert "is sparse" in whats(tar_of((sparse, b"")))[0]


def test_a_link_in_a_zip_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/shadow")
    with pytest.raises(Harmful, match="is a link"):
        look(out.getvalue())


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_refused(pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LIMITS", Limits(unpacked_bytes=1 << 20))
    data = pack(b"\x80\x04]." + bytes(2 << 20))
    assert len(data) < 2500
    with pytest.raises(Harmful, match="unpack to more than"):
        look(data, "model.pkl.gz")


def test_a_zip_that_claims_absurd_sizes_is_refused() -> None:
    data = bytearray(zip_of({f"m{number}": bytes(1000) for number in range(3)}, zipfile.ZIP_DEFLATED))
    at = data.index(b"PK\x01\x02")
    while data[at : at + 4] == b"PK\x01\x02":
        data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
        at += 46 + 2
    with pytest.raises(Harmful, match="claim to unpack"):
        look(bytes(data))


@pytest.mark.parametrize("described", ["'object'", "'|O'", "[('OBJ', '<f4'), ('a', [('b', '|O')])]", "('object', (2,))", "'i4,O'"])
def test_an_array_of_objects_is_known_however_it_is_described(described: str) -> None:
    header = f"{{'descr': {described}, 'fortran_order': False, 'shape': (1,)}}".encode()
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    assert whats(data + EVIL, "a.npy") == [CALL]
    assert look(data.replace(b"object", b"float8").replace(b"|O", b"<f").replace(b",O", b",f") + EVIL, "a.npy") == []


def test_a_header_of_numpy_that_claims_too_much_is_told() -> None:
    assert look(b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31), "a.npy")
    assert whats(b"\x93NUMPY\x01\x00\x04\x00exit", "a.npy") == ["its header cannot be read"]


# joblib, whose arrays are opcodes to others


def test_an_array_that_is_opcodes_to_pickle_is_told() -> None:
    code = b"cposix\nsystem\n(Vtrue\ntR."
    data = joblib_dump([Wrapped(np.frombuffer(code.ljust(32), np.uint8), align=False)])
    assert whats(data, "m.joblib") == ["without joblib it would call posix.system"]


def test_records_and_texts_of_joblib_are_passed_and_those_with_objects_are_not() -> None:
    """Trees of scikit-learn are records, names of classes are texts."""
    records = np.zeros(3, [("a", "<f8"), ("b", "<i4", (2,)), ("c", [("d", "u1")])])
    for array in (records, np.array(["a", "bcd"]), np.array([b"a"]), np.zeros(2, bool), np.zeros((), "<f4")):
        assert whats(joblib_dump([Wrapped(array, align=False), Wrapped(np.ones(2))]), "m.joblib") == []
    hidden = joblib_dump([Wrapped(np.zeros(1, [("a", "<f8"), ("b", object)]), align=False)])
    assert "describes an array in a way that joblib does not" in whats(hidden, "m.joblib")[0]


def test_an_array_that_is_described_oddly_is_told() -> None:
    data = joblib_dump([Wrapped(np.arange(4.0), align=False)])
    state = b"(K\x03X\x01\x00\x00\x00<q\x0eNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"
    start = data.index(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00")
    assert state
    forced = data[:start] + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3f" + data[start + 15 :]
    assert "describes an array in a way that joblib does not" in whats(forced, "m.joblib")[0]


def test_a_wrapper_that_is_made_otherwise_is_told() -> None:
    code = b"\x80\x02ccopyreg\n_reconstructor\n(cjoblib.numpy_pickle\nNumpyArrayWrapper\ncbuiltins\nobject\nNtR}b."
    assert "it hides an array of joblib from whoever looks" in whats(code, "m.joblib")


# Code without pickle


def test_layers_of_keras_that_run_code_are_told() -> None:
    layer = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wE="}}}}
    found = whats(keras({"class_name": "Functional", "module": "keras", "config": {"layers": [layer]}}), "m.keras")
    assert found == ["it has a Lambda, which runs code of its own when it is loaded", "it has a __lambda__, which runs code of its own when it is loaded"]


@pytest.mark.parametrize(
    ("one", "severity"),
    [
        ({"class_name": "system", "module": "os", "config": {}}, Severity.DANGER), ({"class_name": "function", "module": "builtins", "config": "eval"}, Severity.DANGER),
        ({"class_name": "Net", "module": "my_package.net", "config": {}}, Severity.UNKNOWN),
        ({"class_name": "function", "module": "keras.utils", "config": "get_file"}, Severity.DANGER),
        ({"class_name": "run", "module": "keras.src.testing", "config": {}}, Severity.DANGER),
    ],
)  # fmt: skip
def test_what_keras_would_import_is_told(one: dict[str, object], severity: Severity) -> None:
    (found,) = look(keras({"class_name": "Sequential", "config": {"layers": [one]}}), "m.keras")
    assert found.severity is severity
    harmless = {"class_name": "function", "module": "keras.metrics", "config": "binary_crossentropy"}
    assert look(keras({"class_name": "Sequential", "module": "keras", "config": {"layers": [harmless]}}), "m.keras") == []


def hdf5(config: object) -> bytes:
    return b"\x89HDF\r\n\x1a\n" + bytes(5000) + json.dumps(config).encode() + bytes(100)


def test_layers_in_hdf5_are_told() -> None:
    assert look(hdf5({"class_name": "Sequential", "config": [{"class_name": "Dense"}]}), "m.h5") == []
    for name in ("m.h5", "model"):
        assert whats(hdf5({"class_name": "Lambda"}), name) == ["it has a Lambda, which runs code of its own when it is loaded"]
    assert whats(hdf5({"class_name": "A"}).replace(b'"A"', b'"\\u004cambda"')) == ["its configuration hides letters"]
    assert "would import from my_module" in whats(hdf5({"class_name": "A", "module": "my_module"}))[0]
    assert "512 bytes lie before it" in whats(EVIL.ljust(512, b"\0") + hdf5({}))[0]


def test_a_layer_across_two_pieces_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from aiosd.models.scanning import configured

    monkeypatch.setattr(configured, "_PIECE_BYTES", 5050 - 8)
    assert len(whats(hdf5({"a": 1, "class_name": "Lambda"}))) == 1


def test_a_configuration_of_keras_is_read_wherever_it_lies() -> None:
    config = json.dumps({"class_name": "Lambda"}).replace("Lambda", "L\\u0061mbda").encode()
    found = "it has a Lambda, which runs code of its own when it is loaded"
    assert whats(zip_of({"config.json": config}), "m") == [found]  # without metadata.json, which not all of its loaders read
    assert whats(config, "unpacked/config.json") == [found]
    assert whats(b'{"model_type": "bert"}', "config.json") == []
    assert "is no JSON" in whats(b'{"class_name": ', "config.json")[0]


def test_scripts_and_graphs_that_use_files_are_told() -> None:
    code = b"def forward(self, x):\n  return torch.from_file('/etc/passwd', False, 10)\n"
    data = zip_of({"net/data.pkl": b"N.", "net/constants.pkl": b"N.", "net/code/__torch__/net.py": code})
    assert whats(data, "m.pt") == ["its code uses files: from_file"]
    assert whats(b"\x0a\x05node1\x12\x09WriteFile\x1a\x00", "saved_model.pb") == ["its graph has the operation WriteFile"]


def test_all_files_are_looked_at_and_none_stops_the_others() -> None:
    named = {"a.pkl": EVIL, "b.zip": zip_of({"../x": b"1"}), "c.txt": b"text", "d.pkl": b"\xff"}

    def opened(path: str) -> io.BytesIO:
        if path == "gone":
            raise FileNotFoundError(2, "No such file", path)
        return io.BytesIO(named[path])

    found, refused = scan_all([*named, "gone"], opened)
    assert [(one.file, one.severity) for one in found] == [("a.pkl", Severity.DANGER), ("d.pkl", Severity.BROKEN), ("gone", Severity.BROKEN)]
    assert list(refused) == ["b.zip"]
    found, _ = scan_all([f"{number}.pkl" for number in range(60)], lambda path: io.BytesIO(EVIL))
    assert len(found) == 51
    assert found[-1].what == "10 more findings"
