"""The benchmark of fragmentation: its measure, its ways to pack, and that it runs on the trace's columns and without."""

import json
import os
import random
from pathlib import Path

import pytest

from benchmarks import fragmentation
from benchmarks.packing import Box, Ours, Packer, Task, best_fit, descending, first_fit, fragmented, worst_fit

TRACES = os.environ.get("AIOS_TRACES", "")  # before the tests clear it
HALF, MOST, ALL = Task(500, 1000, 10), Task(800, 1000, 10), Task(1000, 1000, 10)


def box(*gpus: int, cpus: int = 8) -> Box:
    return Box(list(gpus), 1000 * cpus, 1000)


@pytest.mark.parametrize(
    ("state", "mix", "useless"),
    [
        (box(1000, 1000), [(ALL, 1.0)], 0.0),
        (box(1000, 400), [(ALL, 1.0)], 400.0),
        (box(600, 400), [(ALL, 1.0)], 1000.0),  # none is whole
        (box(600, 400), [(HALF, 0.5), (ALL, 0.5)], 0.5 * 400 + 0.5 * 1000),
        (box(1000, 400, cpus=0), [(HALF, 1.0)], 1400.0),  # no processors
        (box(1000, 400), [(Task(2000, 1000, 10), 1.0)], 1400.0),  # not two of them
    ],
)
def test_the_measure_is_what_the_mix_cannot_use(state: Box, mix: list[tuple[Task, float]], useless: float) -> None:
    assert fragmented(state, mix) == useless


def test_the_ways_to_pack_differ_as_their_names_say() -> None:
    state = box(1000, 700, 500)
    assert [choose(state, [0, 1, 2], 500) for choose in (first_fit, worst_fit, best_fit)] == [0, 0, 2]
    only_most = descending([(MOST, 1.0)])
    assert only_most(box(1000, 900), [0, 1], 200) == 0  # 800 left is of use, 700 is not


@pytest.mark.parametrize("way", [Ours, lambda state: Packer(state, best_fit)], ids=["ours", "best fit"])
def test_what_is_taken_is_given_back(way) -> None:  # type: ignore[no-untyped-def]
    packer = way(box(1000, 1000))
    placed = [packer.place(task) for task in (HALF, ALL, HALF)]
    assert [sorted(one.values()) for one in placed] == [[500], [1000], [500]]
    assert packer.box.gpus == [0, 0]
    assert packer.place(HALF) is None
    for task, one in zip((HALF, ALL, HALF), placed, strict=True):
        packer.remove(task, one)
    assert packer.box == box(1000, 1000)


def test_it_runs_without_a_trace(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIOS_TRACES", raising=False)
    fragmentation.main(["-n", "3", "--tasks", "30"])
    *table, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)["results"]
    assert list(found) == ["random", "worst fit", "first fit", "best fit", "FGD", "AIOS"]
    assert len(table) == 2 + len(found) + 3
    for values in found.values():
        assert 0 < values["first_refusal_share"] <= values["at_end_share"] <= 1
        assert 0 <= values["useless_share"] < 1


def test_a_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("submit_s,req\n0,1\n", encoding="ascii")
    with pytest.raises(ValueError, match="has no column 'gpu_milli'"):
        fragmentation.read(tmp_path / "other.csv")


def test_on_the_trace_the_pool_packs_as_well_as_the_gradient() -> None:
    """Weng et al. compare ways to choose among nodes too; on one box the fullest GPU is within a point of the gradient's choice."""
    if not TRACES:
        pytest.skip("AIOS_TRACES names no folder with traces")
    work = fragmentation.only_what_fits(fragmentation.read(Path(TRACES) / fragmentation.TRACE), new_box(), fractions=False)
    shares = {}
    for name, packer in fragmentation.ways(work.mix, 1).items():
        if name in ("worst fit", "FGD", "AIOS"):
            found = fragmentation.Found()
            for number in range(12):
                fragmentation.flood(packer(new_box()), work, random.Random(number), found)
            shares[name] = sum(found.at_end) / len(found.at_end)
    assert shares["AIOS"] > shares["worst fit"] + 0.01
    assert abs(shares["AIOS"] - shares["FGD"]) < 0.01


def new_box() -> Box:
    return Box([1000] * 8, 96_000, 393_216)
