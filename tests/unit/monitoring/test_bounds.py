"""Who is stopped where no kernel holds: by the exact measure only, which is asked for seldom."""

from aiosd.monitoring.bounds import Bounds, Watch
from aiosd.monitoring.series import Totals

MIB = 1 << 20


def totals(memory_bytes: int, processes: int = 1) -> Totals:
    return Totals(1.0, 1.0, memory_bytes=memory_bytes, processes=processes)


def watch(**bounds: Bounds) -> Watch:
    return Watch(dict(bounds))


def test_who_is_within_its_bounds_is_not_weighed() -> None:
    assert watch(a=Bounds(10 * MIB)).suspects({"a": totals(10 * MIB)}) == []


def test_who_weighs_more_than_it_was_granted_is_stopped_with_both_figures() -> None:
    watching, measured = watch(a=Bounds(10 * MIB), b=Bounds(10 * MIB)), {"a": totals(30 * MIB), "b": totals(MIB)}
    assert watching.suspects(measured) == ["a"]
    (excess,) = watching.too_large(measured, {"a": 20 * MIB})
    assert (excess.key, excess.of_memory, excess.reason) == ("a", True, "it used 20 MiB of memory, more than its 10 MiB")


def test_who_shares_its_memory_is_cleared_and_weighed_again_only_when_it_has_grown() -> None:
    watching, measured = watch(a=Bounds(10 * MIB)), {"a": totals(32 * MIB)}
    assert watching.too_large(measured, {"a": 8 * MIB}) == []
    assert watching.suspects(measured) == []
    assert watching.suspects({"a": totals(34 * MIB)}) == []
    assert watching.suspects({"a": totals(35 * MIB)}) == ["a"]


def test_who_was_cleared_and_ends_leaves_nothing_to_another_of_its_name() -> None:
    watching, measured = watch(a=Bounds(10 * MIB)), {"a": totals(32 * MIB)}
    watching.too_large(measured, {"a": 8 * MIB})
    watching.forget("a")
    assert watching.suspects(measured) == []
    watching.bounds["a"] = Bounds(10 * MIB)
    assert watching.suspects(measured) == ["a"]


def test_too_many_processes_are_an_excess_of_another_kind() -> None:
    watching = watch(a=Bounds(processes=3), b=Bounds(processes=3), c=Bounds())
    (excess,) = watching.too_many({"a": totals(0, 4), "b": totals(0, 3), "c": totals(0, 1000), "unknown": totals(0, 9)})
    assert (excess.key, excess.of_memory) == ("a", False)
    assert "4 processes" in excess.reason


def test_without_a_bound_nobody_is_a_suspect() -> None:
    assert watch(a=Bounds()).suspects({"a": totals(1 << 50)}) == []


def test_a_run_that_ended_while_it_was_weighed_is_not_stopped() -> None:
    assert watch().too_large({"a": totals(MIB)}, {"a": MIB}) == []
