"""The credential socket: it says whom the kernel sees, to each its own, and whatever clients do it goes on."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aiosd.access.passes import Bearer
from aiosd.errors import ConfigError
from aiosd.host.credentials import CredentialSocket, credential_path
from tests.fakes.other_user import open_directory, run_as

OTHER_UID = 54321
ASK = "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[3]); sys.stdout.write(s.makefile().read())"


def told(bearer: Bearer) -> str:
    if bearer.uid == OTHER_UID + 1:
        raise PermissionError("not you")
    return f"{bearer.uid} {bearer.gid} {bearer.pid}"


def served(directory: Path, talk: Callable[[str], Awaitable[None]], mode: int = 0o600) -> None:
    async def main() -> None:
        path = str(directory / "aiosd.cred")
        credentials = CredentialSocket(path, mode, 300.0, told)
        credentials.start()
        try:
            async with asyncio.timeout(30):
                await talk(path)
        finally:
            credentials.close()
        assert not os.path.exists(path)
        credentials.close()  # again, for nothing

    asyncio.run(main())


async def ask(path: str) -> dict[str, object]:
    reader, writer = await asyncio.open_unix_connection(path)
    said = await reader.read()
    writer.close()
    found: dict[str, object] = json.loads(said)
    return found


async def ask_as(path: str, uid: int) -> dict[str, object]:
    found: dict[str, object] = json.loads(await asyncio.to_thread(run_as, uid, ASK, path))
    return found


def test_it_is_beside_the_socket_of_the_calls() -> None:
    assert credential_path("/run/aios/aiosd.sock") == "/run/aios/aiosd.cred"
    assert credential_path("/tmp/s") == "/tmp/s.cred"


def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    async def talk(path: str) -> None:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert await ask(path) == {"pass": f"{os.getuid()} {os.getgid()} {os.getpid()}", "lifetime_s": 300.0}

    served(tmp_path, talk)


@pytest.mark.root
def test_each_user_is_told_its_own() -> None:
    async def talk(path: str) -> None:
        said = str((await ask_as(path, OTHER_UID))["pass"])
        assert said.startswith(f"{OTHER_UID} {OTHER_UID} ")
        assert await ask_as(path, OTHER_UID + 1) == {"error": "not you"}

    with open_directory() as directory:
        served(directory, talk, 0o666)


def test_clients_that_say_nothing_or_vanish_hold_nobody_up(tmp_path: Path) -> None:
    async def talk(path: str) -> None:
        idle = [socket.socket(socket.AF_UNIX) for _ in range(100)]
        for number, each in enumerate(idle):
            each.connect(path)
            if number % 2:
                each.close()
        for _ in range(50):
            assert "pass" in await ask(path)
        for each in idle:
            each.close()

    served(tmp_path, talk)


def test_without_descriptors_it_waits_and_then_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk(path: str) -> None:
        accept, failures = socket.socket.accept, [OSError(24, "Too many open files")] * 3

        def failing(self: socket.socket) -> tuple[socket.socket, object]:
            if failures:
                raise failures.pop()
            return accept(self)

        monkeypatch.setattr(socket.socket, "accept", failing)
        assert "pass" in await ask(path)
        assert not failures

    served(tmp_path, talk)


def test_what_is_in_its_place_is_kept_unless_it_is_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "aiosd.cred"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is not a socket"):
        served(tmp_path, ask)  # type: ignore[arg-type]
    assert path.read_text() == "precious"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def talk(at: str) -> None:
        assert "pass" in await ask(at)

    served(tmp_path, talk)
    with pytest.raises(ConfigError, match="cannot listen"):
        served(tmp_path / "missing", talk)
