"""`version`: of this program, and of the daemon when one runs."""

from aiosctl import session
from aiosctl.lazy import verb


def client_version() -> str:
    """The version of the distribution that aiosctl is part of."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("aiosd")
    except PackageNotFoundError:
        return "not installed"


@verb("aiosctl version", "aiosctl --version")
def version() -> None:
    """Print the version of aiosctl, and of the daemon when one runs; starts none."""
    from aios.errors import AiosError

    print(f"aiosctl {client_version()}")
    try:
        with session.connect(autostart=False) as client:
            print(f"aiosd   {client.node().daemon.version}")
    except AiosError as error:
        print(f"aiosd   {error}")
