"""The bpf system call, as far as a device program needs it: load, attach; by ctypes, because no library that is kept up does it."""

import ctypes
import errno
import os

_PROG_LOAD, _PROG_ATTACH = 5, 8  # enum bpf_cmd
_TYPE_CGROUP_DEVICE = 15  # enum bpf_prog_type
_ATTACH_CGROUP_DEVICE = 6  # enum bpf_attach_type
_ALLOW_MULTI = 2  # beside what a service manager or container runtime has attached above: all of them must agree
_NUMBERS = {"x86_64": 321, "aarch64": 280, "ppc64le": 361, "s390x": 351, "riscv64": 280}
_INSTRUCTION_BYTES = 8


class _Load(ctypes.Structure):
    _fields_ = (
        ("prog_type", ctypes.c_uint32), ("insn_cnt", ctypes.c_uint32), ("insns", ctypes.c_uint64), ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32), ("log_size", ctypes.c_uint32), ("log_buf", ctypes.c_uint64), ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32), ("prog_name", ctypes.c_char * 16), ("prog_ifindex", ctypes.c_uint32), ("expected_attach_type", ctypes.c_uint32),
    )  # fmt: skip


class _Attach(ctypes.Structure):
    _fields_ = (
        ("target_fd", ctypes.c_uint32), ("attach_bpf_fd", ctypes.c_uint32), ("attach_type", ctypes.c_uint32), ("attach_flags", ctypes.c_uint32),
        ("replace_bpf_fd", ctypes.c_uint32),
    )  # fmt: skip


def attach(program: bytes, directory: str) -> None:
    """Load a device program and attach it to a control group of v2; it lives as long as the group. Raises OSError."""
    loaded = load(program)
    try:
        group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _call(_PROG_ATTACH, _Attach(group, loaded, _ATTACH_CGROUP_DEVICE, _ALLOW_MULTI, 0))
        finally:
            os.close(group)
    finally:
        os.close(loaded)


def load(program: bytes) -> int:
    """A descriptor of the program, once the kernel has verified it. Raises OSError."""
    instructions = ctypes.create_string_buffer(program, len(program))
    free = ctypes.create_string_buffer(b"GPL")
    size = len(program) // _INSTRUCTION_BYTES
    return _call(_PROG_LOAD, _Load(_TYPE_CGROUP_DEVICE, size, ctypes.addressof(instructions), ctypes.addressof(free), prog_name=b"aios_devices"))


def _call(command: int, attributes: ctypes.Structure) -> int:
    number = _NUMBERS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    libc = ctypes.CDLL(None, use_errno=True)
    answer: int = libc.syscall(ctypes.c_long(number), ctypes.c_int(command), ctypes.byref(attributes), ctypes.c_uint(ctypes.sizeof(attributes)))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
