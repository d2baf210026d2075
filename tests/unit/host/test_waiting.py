"""Descriptors beyond those that select() knows are waited for as others are."""

import fcntl
import os
import resource
from collections.abc import Iterator

import pytest

from aiosd.host.waiting import readable

FAR = 1500


@pytest.fixture
def many() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[1] <= FAR + 10:
        pytest.skip(f"this process may have {limits[1]} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("many")
def test_what_can_be_read_or_is_at_its_end_is_told() -> None:
    near, writing = os.pipe()
    far, other = fcntl.fcntl(near, fcntl.F_DUPFD_CLOEXEC, FAR), os.open(os.devnull, os.O_RDONLY)
    try:
        assert far >= FAR
        assert readable((far,), 0.01) == []
        os.write(writing, b"1")
        assert readable((far,), 0.0) == [far]
        assert readable((far, other), 0.0) == [far, other]
        os.read(far, 1)
        os.close(writing)
        assert readable((far,), None) == [far]
        assert os.read(far, 1) == b""
    finally:
        for fd in (near, far, other):
            os.close(fd)
