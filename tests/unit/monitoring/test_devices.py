"""The rules about GPUs: who is named, who never, and that no single look decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.monitoring.devices import DeviceRules, Verdicts
from aiosd.monitoring.looks import DeviceLook, DeviceSettings, ForeignUse, GpuProcess, GpuRun, IdleDevice

GIB = 1 << 30
SETTINGS = DeviceSettings(memory_patience_s=5.0, idle_s=60.0)


def of_run(run: str, gib: float = 1.0, busy: int | None = 500, pid: int = 0) -> GpuProcess:
    return GpuProcess(pid or ord(run), int(gib * GIB), busy, run=run)


def stranger(pid: int = 4242, gib: float = 3.0, program: str = "python3", *, graphics: bool = False) -> GpuProcess:
    return GpuProcess(pid, int(gib * GIB), 900, graphics, user="bob", program=program)


def look(*processes: GpuProcess, device: int = 0, busy: int | None = 500, trouble: str = "", known: bool = True) -> DeviceLook:
    return DeviceLook(f"GPU-{device}", f"gpu {device}", processes if known else None, busy, trouble)


def run(name: str = "a", gib: float = 0.0, *devices: int, **more: object) -> GpuRun:
    return GpuRun(name, f"1{ord(name[0])}", 1, 7, {f"GPU-{d}": int(gib * GIB) for d in devices or (0,)}, **more)  # type: ignore[arg-type]


def judged(rules: DeviceRules, looks: list[list[DeviceLook]], runs: list[GpuRun], from_s: float = 0.0, every_s: float = 1.0) -> list[Verdicts]:
    return [rules.judge(each, runs, from_s + n * every_s) for n, each in enumerate(looks)]


# Strangers


def test_a_stranger_is_believed_at_the_second_look_and_gone_at_the_second_without() -> None:
    rules = DeviceRules(SETTINGS)
    seen = judged(rules, [[look()], [look(stranger())], [look(stranger())], [look()], [look(stranger())], [look()], [look()]], [])
    assert [bool(v.foreign) for v in seen] == [False, False, True, True, True, True, False]
    assert seen[2].foreign == (ForeignUse("GPU-0", 4242, "bob", "python3", 3 * GIB),)
    assert [v.busy["GPU-0"] for v in seen] == ["", "", *["pid 4242 of bob"] * 4, ""]
    assert [v.settled for v in seen] == [True, False, True, False, True, False, True]


def test_a_stranger_that_is_to_be_ignored_is_shown_all_the_same() -> None:
    rules = DeviceRules(DeviceSettings(avoid_foreign=False))
    (_, seen) = judged(rules, [[look(stranger())]] * 2, [])
    assert seen.foreign and seen.busy == {"GPU-0": ""}


@pytest.mark.parametrize(("process", "foreign"), [
    (stranger(gib=0.2, program="Xorg", graphics=True), False),
    (stranger(gib=2, program="blender", graphics=True), True),
    (stranger(gib=0.2, program="Xorg"), True),  # a name alone excuses nobody
    (stranger(gib=0.1, program="nvidia-cuda-mps-server"), False),
    (stranger(gib=0.1, program="nvidia-cuda-mps"), False),  # as the kernel cuts it
    (stranger(gib=2, program="nvidia-cuda-mps-server"), True),
    (GpuProcess(5, GIB, 0, ours=True), False),
    (of_run("a"), False),
    (GpuProcess(5, 0, None), True),
])  # fmt: skip
def test_who_is_a_stranger(process: GpuProcess, foreign: bool) -> None:
    verdicts = judged(DeviceRules(SETTINGS), [[look(process)]] * 3, [run("a")])[-1]
    assert bool(verdicts.foreign) is foreign


def test_a_device_that_does_not_answer_keeps_its_stranger() -> None:
    seen = judged(DeviceRules(SETTINGS), [[look(stranger())], [look(stranger())], *[[look(known=False, trouble="Unknown Error")]] * 5], [])
    assert seen[-1].busy["GPU-0"] == "pid 4242 of bob"


# Too much


def test_use_beyond_a_share_is_warned_then_stopped() -> None:
    rules = DeviceRules(SETTINGS)
    seen = judged(rules, [[look(of_run("a", 25))]] * 8, [run("a", 20)])
    assert [bool(v.warnings) for v in seen] == [False, *[True] * 7]
    assert seen[1].warnings == {"a": "it uses 25 GiB of the memory of gpu 0; it was granted 20 GiB; if that lasts 5s it is stopped"}
    assert [[(s.run, s.how) for s in v.stops] for v in seen] == [*[[]] * 5, *[[("a", "overuse")]] * 3]
    assert "25 GiB" in seen[-1].stops[0].reason


def test_what_is_within_the_tolerance_or_comes_and_goes_is_not_stopped() -> None:
    assert not judged(DeviceRules(SETTINGS), [[look(of_run("a", 20.9))]] * 20, [run("a", 20)])[-1].warnings
    spikes = [[look(of_run("a", 30 if n % 4 else 10))] for n in range(40)]
    assert not [v.stops for v in judged(DeviceRules(SETTINGS), spikes, [run("a", 20)]) if v.stops]


def test_a_whole_gpu_has_no_budget_and_one_that_was_not_granted_has_none_to_use() -> None:
    assert not judged(DeviceRules(SETTINGS), [[look(of_run("a", 39))]] * 20, [run("a", 0)])[-1].warnings
    seen = judged(DeviceRules(SETTINGS), [[look(), look(of_run("a", 0.1), device=1)]] * 20, [run("a", 0)])
    assert [s.reason for s in seen[-1].stops] == ["it uses gpu 1, which it was not granted"]


def test_after_a_gap_the_patience_begins_anew() -> None:
    rules = DeviceRules(SETTINGS)
    over = [[look(of_run("a", 25))]]
    judged(rules, over * 4, [run("a", 20)])
    assert not judged(rules, over * 4, [run("a", 20)], from_s=100.0)[-1].stops


@given(st.lists(st.lists(st.floats(0, 40), min_size=3, max_size=3), min_size=3, max_size=30))
def test_the_offender_is_named_and_never_a_neighbour(uses: list[list[float]]) -> None:
    """Three runs on one card, each with a third: whoever is stopped was over its own share in each of its last looks."""
    rules, names = DeviceRules(SETTINGS), ("a", "b", "c")
    looks = [[look(*(of_run(name, gib, pid=n + 1) for n, (name, gib) in enumerate(zip(names, each, strict=True))))] for each in uses]
    for at, verdicts in enumerate(judged(rules, looks, [run(name, 10) for name in names])):
        for named in {*(stop.run for stop in verdicts.stops), *verdicts.warnings}:
            assert uses[at][names.index(named)] > 10 and uses[at - 1][names.index(named)] > 10
        for stop in verdicts.stops:
            assert all(uses[n][names.index(stop.run)] > 10 for n in range(at - 5, at + 1))


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_nothing_is_decided_by_a_single_look(flips: list[bool]) -> None:
    """A look that stands alone among those that say the opposite changes no belief: each belief has two looks in a row behind it."""
    rules, busy = DeviceRules(SETTINGS), False
    for at, there in enumerate(flips):
        verdicts = rules.judge([look(*((stranger(),) if there else ()), trouble="" if not there else "Unknown Error")], [], float(at))
        now = bool(verdicts.busy["GPU-0"])
        if now is not busy:
            assert at > 0 and flips[at] is now and flips[at - 1] is now
        busy = now
        if verdicts.health["GPU-0"] != "ok" and at >= 2:
            assert any(flips[n] and flips[n - 1] and flips[n - 2] for n in range(2, at + 1))


# Nothing


def test_a_gpu_that_nothing_happens_on_is_reported() -> None:
    seen = judged(DeviceRules(SETTINGS), [[look(of_run("a", 5, busy=0), busy=0)]] * 70, [run("a")])
    assert next(n for n, v in enumerate(seen) if v.idle) == 60
    assert seen[-1].idle == (IdleDevice("GPU-0", "197", 69.0),)
    assert seen[-1].warnings == {"a": "gpu 0 is idle for 1m or longer"}
    assert not seen[-1].stops


@pytest.mark.parametrize("what", ["work", "growth", "unknown", "suspended"])
def test_whoever_uses_it_ever_so_little_is_not_idle(what: str) -> None:
    def at(n: int) -> list[DeviceLook]:
        odd = n % 30 == 29
        busy = (10 if odd else 0) if what == "work" else None if what == "unknown" else 0
        return [look(of_run("a", 5 + (n // 30 if what == "growth" else 0), busy=busy), busy=busy)]

    seen = judged(DeviceRules(SETTINGS), [at(n) for n in range(100)], [run("a", suspended=what == "suspended")])
    assert not [v for v in seen if v.idle]


def test_a_neighbour_s_work_is_not_one_s_own() -> None:
    shared = [[look(of_run("a", 5, busy=0, pid=1), of_run("b", 5, busy=800, pid=2), busy=800)]] * 62
    assert {i.job_id for i in judged(DeviceRules(SETTINGS), shared, [run("a", 20), run("b", 20)])[-1].idle} == {"197"}
    untold = [[look(of_run("a", 5, busy=None, pid=1), of_run("b", 5, busy=None, pid=2), busy=800)]] * 62
    assert not judged(DeviceRules(SETTINGS), untold, [run("a", 20), run("b", 20)])[-1].idle


@pytest.mark.parametrize("how", ["requeue", "cancel"])
def test_a_queue_may_take_back_what_is_idle_but_not_beside_what_is_used(how: str) -> None:
    wish = run("a", 0.0, 0, 1, idle_gpus=how, idle_gpus_after_s=90.0, queue="night")
    idle, work = look(busy=0), look(of_run("a"), device=1)
    assert not [v.stops for v in judged(DeviceRules(SETTINGS), [[idle, work]] * 100, [wish]) if v.stops]
    seen = judged(DeviceRules(SETTINGS), [[idle, look(device=1, busy=0)]] * 100, [wish])
    assert next(n for n, v in enumerate(seen) if v.stops) == 90
    (stop,) = seen[-1].stops
    assert (stop.run, stop.how, stop.reason) == ("a", how, "its GPUs were idle for 1m30s: queue night takes them back")


def test_what_is_over_is_forgotten() -> None:
    rules = DeviceRules(SETTINGS)
    judged(rules, [[look(of_run("a", 25, busy=0), busy=0)]] * 70, [run("a", 20)])
    after = rules.judge([look()], [], 70.0)
    assert (after.warnings, after.stops, after.idle) == ({}, (), ())
