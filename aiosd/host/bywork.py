"""A process of its own for long work on bytes: low priority, asked and answered in frames over pipes, gone when nobody listens."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiosd
from aiosd.errors import Unavailable

_START = "import sys; sys.path.append({root!r}); from aiosd.host.bywork_child import main; main({program!r}, {patient!r})"
_ROOT = str(Path(aiosd.__file__).resolve().parent.parent)
_LENGTH_BYTES = 4
_MOST_BYTES = 1 << 30
_KEPT_BYTES = 8192  # of what it complains about


class Work:
    """One child at work. `send` and `frames` are for one task."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._to, self._from = process, process.stdin, process.stdout

    async def send(self, frame: bytes) -> None:
        """What a child that has ended does not take is told by `frames`."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._to.write(len(frame).to_bytes(_LENGTH_BYTES, "little") + frame)
            await self._to.drain()

    async def frames(self) -> AsyncGenerator[bytes, None]:
        """What it says, until it ends. Raises RuntimeError when it ends within a frame, or says too much."""
        while head := await self._exactly(_LENGTH_BYTES, may_end=True):
            length = int.from_bytes(head, "little")
            if length > _MOST_BYTES:
                raise RuntimeError(f"a child says {length} bytes at once")
            yield await self._exactly(length)

    async def _exactly(self, length: int, *, may_end: bool = False) -> bytes:
        try:
            return await self._from.readexactly(length)
        except asyncio.IncompleteReadError as error:
            if may_end and not error.partial:
                return b""
            raise RuntimeError("a child has ended in the middle of what it said") from None


@asynccontextmanager
async def working(program: str, *, patient: bool = False) -> AsyncIterator[Work]:
    """Start `program`, a module with `main() -> None` that speaks on descriptors 0 and 1; it is killed at the end of the block.

    patient   nobody waits for it
    raises    Unavailable when somebody else killed it, RuntimeError with its last words when it failed
    """
    words = [sys.executable, "-I", "-X", "utf8", "-c", _START.format(root=_ROOT, program=program, patient=patient)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*words, env=_environment(), cwd="/", start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe)
    hearing = asyncio.create_task(_last_of(process.stderr), name="hearing a child")
    try:
        yield Work(process)
        assert process.stdin is not None
        process.stdin.close()
        status = await process.wait()
        if status < 0:
            raise Unavailable("the work was ended from outside", hint="is memory short? Try again", signal=-status)
        if status:
            raise RuntimeError(f"a child of {program} ended with status {status}: {await hearing}")
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


def _environment() -> dict[str, str]:
    """Libraries that would take a thread for every processor take one."""
    kept = {name: value for name in ("PATH", "LD_LIBRARY_PATH", "LANG", "AIOSD_FAULT", "PYTHONDONTWRITEBYTECODE") if (value := os.environ.get(name))}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


async def _last_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    kept = b""
    while piece := await stream.read(_KEPT_BYTES):
        kept = (kept + piece)[-_KEPT_BYTES:]
    return kept.decode(errors="replace")
