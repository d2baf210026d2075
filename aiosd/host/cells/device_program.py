"""The eBPF program that keeps a cell from device files it was not granted, made of plain numbers; pure, and tested by running it.

The kernel runs it at every open (and mknod) of a device by a process of the cell, with a context of three words: access and kind,
major number, minor number. It answers 0 for the files that are refused, and 1 for everything else.
"""

import struct
from collections.abc import Sequence

from aiosd.host.cells.limits import DeviceFile

BLOCK, CHARACTER = 1, 2  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
_KINDS = {"b": BLOCK, "c": CHARACTER}
_LOAD_WORD = 0x61  # BPF_LDX | BPF_MEM | BPF_W: dst = *(u32 *)(src + offset)
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_UNLESS_EQUAL = 0x55  # BPF_JMP | BPF_JNE | BPF_K
_MOVE = 0xB7  # BPF_ALU64 | BPF_MOV | BPF_K
_EXIT = 0x95
_CONTEXT, _KIND, _MAJOR, _MINOR, _ANSWER = 1, 2, 3, 4, 0  # registers
_OF_ONE_FILE = 5  # instructions


def instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """One of eight bytes, as struct bpf_insn has it."""
    return struct.pack("<BBhi", code, source << 4 | target, offset, value)


def program(denied: Sequence[DeviceFile]) -> bytes:
    """Refuses exactly these files."""
    start = [
        instruction(_LOAD_WORD, _KIND, _CONTEXT, 0),
        instruction(_AND, _KIND, value=0xFFFF),  # the upper half says what for
        instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4),
        instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8),
    ]
    end = [instruction(_MOVE, _ANSWER, value=1), instruction(_EXIT)]
    return b"".join([*start, *(part for file in denied for part in _refuse(file)), *end])


def _refuse(file: DeviceFile) -> list[bytes]:
    """On to what follows it, unless all three are those of the file."""
    return [
        instruction(_JUMP_UNLESS_EQUAL, _KIND, offset=_OF_ONE_FILE - 1, value=_KINDS[file.kind]),
        instruction(_JUMP_UNLESS_EQUAL, _MAJOR, offset=_OF_ONE_FILE - 2, value=file.major),
        instruction(_JUMP_UNLESS_EQUAL, _MINOR, offset=_OF_ONE_FILE - 3, value=file.minor),
        instruction(_MOVE, _ANSWER, value=0),
        instruction(_EXIT),
    ]
