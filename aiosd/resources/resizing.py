"""A grant made larger or smaller while it is held: it keeps what it has, and devices stay as they are."""

from collections.abc import Sequence
from dataclasses import replace

from aiosd.resources.grant import CpuGrant, Grant
from aiosd.resources.pool import Pool
from aiosd.resources.processors import WHOLE
from aiosd.resources.request import Request


def resized(pool: Pool, grant: Grant, cpu_millis: int, memory_bytes: int) -> Grant | None:
    """The grant with these amounts in place of its own; None where the pool has too little. Nothing is changed: it is only asked.

    pool    a trial, in which `grant` is held
    """
    if memory_bytes - grant.memory_bytes > pool.free().memory_bytes:
        return None
    cpus = _shrunk(grant.cpus, cpu_millis) if cpu_millis <= grant.cpu_millis else _grown(pool, grant.cpus, cpu_millis - grant.cpu_millis)
    return replace(grant, cpus=cpus, memory_bytes=memory_bytes) if cpus is not None else None


def _shrunk(cpus: Sequence[CpuGrant], millis: int) -> tuple[CpuGrant, ...]:
    """Whole ones first, then the lowest numbers."""
    kept: list[CpuGrant] = []
    for cpu in sorted(cpus, key=lambda cpu: (-cpu.millis, cpu.cpu)):
        part = min(cpu.millis, millis)
        if part > 0:
            kept.append(CpuGrant(cpu.cpu, part))
        millis -= part
    return tuple(sorted(kept, key=lambda cpu: cpu.cpu))


def _grown(pool: Pool, cpus: Sequence[CpuGrant], millis: int) -> tuple[CpuGrant, ...] | None:
    """First what is free of the processors that it has a part of, then others."""
    free = {cpu.cpu: cpu.millis for cpu in pool.free().cpus}
    shares = {cpu.cpu: cpu.millis for cpu in cpus}
    for cpu, has in shares.items():
        more = max(0, min(millis, free.get(cpu, 0), WHOLE - has))
        shares[cpu], millis = has + more, millis - more
        if more:
            pool.adopt(Grant((CpuGrant(cpu, more),), 0))
    extra = pool.take(Request(millis, 0)) if millis > 0 else Grant((), 0)
    if extra is None:
        return None
    for part in extra.cpus:
        shares[part.cpu] = shares.get(part.cpu, 0) + part.millis
    return tuple(CpuGrant(cpu, shares[cpu]) for cpu in sorted(shares))
