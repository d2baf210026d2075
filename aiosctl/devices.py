"""`node device`: into quarantine, and out of it."""

import click

from aiosctl import session
from aiosctl.lazy import Nouns, verb
from aiosctl.node import layout
from aiosctl.options import output_options
from aiosctl.output import Shape, print_one

TABLE = {
    "quarantine": ("aiosctl.devices:quarantine", "Hand it out no more; what runs on it goes on"),
    "release": ("aiosctl.devices:release", "The end of a quarantine"),
}


@click.group(cls=Nouns, table=TABLE)
def device() -> None:
    """Devices of the machine: out of use, or handed out again."""


@verb("aiosctl node device quarantine gpu-1 --reason 'smells'")
@click.argument("device_id", metavar="DEVICE")
@click.option("--reason", default="", metavar="TEXT", help="Told to everybody whose job waits for it.")
@output_options
def quarantine(device_id: str, reason: str, shape: Shape) -> None:
    """Hand DEVICE (its id, or gpu-1) out no more; what runs on it goes on. It lasts until it is released."""
    _set(device_id, True, reason, shape)


@verb("aiosctl node device release gpu-1")
@click.argument("device_id", metavar="DEVICE")
@click.option("--reason", default="", metavar="TEXT", help="For the log.")
@output_options
def release(device_id: str, reason: str, shape: Shape) -> None:
    """End the quarantine of DEVICE: it is handed out again if the probes find it well."""
    _set(device_id, False, reason, shape)


def _set(device_id: str, quarantined: bool, reason: str, shape: Shape) -> None:
    with session.connect() as client:
        print_one(client.set_device(device_id, quarantined=quarantined, reason=reason), layout, lambda status: status.inventory.hostname, shape)
