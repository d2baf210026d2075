"""Whatever is done to a pool, in whatever order, its books balance."""

from collections import Counter
from contextlib import ExitStack, nullcontext
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from aiosd.errors import NeverFits
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Cpu, Device, Inventory
from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request

GIB = 1 << 30
CPUS = tuple(Cpu(id=n, core=n // 2, socket=n // 4, numa_node=n // 4) for n in (3, 1, 0, 2, 4, 5, 6, 7))
DEVICES = (
    Device("GPU-a", "gpu", 0, "NVIDIA A100-SXM4-40GB", 40 * GIB, 0),
    Device("GPU-b", "gpu", 1, "NVIDIA A100-SXM4-40GB", 40 * GIB, 1),
    Device("GPU-c", "gpu", 2, "Tesla T4", 16 * GIB, 1),
    Device("GPU-ill", "gpu", 3, "Tesla T4", 16 * GIB, 1, health="fell off the bus"),
    Device("fpga-0", "fpga", 0),
)
MACHINE = Inventory("node", CPUS, 64 * GIB, 66 * GIB, devices=DEVICES, disk_bytes=100 * GIB)

wishes = st.builds(
    DeviceRequest,
    kind=st.sampled_from(["gpu", "gpu", "gpu", "fpga", "npu"]),
    millis=st.sampled_from([100, 250, 500, 700, 1000, 2000, 3000]),
    model=st.sampled_from(["", "", "a100", "T4", "h100"]),
    memory_bytes=st.sampled_from([0, 0, 0, 8 * GIB, 20 * GIB, 50 * GIB]),
)
requests = st.builds(
    Request,
    cpu_millis=st.one_of(st.integers(1, 9000), st.sampled_from([1000, 2000, 4000, 500, 250])),
    memory_bytes=st.integers(0, 66 * GIB),
    devices=st.lists(wishes, max_size=3).map(tuple),
    disk_bytes=st.sampled_from([0, 0, 0, GIB, 60 * GIB, 101 * GIB]),
    exclusive=st.sampled_from([False] * 9 + [True]),
)


def granted_what_was_asked(request: Request, grant: Grant) -> bool:
    if request.exclusive:
        return grant == Pool(MACHINE).free()
    devices = Counter({"gpu": 0, "fpga": 0, "npu": 0})
    for part in grant.devices:
        devices[part.kind] += part.millis
    asked = Counter({"gpu": 0, "fpga": 0, "npu": 0})
    for wish in request.devices:
        asked[wish.kind] += wish.millis
    return (grant.cpu_millis, grant.memory_bytes, grant.disk_bytes) == (request.cpu_millis, request.memory_bytes, request.disk_bytes) and devices == asked


class PoolMachine(RuleBasedStateMachine):
    """Random takes, returns and what-ifs beside a plain list of what should be held."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(MACHINE)
        self.model: list[Grant] = []
        self.trials: list[tuple[ExitStack, list[Grant], Grant]] = []

    def teardown(self) -> None:
        while self.trials:
            self.close_trial()

    @rule(target=held, request=requests)
    def take(self, request: Request) -> Grant | None:
        before = self.pool.free()
        short = self.pool.shortage(request)
        grant = self.pool.take(request)
        assert (grant is None) == (short is not None)
        if grant is None:
            assert short is not None
            assert short.free < short.asked or request.devices
            assert self.pool.free() == before
            return None
        assert granted_what_was_asked(request, grant)
        assert not any(part.device_id == "GPU-ill" for part in grant.devices)
        self.model.append(grant)
        return grant

    @rule(grant=consumes(held))
    def give_back(self, grant: Grant | None) -> None:
        if grant is None or grant not in self.model:  # it was taken in a trial that has ended
            return
        self.pool.give_back(grant)
        self.model.remove(grant)

    @rule(target=held, grant=consumes(held))
    def suspend(self, grant: Grant | None) -> Grant | None:
        """The processors are given up, and the devices but for their memory."""
        if grant is None or grant not in self.model:
            return None
        asleep = replace(grant, cpus=(), devices=tuple(replace(part, millis=0) for part in grant.devices))
        self.pool.give_back(grant)
        self.pool.assign(asleep)
        self.model.remove(grant)
        self.model.append(asleep)
        return asleep

    @rule(request=requests)
    def take_and_return_changes_nothing(self, request: Request) -> None:
        before, used = self.pool.free(), self.pool.used()
        grant = self.pool.take(request)
        if grant is not None:
            self.pool.give_back(grant)
        assert (self.pool.free(), self.pool.used()) == (before, used)

    @rule(request=requests)
    def assigning_what_would_be_taken_is_taking_it(self, request: Request) -> None:
        with self.pool.trial():
            taken = self.pool.take(request)
            after = self.pool.free()
        with self.pool.trial():
            if taken is not None:
                self.pool.assign(taken)
                assert self.pool.free() == after

    @precondition(lambda self: len(self.trials) < 3)
    @rule()
    def open_trial(self) -> None:
        stack = ExitStack()
        stack.enter_context(self.pool.trial())
        self.trials.append((stack, list(self.model), self.pool.free()))

    @precondition(lambda self: self.trials)
    @rule()
    def close_trial(self) -> None:
        stack, self.model, free = self.trials.pop()
        stack.close()
        assert self.pool.free() == free

    @precondition(lambda self: self.trials)
    @rule(request=requests)
    def hold(self, request: Request) -> None:
        before = self.pool.free()
        self.pool.hold(request)
        after = self.pool.free()
        if request.exclusive:
            assert after == Grant((), 0)
        else:
            assert after.cpu_millis == max(0, before.cpu_millis - request.cpu_millis)
            assert after.memory_bytes == max(0, before.memory_bytes - request.memory_bytes)

    @invariant()
    def the_books_balance(self) -> None:
        used, free = self.pool.used(), self.pool.free()
        assert used.cpu_millis == sum(grant.cpu_millis for grant in self.model)
        assert used.memory_bytes == sum(grant.memory_bytes for grant in self.model)
        assert used.disk_bytes == sum(grant.disk_bytes for grant in self.model)
        assert all(0 < cpu.millis <= 1000 for cpu in used.cpus)
        size = {device.id: device.memory_bytes for device in DEVICES}
        assert all(0 <= part.millis <= 1000 and part.memory_bytes <= size[part.device_id] for part in used.devices)
        if not self.trials:  # no holds: what is not used is free
            assert used.cpu_millis + free.cpu_millis == MACHINE.cpu_millis
            assert used.memory_bytes + free.memory_bytes == MACHINE.memory_bytes
            assert used.disk_bytes + free.disk_bytes == MACHINE.disk_bytes
            assert self.pool.with_inventory(MACHINE).free() == free


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@settings(max_examples=200, deadline=None)
@given(requests)
def test_never_fits_is_what_an_empty_pool_cannot_take(request: Request) -> None:
    pool = Pool(MACHINE)
    fits = pool.take(request) is not None
    with nullcontext() if fits else pytest.raises(NeverFits, match="machine"):
        pool.check_ever_fits(request)
