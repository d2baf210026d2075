"""`whoami`: whom the daemon takes the caller for."""

from collections.abc import Iterator

import click

from aios.identity import Identity
from aiosctl import session
from aiosctl.failures import Refused
from aiosctl.lazy import verb
from aiosctl.options import output_options
from aiosctl.output import Shape, print_one, section


@verb("aiosctl whoami", "aiosctl whoami -o json", 'grpcurl -H "authorization: Bearer $(aiosctl whoami --pass)" …')
@click.option("--pass", "as_pass", is_flag=True, help="Print what another gRPC client sends to be known as you; it is good for some minutes.")
@output_options
def whoami(as_pass: bool, shape: Shape) -> None:
    """Show whom the daemon takes you for, your role, and how it knows."""
    with session.connect() as client:
        if as_pass:
            credential = client.connect().credential()
            if not credential:
                raise Refused("there is nothing to show: this daemon asks for no credential, or AIOS_TOKEN is not set")
            print(credential)
            return
        print_one(client.whoami(), _layout, lambda who: who.user, shape)


def _layout(who: Identity, wide: bool) -> Iterator[str]:
    yield from section(who.user, [("uid", str(who.uid)), ("role", who.role), ("known by", who.origin)])
