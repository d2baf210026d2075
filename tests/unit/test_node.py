"""What a reload of the configuration does: what can be is in force at once, the rest is named until the restart."""

import asyncio
from types import SimpleNamespace

import pytest

from aiosd.config import Config, JobsConfig, MonitoringConfig, QueueConfig, RpcConfig, SchedulerConfig
from aiosd.domain_settings import jobs_settings
from aiosd.errors import ConfigError
from aiosd.host.notify import Notifier
from aiosd.host.probes import Survey
from aiosd.jobs.actions import QueueChange
from aiosd.jobs.settings import JobsSettings
from aiosd.node import Node
from aiosd.resources.inventory import Inventory
from aiosd.settings_file import Loaded
from tests.unit.jobs.world import machine


class Taken:
    """The services that are told, in place of real ones."""

    def __init__(self) -> None:
        self.settings: list[JobsSettings] = []
        self.told: list[object] = []
        self.state = SimpleNamespace(pool=SimpleNamespace(inventory=machine(2, gpus=2)))
        self.found = machine(4, gpus=1)
        self.devices: list[object] = []

    async def survey(self) -> Survey:
        return Survey(self.found, ("one card less",))

    async def take_inventory(self, inventory: Inventory) -> None:
        self.devices.append((len(inventory.cpus), [d.id for d in inventory.devices]))

    async def set_device(self, device_id: str, *, quarantined: bool, reason: str) -> None:
        self.devices.append((device_id, quarantined, reason))

    def use(self, settings: JobsSettings) -> None:
        self.settings.append(settings)

    async def set_policy(self, name: str) -> None:
        self.told.append(name)

    async def set_queue(self, name: str, change: QueueChange) -> None:
        self.told.append((name, change.max_running))


def node_of(taken: Taken, new: list[Config]) -> Node:
    def reread() -> Loaded:
        if not new:
            raise ConfigError("jobs.grace_s = -1 is not allowed")
        return Loaded(new.pop(0), "", {})

    def on_reload(config: Config) -> None:
        taken.use(jobs_settings(config))
        taken.told.append(config.monitoring.period_s)

    return Node(taken, None, Loaded(Config(), "", {}), reread, on_reload, lambda: None, Notifier(""), 0.0, taken.survey)  # type: ignore[arg-type]


def test_what_can_be_taken_over_is_and_the_rest_goes_on_being_named() -> None:
    new = Config(
        scheduler=SchedulerConfig(policy="fifo", shares={"ada": 3.0}, usage_half_life_s=60.0),
        jobs=JobsConfig(grace_s=2.0),
        monitoring=MonitoringConfig(period_s=1.0),
        queues={"night": QueueConfig(max_running=3)},
        rpc=RpcConfig(max_message_bytes=1 << 20),
    )
    taken = Taken()
    node = node_of(taken, [new, new])
    done = asyncio.run(node.reload())
    assert set(done.needs_restart) == {"rpc.max_message_bytes", "scheduler.usage_half_life_s"}
    assert {"jobs.grace_s", "scheduler.shares", "scheduler.policy", "monitoring.period_s", "queues.night.max_running"} == set(done.applied)
    assert set(taken.told) == {"fifo", ("night", 3), 1.0}
    (settings,) = taken.settings
    assert (settings.grace_s, settings.shares, settings.usage_half_life_s) == (2.0, {"ada": 3.0}, 7 * 86400.0)
    again = asyncio.run(node.reload())
    assert again.applied == () and again.needs_restart == done.needs_restart


def test_a_configuration_that_is_wrong_changes_nothing() -> None:
    taken = Taken()
    node = node_of(taken, [])
    with pytest.raises(ConfigError):
        asyncio.run(node.reload())
    assert (taken.settings, taken.told, node.loaded.config) == ([], [], Config())


def test_a_reload_looks_at_the_devices_again_and_at_nothing_else_of_the_machine() -> None:
    taken = Taken()
    node = node_of(taken, [Config()])
    asyncio.run(node.reload())
    assert taken.devices == [(2, ["GPU-0"])] and node.warnings == ("one card less",)


def test_what_is_released_is_looked_at_first_and_who_quarantined_is_told() -> None:
    taken = Taken()
    node = node_of(taken, [])
    asyncio.run(node.set_device("GPU-0", True, "smells", "root"))
    asyncio.run(node.set_device("GPU-0", False, "", "root"))
    assert taken.devices == [("GPU-0", True, "smells, by root"), (2, ["GPU-0"]), ("GPU-0", False, "")]
