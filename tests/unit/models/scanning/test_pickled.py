"""Whatever a pickle would do beyond building data is told, and nothing of it is done."""

import argparse
import datetime as dt
import io
import pickle
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest

from aiosd.models.findings import Severity
from aiosd.models.reading import Region
from aiosd.models.scanning.allowed import judge
from aiosd.models.scanning.files import scan
from aiosd.models.scanning.pickled import follow
from tests.unit.models.scanning.evil import Calls, dumped, families


def told(data: bytes, name: str = "model.pkl") -> list[str]:
    return [str(one) for one in scan(name, io.BytesIO(data))]


@pytest.mark.parametrize("family", families("/nowhere"))
def test_every_family_is_told_and_never_run(family: str, tmp_path: Path) -> None:
    mark = tmp_path / "done"
    found = scan("model.pkl", io.BytesIO(families(str(mark))[family]))
    assert found
    assert not mark.exists()


def test_the_worst_of_them_do_what_is_told(tmp_path: Path) -> None:
    """Otherwise this would be a test of harmless files."""
    mark = tmp_path / "done"
    for name in ("reduce, protocol 2", "inst", "obj", "stack_global through the memo", "memoize and put mixed", "truncated after the call", "popped"):
        try:
            pickle.loads(families(str(mark))[name])
        except (EOFError, pickle.UnpicklingError):
            assert name == "truncated after the call"
        assert mark.exists(), name
        mark.unlink()


@pytest.mark.parametrize("family", [name for name in families("/nowhere") if name not in ("extension registry", "attributes of a class", "name with a dot")])
def test_they_are_found_under_any_name(family: str) -> None:
    """Where nothing says that a file is a pickle, what it is told by is what it would import."""
    if family in ("after the stop", "a second pickle", "calls what it made", "names from attributes"):
        assert families("/nowhere")[family][:1] == b"\x80"
    assert told(families("/nowhere")[family], "weights")


def test_what_it_says_names_the_call(tmp_path: Path) -> None:
    (found,) = scan("model.pkl", io.BytesIO(dumped(str(tmp_path / "x"))))
    assert (found.file, found.severity) == ("model.pkl", Severity.DANGER)
    assert found.what in ("it would call posix.system", "it would call nt.system")
    assert str(found) == f"model.pkl: {found.what} (danger)"


@pytest.mark.parametrize("protocol", range(6))
def test_data_is_harmless(protocol: int) -> None:
    value = {
        "text": "ünï", "numbers": [1, 2.5, 1 << 80, 1j], "bytes": b"\0" * 5000, "set": {1}, "frozen": frozenset({2}), "od": OrderedDict(a=1), "count": Counter("ab"),
        "default": defaultdict(list, a=[1]), "when": dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "args": argparse.Namespace(lr=0.1), "path": Path("/a"),
        "array": np.arange(3.0), "scalar": np.float32(1.5), "fortran": np.asfortranarray(np.ones((2, 3))), "objects": np.array([None, "a"], dtype=object),
        "random": np.random.RandomState(0), "generator": np.random.default_rng(0), "slice": slice(1), "complex": np.complex64(1j),
    }  # fmt: skip
    assert told(pickle.dumps(value, protocol)) == []


def test_a_class_of_ones_own_is_unknown() -> None:
    assert told(b"c__main__\nNet\n)R.") == ["model.pkl: it would call __main__.Net (unknown)"]
    assert told(b"cmy.module\nNet\n.") == ["model.pkl: it would import my.module.Net (unknown)"]


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("collections", "OrderedDict", None), ("torch._utils", "_rebuild_tensor_v2", None), ("sklearn.linear_model._base", "LinearRegression", None),
        ("sklearn.ensemble._forest", "RandomForestClassifier", None), ("sklearn._loss._loss", "__pyx_unpickle_CyHalfSquaredError", None),
        ("torch.nn.modules.linear", "Linear", None), ("sklearn.linear_model", "os.system", Severity.UNKNOWN), ("sklearn.linear_model", "joblib", Severity.UNKNOWN),
        ("sklearn.linear_model.tests.test_base", "Evil", Severity.UNKNOWN), ("sklearn.datasets", "Fetch", Severity.DANGER), ("sklearnx.tree", "Tree", Severity.UNKNOWN),
        ("torch.nn.modules.linear", "Linear.forward", Severity.UNKNOWN), ("os", "system", Severity.DANGER), ("os.path", "join", Severity.DANGER),
        ("__torch__.a", "B", Severity.UNKNOWN), ("builtins", "eval", Severity.DANGER), ("torch", "load", Severity.DANGER), ("numpy", "load", Severity.DANGER),
        ("collections", "OrderedDict.fromkeys", Severity.UNKNOWN), ("?", "?", Severity.UNKNOWN), ("", "", Severity.UNKNOWN),
    ],
)  # fmt: skip
def test_the_list_of_names(module: str, name: str, expected: Severity | None) -> None:
    assert judge(module, name) == expected


def test_a_class_of_an_archive_of_torchscript_is_its_own() -> None:
    assert judge("__torch__.a", "B", scripted=True) is None
    assert judge("__torch__evil", "B", scripted=True) is Severity.UNKNOWN


def test_a_text_that_looks_like_one_is_none() -> None:
    for text in (
        b"cat\ndog\nbird\n",
        b"hello world\n" * 100,
        b"class A:\n    pass\n",
        b'{"a": 1}',
        b"(1, 2)\n",
        b"I am\n",
        b"",
        b"N.",
        b"\x80\x02",
        b"\x80" * 600,
        b"\x83\x05\x05.",
    ):
        assert told(text, "vocabulary.txt") == []
    assert told(b"hello", "model.pkl") == ["model.pkl: as a pickle it cannot be followed to its end: opcode BINGET at offset 0 has nothing to work on (broken)"]


def test_many_findings_are_cut() -> None:
    data = b"".join(b"cmodule%d\nname\n0" % number for number in range(500)) + b"N."
    assert len(scan("model.pkl", io.BytesIO(data))) == 50


def test_one_that_shares_its_parts_a_million_times_ends() -> None:
    data = b"\x80\x02]" + b"2" * 5000 + b"a" * 5000 + b"."
    assert told(data) == []


def test_calls_are_told_apart_from_imports() -> None:
    found = follow(Region(io.BytesIO(pickle.dumps([Calls(print, 1), eval]))))
    assert [what for _, what in found.told] == ["it would call builtins.print", "it would import builtins.eval"]
