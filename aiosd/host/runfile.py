"""The run file: how a shim claims a run, writes down its end, and how a daemon bars it; standard library only, imports next to nothing.

A run file is 4096 bytes long from the first moment, so that its end can be written when the disk is full. It holds three
lines of JSON, each at a place of its own: the claim, the main process, the end. It appears under its name by link(2), whole
or not at all; whoever makes the name first, a shim that claims or a daemon that bars, has decided whether the run takes place.
"""

import os

VERSION = 1
SIZE_BYTES = 4096
MAIN_AT = 1024
END_AT = 2048
TEXT_LIMIT_BYTES = 1200  # of one string, so that a line never runs into the place of the next
VOID = b'{"void": true}\n'

Field = str | int | float | bool | None


def claim(path: str, fields: dict[str, Field]) -> int:
    """Make the run file with its first line; the descriptor of it. FileExistsError: the run is barred."""
    temporary = f"{path}.{os.getpid()}.new"
    fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(fd, line(fields).ljust(SIZE_BYTES, b"\0"))
        os.link(temporary, path)
    except OSError:
        os.close(fd)
        raise
    finally:
        os.unlink(temporary)
    return fd


def record(fd: int, at: int, fields: dict[str, Field]) -> None:
    """Write a line of the run file at its place, in one write."""
    os.pwrite(fd, line(fields), at)


def bar(path: str) -> bool:
    """Make sure that this run never begins; False when a shim has claimed it before."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        os.write(fd, VOID)
    except OSError:
        return True  # a full disk: the empty file bars as well
    finally:
        os.close(fd)
    return True


def line(fields: dict[str, Field]) -> bytes:
    """One line of JSON; the json module would cost each shim a megabyte."""
    return ("{" + ", ".join(f'"{name}": {_json(value)}' for name, value in fields.items()) + "}\n").encode()


def start_ticks(pid: int | str) -> int:
    """When a process started, in clock ticks since boot: with its pid, its identity. ProcessLookupError when there is none."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ProcessLookupError(f"no process {pid}") from None
    try:
        return int(os.read(fd, 1024).rpartition(b")")[2].split()[19])
    finally:
        os.close(fd)


def boot_id() -> str:
    """Names this boot of the machine."""
    fd = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 64).decode().strip()
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    """A disk that is nearly full takes a part, and says so only at the next write."""
    while data:
        data = data[os.write(fd, data) :]


def _json(value: Field) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    """A JSON string; at most TEXT_LIMIT_BYTES of it."""
    parts: list[str] = []
    length = 0
    for character in value:
        code = ord(character)
        part = character if 0x20 <= code < 0x7F and character not in '"\\' else _escape(code)
        length += len(part)
        if length > TEXT_LIMIT_BYTES:
            break
        parts.append(part)
    return '"' + "".join(parts) + '"'


def _escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
