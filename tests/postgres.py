"""A private PostgreSQL for the tests: started where its programs are installed, in a directory that goes with it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

_USER = "aios"


@dataclass
class Cluster:
    """`socket` is the directory of its Unix socket; it listens nowhere else."""

    socket: Path
    template: str = "template1"  # what a new database is a copy of
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{_USER}@/{database}?host={self.socket}"

    def new_database(self) -> str:
        """The URL of a fresh copy of `template`, which is an empty database until a test says otherwise."""
        from sqlalchemy import create_engine, text

        name = f"aios_{next(self.numbers)}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {self.template}"))
        engine.dispose()
        return self.url(name)


def missing() -> str:
    """What keeps the tests from starting a cluster; "" when nothing does."""
    if _programs() is None:
        return "PostgreSQL's initdb and pg_ctl are not installed (Debian: apt install postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        return f"the driver psycopg is not installed: {error} (pip install 'aiosd[postgres]')"
    if os.geteuid() == 0 and not (shutil.which("setpriv") or shutil.which("runuser")):
        return "PostgreSQL refuses to run as root, and there is neither setpriv nor runuser to become somebody else"
    return ""


def _programs() -> Path | None:
    """The directory that has initdb and pg_ctl: the newest that Debian installed, else where PATH says."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name) if p.parent.name.isdecimal() else 0)
    on_path = shutil.which("initdb")
    candidates = [*reversed(installed), *([Path(on_path).resolve().parent] if on_path else [])]
    return next((c for c in candidates if (c / "initdb").exists() and (c / "pg_ctl").exists()), None)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A running cluster, without its own durability: the tests are about ours."""
    programs = _programs()
    assert programs is not None, missing()
    home = Path(tempfile.mkdtemp(prefix="aios-pg-"))  # short: the path of a Unix socket may have 107 bytes
    as_user = _become(home)
    data = home / "data"
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C", "TZ": "UTC", "HOME": str(home)}

    def call(*argv: str) -> None:
        done = subprocess.run(
            [*as_user, *argv],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{argv[0]} ended with {done.returncode}:\n{done.stdout}")

    try:
        call(str(programs / "initdb"), "-D", str(data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
        options = f"-c listen_addresses='' -c unix_socket_directories='{home}' -c fsync=off -c shared_buffers=16MB -c max_connections=30"
        call(str(programs / "pg_ctl"), "-D", str(data), "-w", "-t", "60", "-l", str(home / "log"), "-o", options, "start")
        try:
            yield Cluster(home)
        finally:
            call(str(programs / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _become(home: Path) -> list[str]:
    """The words before a command that make it run as somebody who is not root, to whom `home` now belongs."""
    if os.geteuid() != 0:
        return []
    import pwd

    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        user = pwd.getpwnam("nobody")
    os.chown(home, user.pw_uid, user.pw_gid)
    if shutil.which("setpriv"):
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return ["runuser", "-u", user.pw_name, "--"]
