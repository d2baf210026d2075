"""What the tests with real processes get: a daemon of their own, running."""

from collections.abc import Iterator

import pytest

import aios
from tests.e2e.daemon import Daemon, a_daemon


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
