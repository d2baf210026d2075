"""Samples: files that fit a model and those that do not, how they are divided into runs, and random ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aios.errors import InvalidArgument
from aios.optimizing.samples import BATCH, Input, file_in, random_samples, read_samples

OPEN = Input("x", "float32", ("n", 3))


def saved(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "s.npz"
    np.savez(path, **arrays)
    return path


def test_a_model_of_any_batch_gets_many_at_once(tmp_path: Path) -> None:
    x = np.arange(3 * (BATCH + 5), dtype=np.float64).reshape(-1, 3)
    found = read_samples(saved(tmp_path, x=x, labels=np.arange(BATCH + 5)), [OPEN], ["y"])
    assert [len(feed["x"]) for feed in found.feeds] == [BATCH, 5]
    assert [list(each) for each in found.truth] == [list(range(BATCH)), list(range(BATCH, BATCH + 5))]
    assert (found.count, found.given, found.output) == (BATCH + 5, True, 0)
    assert found.single["x"].shape == (1, 3) and found.single["x"].dtype == np.float32
    first, second = found.halves()
    assert (first.count, second.count, len(second.truth[0])) == (BATCH, 5, 5)


def test_a_model_of_a_fixed_batch_gets_whole_ones(tmp_path: Path) -> None:
    found = read_samples(saved(tmp_path, x=np.zeros((9, 3))), [Input("x", "float32", (4, 3))], [])
    assert ([len(feed["x"]) for feed in found.feeds], found.count, len(found.single["x"]), found.truth) == ([4, 4], 8, 4, ())
    with pytest.raises(InvalidArgument, match="cannot be divided"):
        read_samples(saved(tmp_path, x=np.zeros((3, 3))), [Input("x", "float32", (4, 3))], [])


def test_whole_inputs_may_lie_along_an_axis_of_their_own(tmp_path: Path) -> None:
    """As for a state whose first axis is no batch, and a number that is the same for all."""
    inputs = [Input("x", "float32", ("n", 3)), Input("state", "float32", (2, "n", 4)), Input("rate", "int64", ())]
    found = read_samples(saved(tmp_path, x=np.zeros((7, 1, 3)), state=np.zeros((7, 2, 1, 4)), rate=np.array(16_000)), inputs, [])
    assert len(found.feeds) == 7
    assert (found.feeds[3]["x"].shape, found.feeds[3]["state"].shape, int(found.feeds[3]["rate"])) == ((1, 3), (2, 1, 4), 16_000)
    each = read_samples(saved(tmp_path, x=np.zeros((2, 1, 3)), state=np.zeros((2, 2, 1, 4)), rate=np.array([8, 16])), inputs, [])
    assert [(feed["rate"].ndim, int(feed["rate"])) for feed in each.feeds] == [(0, 8), (0, 16)]


def test_labels_may_be_named_as_the_output_that_they_are_of(tmp_path: Path) -> None:
    found = read_samples(saved(tmp_path, x=np.zeros((4, 3)), kind=np.arange(4)), [OPEN], ["size", "kind"])
    assert (found.output, list(found.truth[0])) == (1, [0, 1, 2, 3])
    assert read_samples(saved(tmp_path, x=np.zeros((4, 3)), size=np.zeros((4, 1))), [OPEN], ["size"]).truth == ()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": np.zeros((4, 3))}, "no array 'x', an input of the model"),
        ({"x": np.zeros(4)}, r"shape \[4\], and the model takes \['n', 3\]"),
        ({"x": np.array([["a"] * 3])}, "is of <U1, and the model takes float32"),
        ({"x": np.zeros((0, 3))}, "no common number of samples"),
        ({"x": np.zeros((4, 3)), "labels": np.zeros(4)}, "labels in s.npz is float64"),
        ({"x": np.zeros((4, 3)), "labels": np.arange(3)}, "labels in s.npz is int64"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        read_samples(saved(tmp_path, **arrays), [OPEN], ["y"])


def test_arrays_of_different_lengths(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"no common number of samples: \{'x': 4, 'z': 5\}"):
        read_samples(saved(tmp_path, x=np.zeros((4, 3)), z=np.zeros((5, 3))), [OPEN, Input("z", "float32", ("n", 3))], [])


def test_what_is_no_file_of_arrays(tmp_path: Path) -> None:
    """Objects are pickled, and a pickle would run what it likes."""
    path = tmp_path / "bad.npz"
    for content in (b"", b"nothing", b"PK\x03\x04"):
        path.write_bytes(content)
        with pytest.raises(InvalidArgument, match="cannot be read as"):
            read_samples(path, [OPEN], [])
    np.savez(path, x=np.array([{}], dtype=object))
    with pytest.raises(InvalidArgument, match="cannot be read as"):
        read_samples(path, [OPEN], [])
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(InvalidArgument, match="cannot be read as"):
        read_samples(tmp_path / "one.npy", [OPEN], [])


def test_the_file_in_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="has none in it"):
        file_in(tmp_path)
    with pytest.raises(InvalidArgument, match="is no"):
        file_in(tmp_path / "nowhere")
    path = saved(tmp_path, x=np.zeros(1))
    assert file_in(tmp_path) == file_in(path) == path
    (tmp_path / "t.npz").write_bytes(b"")
    with pytest.raises(InvalidArgument, match=r"has 2 .npz files: s.npz, t.npz"):
        file_in(tmp_path)


def test_random_samples_are_the_same_each_time_and_fit() -> None:
    inputs = [Input("ids", "int64", ("n", "length")), Input("x", "float16", (2, 3)), Input("on", "bool", ())]
    one, two = random_samples(inputs), random_samples(inputs)
    assert not one.given and one.count == len(one.feeds)
    for a, b in zip(one.feeds, two.feeds, strict=True):
        assert all((a[name] == b[name]).all() for name in a)
    feed = one.feeds[0]
    assert (feed["ids"].shape[0], feed["x"].shape, feed["on"].shape) == (1, (2, 3), ())
    assert [feed[each.name].dtype for each in inputs] == ["int64", "float16", "bool"]
    assert set(np.unique(feed["ids"])) <= {0, 1}


def test_what_cannot_be_made_up() -> None:
    with pytest.raises(InvalidArgument, match="does not say what shape its inputs have: x"):
        random_samples([Input("x", "", None)])
    with pytest.raises(InvalidArgument, match="is of str, for which nothing random"):
        random_samples([Input("x", "str", ("n",))])
