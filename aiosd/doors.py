"""The outside world, opened: the disk, the machine, the devices; and the directories that are a daemon's alone."""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiosd import logs
from aiosd.clock import Clock
from aiosd.domain_settings import blob_settings, cell_settings
from aiosd.errors import ConfigError
from aiosd.host import faults, mps, quota
from aiosd.host.cells.opening import open_cells
from aiosd.host.cells.port import Cells
from aiosd.host.evidence import FileEvidence
from aiosd.host.gpu_watch import NvmlWatch, watched
from aiosd.host.identities import Identities
from aiosd.host.launch import VAULT, Confinement
from aiosd.host.launcher import ShimLauncher
from aiosd.host.lock import lock_state
from aiosd.host.meter import ProcMeter
from aiosd.host.output import FileOutputReader
from aiosd.host.paths import prepare_directory, share_directory
from aiosd.host.reports import ReportReader
from aiosd.host.vault import FileVault
from aiosd.host.weigher import PssWeigher
from aiosd.keeper.stage import BlobStage
from aiosd.keeper.vault import BlobVault
from aiosd.resources.environment import grant_variables
from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory
from aiosd.settings_file import Loaded
from aiosd.storage.chunks import SqlChunks
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
    confinement: Confinement
    identities: Identities
    vault: FileVault
    evidence: FileEvidence
    blobs: BlobVault
    stage: BlobStage


@dataclass(slots=True)
class Variables:
    """What a grant sets in the environment of its job, on the machine as it is known now."""

    machine: Callable[[], Inventory]
    mps_directory: Callable[[], str]

    def __call__(self, grant: Grant) -> Mapping[str, str]:
        return grant_variables(grant, self.machine(), self.mps_directory())


def take_places(loaded: Loaded, closing: AsyncExitStack) -> None:
    """Make the directories, and keep every other daemon out of them until `closing` lets go."""
    config = loaded.config
    for_all, switches = config.daemon.users == "all", switches_users(loaded)
    prepare_directory(config.daemon.state_directory, passable=switches)
    closing.callback(lock_state(config.daemon.state_directory).release)
    prepare_directory(config.daemon.runtime_directory, 0o755 if for_all else 0o700, passable=for_all or switches)
    if switches:  # users pass through them
        share_directory(config.daemon.state_directory)
        if not for_all:
            share_directory(config.daemon.runtime_directory)


async def open_doors(loaded: Loaded, inventory: Inventory, clock: Clock, closing: AsyncExitStack) -> Doors:
    """Open all of them; `closing` closes them in reverse order."""
    config = loaded.config
    cells = await asyncio.to_thread(open_cells, Path(config.daemon.state_directory), inventory, cell_settings(config))
    _log_isolation(cells)
    journal = await SqlJournal.open(config.database_url, reached=faults.reached)
    closing.push_async_callback(journal.close)
    state, target = Path(config.daemon.state_directory), f"unix:{config.socket_path}"
    variables = Variables(lambda: inventory, partial(mps.pipe_directory, config.resources.mps, config.resources.mps_directory))
    identities, confinement = Identities(), _confinement(loaded)
    launcher = ShimLauncher(state, target, variables, clock, confinement, identities, cells)
    await launcher.start()
    closing.push_async_callback(launcher.close)
    seen = watched(inventory)
    gpus = NvmlWatch(seen, clock) if seen else None
    output, vault = FileOutputReader(identities=identities if confinement.switch else None), FileVault(state / VAULT)
    evidence = FileEvidence(state / "faults")
    blobs = BlobVault(blob_settings(config), SqlChunks(journal), reached=faults.reached)
    await asyncio.to_thread(blobs.start, passable=confinement.switch)
    stage = BlobStage.of(blobs.settings)
    meter, weigher = ProcMeter(clock, gpus), PssWeigher()
    doors = Doors(journal, launcher, variables, output, ReportReader(), meter, weigher, gpus, cells, confinement, identities, vault, evidence, blobs, stage)
    for door in (doors.output, doors.reports, doors.meter, doors.weigher, doors.vault, doors.evidence):
        closing.callback(door.close)
    return doors


def _log_isolation(cells: Cells) -> None:
    enforcement = cells.enforcement
    log.info("isolation", cgroups=enforcement.version, held=sorted(enforcement.held), lacking=dict(enforcement.lacking))


def switches_users(loaded: Loaded) -> bool:
    """Whether jobs run as their owners. Raises ConfigError when they are to and cannot, or would make root of every user."""
    wish, for_all, is_root = loaded.config.isolation.run_as_user, loaded.config.daemon.users == "all", os.geteuid() == 0
    if wish == "on" and not is_root:
        raise ConfigError("isolation.run_as_user = 'on' is not possible: the daemon is not root", hint="start it as root, or set it to 'auto'")
    if for_all and not is_root:
        raise ConfigError(
            "daemon.users = 'all' is not possible: the daemon is not root, and everybody's jobs would run as its own user, who is an admin of it",
            hint="start it as root, or set daemon.users to 'own'",
        )
    if wish == "off" and for_all and is_root:
        raise ConfigError(
            "isolation.run_as_user = 'off' is refused with daemon.users = 'all': the daemon is root, and so would be everybody's jobs",
            hint="set isolation.run_as_user to 'auto', or daemon.users to 'own'",
        )
    return wish == "on" or (wish == "auto" and is_root and (loaded.system or for_all))


def _confinement(loaded: Loaded) -> Confinement:
    daemon, hardened = loaded.config.daemon, loaded.config.isolation.no_new_privileges
    return Confinement(switches_users(loaded), hardened, daemon.runtime_directory, quota.enforced(daemon.state_directory))
