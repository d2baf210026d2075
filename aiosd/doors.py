"""The outside world, opened: the disk, the machine, the devices; and the directories that are a daemon's alone."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiosd import logs
from aiosd.clock import Clock
from aiosd.config import Config
from aiosd.domain_settings import cell_settings
from aiosd.host import faults, mps
from aiosd.host.cells.opening import open_cells
from aiosd.host.cells.port import Cells
from aiosd.host.gpu_watch import NvmlWatch, watched
from aiosd.host.launch import Layout
from aiosd.host.launcher import ShimLauncher
from aiosd.host.lock import lock_state
from aiosd.host.meter import ProcMeter
from aiosd.host.output import FileOutputReader
from aiosd.host.paths import prepare_directory
from aiosd.host.reports import ReportReader
from aiosd.host.watchdog import PssWeigher
from aiosd.resources.environment import grant_variables
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.storage.journal import SqlJournal

log = logs.logger("aiosd.doors")


@dataclass(frozen=True, slots=True)
class Doors:
    """Everything of the outside that the services need."""

    journal: SqlJournal
    launcher: ShimLauncher
    variables: "Variables"
    output: FileOutputReader
    reports: ReportReader
    meter: ProcMeter
    weigher: PssWeigher
    gpus: NvmlWatch | None  # None: there is none
    cells: Cells


@dataclass(slots=True)
class Variables:
    """What a grant sets in the environment of its job, on the machine as it is known now."""

    machine: Callable[[], Inventory]
    mps_directory: Callable[[], str]

    def __call__(self, grant: Grant) -> Mapping[str, str]:
        return grant_variables(grant, self.machine(), self.mps_directory())


def take_places(config: Config, closing: AsyncExitStack) -> None:
    """Make the directories, and keep every other daemon out of them until `closing` lets go."""
    prepare_directory(config.daemon.state_directory)
    closing.callback(lock_state(config.daemon.state_directory).release)
    prepare_directory(config.daemon.runtime_directory, 0o755 if config.daemon.users == "all" else 0o700)


async def open_doors(config: Config, inventory: Inventory, clock: Clock, closing: AsyncExitStack) -> Doors:
    """Open all of them; `closing` closes them in reverse order."""
    cells = await asyncio.to_thread(open_cells, Path(config.daemon.state_directory), inventory, cell_settings(config))
    _log_isolation(cells)
    journal = await SqlJournal.open(config.database_url, reached=faults.reached)
    closing.push_async_callback(journal.close)
    state, target = Path(config.daemon.state_directory), f"unix:{config.socket_path}"
    variables = Variables(lambda: inventory, partial(mps.pipe_directory, config.resources.mps, config.resources.mps_directory))
    launcher = ShimLauncher(state, target, variables, clock, cells)
    await launcher.start()
    closing.push_async_callback(launcher.close)
    seen = watched(inventory)
    gpus = NvmlWatch(seen, clock) if seen else None
    doors = Doors(journal, launcher, variables, FileOutputReader(), ReportReader(), ProcMeter(clock, gpus), PssWeigher(), gpus, cells)
    for door in (doors.output, doors.reports, doors.meter, doors.weigher):
        closing.callback(door.close)
    return doors


def layout_of(config: Config) -> Layout:
    return Layout(Path(config.daemon.state_directory))


def _log_isolation(cells: Cells) -> None:
    enforcement = cells.enforcement
    log.info("isolation", cgroups=enforcement.version, held=sorted(enforcement.held), lacking=dict(enforcement.lacking))
