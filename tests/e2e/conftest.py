"""What the tests with real processes get: a daemon of their own, running."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

import aios
from aiosctl.cli import root
from aiosctl.failures import guarded
from tests.e2e.daemon import Daemon, a_daemon

Aiosctl = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """Not started yet: the test says how."""
    with a_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def shared() -> Iterator[Daemon]:
    """One running daemon for a whole module, for tests that leave it as it was."""
    with a_daemon() as daemon:
        yield daemon.start()


@pytest.fixture
def client(shared: Daemon) -> Iterator[aios.Client]:
    with aios.Client(shared.target, timeout=60.0, autostart=False) as client:
        yield client


@pytest.fixture
def aiosctl(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Aiosctl:
    """As `Daemon.aiosctl`, and in this process: for tests of many commands, each of which would take its while to start."""

    def call(daemon: Daemon, *words: str) -> "subprocess.CompletedProcess[bytes]":
        monkeypatch.chdir(daemon.root)
        status = guarded(lambda: root.main(args=["--target", daemon.target, *words], prog_name="aiosctl", standalone_mode=False))
        told = capsysbinary.readouterr()
        return subprocess.CompletedProcess(words, status, told.out, told.err)

    return call
