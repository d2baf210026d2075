"""Only `make test-vm` collects what is here: it boots machines, and takes its time."""

import os
from collections.abc import Iterator

import pytest

from tests.vm.session import Session

collect_ignore_glob = [] if os.environ.get("AIOS_VM_TESTS", "") not in ("", "0") else ["test_*.py"]


@pytest.fixture(scope="session")
def vm() -> Iterator[Session]:
    """The image is built before the first test, and the transcript written after the last."""
    session = Session()
    session.build()
    yield session
    session.close()
