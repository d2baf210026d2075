"""Grants made larger and smaller while they are held."""

import pytest

from aiosd.resources.grant import CpuGrant, Grant
from aiosd.resources.inventory import Cpu, Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import Request
from aiosd.resources.resizing import resized

GIB = 1 << 30


def pool(cpus: int = 4) -> Pool:
    return Pool(Inventory("box", tuple(Cpu(n, n, 0, 0) for n in range(cpus)), 16 * GIB, 16 * GIB))


def taken(world: Pool, millis: int, memory_gib: int = 4) -> Grant:
    grant = world.take(Request(millis, memory_gib * GIB))
    assert grant is not None
    return grant


def asked(world: Pool, grant: Grant, millis: int, memory_gib: int = 4) -> Grant | None:
    before = world.free()
    with world.trial():
        found = resized(world, grant, millis, memory_gib * GIB)
    assert world.free() == before
    return found


def test_it_keeps_what_it_has_and_gets_more() -> None:
    world = pool()
    grant = taken(world, 2000)
    found = asked(world, grant, 3000, 8)
    assert found == Grant((CpuGrant(0, 1000), CpuGrant(1, 1000), CpuGrant(2, 1000)), 8 * GIB)


def test_the_rest_of_a_processor_that_it_has_a_part_of_comes_first() -> None:
    world = pool()
    grant = taken(world, 500)
    assert asked(world, grant, 1000) == Grant((CpuGrant(0, 1000),), 4 * GIB)
    assert asked(world, grant, 2500) == Grant((CpuGrant(0, 1000), CpuGrant(1, 1000), CpuGrant(2, 500)), 4 * GIB)


def test_it_gives_up_the_last_ones_and_parts_first() -> None:
    world = pool()
    grant = taken(world, 2500)
    assert asked(world, grant, 2000) == Grant((CpuGrant(0, 1000), CpuGrant(1, 1000)), 4 * GIB)
    assert asked(world, grant, 250, 1) == Grant((CpuGrant(0, 250),), GIB)


def test_what_others_hold_is_not_to_be_had() -> None:
    world = pool()
    grant = taken(world, 2000)
    other = taken(world, 2000, 11)
    assert asked(world, grant, 2001) is None
    assert asked(world, grant, 2000, 6) is None
    assert asked(world, grant, 2000, 5) is not None
    world.give_back(other)
    assert asked(world, grant, 4000, 16) is not None


@pytest.mark.parametrize(("millis", "memory_gib"), [(1, 1), (1500, 4), (3999, 16), (4000, 16)])
def test_any_size_that_fits_is_exactly_what_was_asked(millis: int, memory_gib: int) -> None:
    world = pool()
    found = asked(world, taken(world, 1500), millis, memory_gib)
    assert found is not None
    assert (found.cpu_millis, found.memory_bytes) == (millis, memory_gib * GIB)
    assert len({cpu.cpu for cpu in found.cpus}) == len(found.cpus)
