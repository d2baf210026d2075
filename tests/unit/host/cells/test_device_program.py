"""The device program, run by a small machine of its own: it refuses exactly the files that it was made for."""

import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiosd.host import bpf
from aiosd.host.cells.device_program import BLOCK, CHARACTER, program
from aiosd.host.cells.limits import DeviceFile

MKNOD, READ, WRITE = 1, 2, 4
numbers = st.integers(0, 4)
files = st.builds(DeviceFile, st.sampled_from("bc"), numbers, numbers)


def run(code: bytes, access: int, kind: int, major: int, minor: int) -> int:
    """As the kernel runs it; a jump must go forwards and stay inside."""
    context = (access << 16 | kind, major, minor)
    registers = dict.fromkeys(range(10), 0)
    at = 0
    while True:
        operation, both, offset, value = struct.unpack_from("<BBhi", code, at * 8)
        target, source = both & 15, both >> 4
        at += 1
        match operation:
            case 0x61:
                assert source == 1
                registers[target] = context[offset // 4]
            case 0x54:
                registers[target] &= value
            case 0x55:
                assert offset >= 0
                at += offset if registers[target] != value else 0
            case 0xB7:
                registers[target] = value
            case 0x95:
                return registers[0]
            case _:
                raise AssertionError(f"no such instruction: {operation:#x}")
        assert at * 8 < len(code)


@settings(deadline=None)
@given(st.lists(files, max_size=6), files, st.integers(1, 7))
def test_it_refuses_exactly_what_is_denied_whatever_for(denied: list[DeviceFile], asked: DeviceFile, access: int) -> None:
    kind = CHARACTER if asked.kind == "c" else BLOCK
    assert run(program(denied), access, kind, asked.major, asked.minor) == (0 if asked in denied else 1)


def test_with_nothing_denied_it_lets_everything_through() -> None:
    assert run(program([]), READ | WRITE | MKNOD, CHARACTER, 195, 0) == 1


@pytest.mark.root
def test_the_kernel_takes_it() -> None:
    try:
        os.close(bpf.load(program([DeviceFile("c", 195, 0), DeviceFile("b", 7, 1)])))
    except OSError as error:
        pytest.skip(f"this kernel loads no programs: {error.strerror}")


@pytest.mark.root
def test_the_kernel_refuses_what_is_no_program() -> None:
    with pytest.raises(OSError, match=r"Invalid|denied|permitted|not implemented"):
        bpf.load(b"\xff" * 8)
