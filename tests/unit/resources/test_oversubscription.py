"""Processors that are given out more than once: how many, which, and what the kernel is told."""

import pytest

from aiosd.host.cells.limits import CellSettings, Machine, limits_of
from aiosd.host.cells.port import NO_CELLS
from aiosd.host.isolation import report
from aiosd.resources.grant import CpuGrant, Grant
from aiosd.resources.inventory import Cpu, Inventory
from aiosd.resources.oversubscription import ALIAS, oversubscribed, physical, processors, there_are, told
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from tests.unit.storage.samples import RICH_SPEC

GIB = 1 << 30
TWO_NODES = tuple(Cpu(n, n, n // 4, n // 4) for n in range(8))


def machine(permille: int, cpus: tuple[Cpu, ...] = TWO_NODES) -> Inventory:
    return Inventory("box", oversubscribed(cpus, permille), 64 * GIB, 64 * GIB)


def test_none_is_none() -> None:
    assert oversubscribed(TWO_NODES, 1000) == TWO_NODES
    assert told(machine(1000)) == ""


@pytest.mark.parametrize(("permille", "count"), [(1124, 8), (1125, 9), (1500, 12), (2000, 16), (3500, 28)])
def test_there_are_as_many_names_as_were_declared(permille: int, count: int) -> None:
    cpus = oversubscribed(TWO_NODES, permille)
    assert len(cpus) == len({cpu.id for cpu in cpus}) == count
    assert there_are(cpus) == 8
    assert {physical(cpu.id) for cpu in cpus} == set(range(8))


def test_every_node_gives_as_many() -> None:
    extra = oversubscribed(TWO_NODES, 1500)[8:]
    assert sorted(cpu.numa_node for cpu in extra) == [0, 0, 1, 1]


def test_first_names_are_given_out_before_second_ones() -> None:
    pool = Pool(machine(2000, tuple(Cpu(n, n, 0, 0) for n in range(4))))
    first, second = pool.take(Request(4000, GIB)), pool.take(Request(3000, GIB))
    assert first is not None
    assert second is not None
    assert processors(first) == (0, 1, 2, 3)
    assert processors(second) == (0, 1, 2)
    assert all(cpu.cpu >= ALIAS for cpu in second.cpus)
    assert pool.take(Request(2000, GIB)) is None
    pool.give_back(first)
    assert pool.take(Request(4000, GIB)) is not None


def test_the_kernel_is_told_of_real_processors_each_once() -> None:
    grant = Grant((CpuGrant(1, 1000), CpuGrant(ALIAS + 1, 1000), CpuGrant(2 * ALIAS + 3, 1000)), GIB)
    assert limits_of(grant, RICH_SPEC, Machine(machine(4000)), CellSettings()).cpus == (1, 3)


def test_a_part_keeps_its_quota() -> None:
    grant = Grant((CpuGrant(ALIAS + 2, 500),), GIB)
    limits = limits_of(grant, RICH_SPEC, Machine(machine(2000)), CellSettings())
    assert (limits.cpus, limits.quota_us) == ((2,), 50_000)


def test_node_says_it() -> None:
    (line,) = [line for line in report(machine(1500), NO_CELLS.enforcement, watched=True) if line.resource == "cpu"]
    assert "12 processors are given out of the 8 there are: jobs that share one get it by their weights" in line.detail
