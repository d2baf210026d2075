"""`python -m aiosd admin-tls`: makes the keys and certificates of TLS, in a process of its own and without a daemon."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from aiosd.config import Config
from aiosd.host import certificates
from aiosd.host.people import People


def tls_directory(config: Config) -> Path:
    """Where they are kept unless the configuration names others."""
    return Path(config.daemon.state_directory) / "tls"


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="aiosctl admin tls", description="Keys and certificates for the network.", allow_abbrev=False)
    main.add_argument("--system", action="store_true", help="of the machine's daemon, not of your own")
    main.add_argument("--config", metavar="FILE", help="the configuration file, instead of the usual one")
    main.add_argument("--directory", type=Path, help="where they go; tls in the state directory")
    verbs = main.add_subparsers(dest="verb", required=True)
    for name, what in (("init", "an authority and the server's certificate"), ("server", "another certificate of the server, by the same authority")):
        verb = verbs.add_parser(name, help=what)
        verb.add_argument("--host", action="append", default=[], metavar="NAME", help="a name or address by which clients reach this machine; may be repeated")
        verb.add_argument("--force", action="store_true", help="replace what is there")
    client = verbs.add_parser("client", help="a certificate made out to a user of this machine")
    client.add_argument("user")
    client.add_argument("--days", type=int, default=certificates.CLIENT_DAYS, help="how long it is good")
    client.add_argument("--force", action="store_true", help="replace what is there")
    return main


def perform(options: argparse.Namespace, config: Config) -> Sequence[str]:
    """What was made, and what is to be done with it. Raises AlreadyExists, InvalidArgument, NotFound, FailedPrecondition."""
    directory = options.directory or tls_directory(config)
    if options.verb == "client":
        made = certificates.make_client(directory, options.user, options.days, force=options.force)
        unknown = [] if People().named(options.user) else [f"warning: this machine has no user {options.user!r}, so whoever holds it is refused"]
        then = f"give both to {options.user} with {directory / 'ca.pem'}: AIOS_TLS_CERT, AIOS_TLS_KEY and AIOS_TLS_CA name them"
    else:
        make = certificates.make_authority if options.verb == "init" else certificates.make_server
        made = make(directory, options.host or certificates.own_hosts(), force=options.force)
        then = "set rpc.listen (bearer tokens) or rpc.listen_certificates (client certificates), and restart the daemon; clients need ca.pem as AIOS_TLS_CA"
        unknown = []
    return [*(f"made {path}" for path in made), *unknown, then]
