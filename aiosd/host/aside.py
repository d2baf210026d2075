"""Work that must not slow the daemon: a child process of low priority and little memory, asked over pipes, one question each."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import aiosd
from aiosd import errors
from aiosd.errors import AiosError, Exhausted

_START = "import sys; sys.path.append({root!r}); from aiosd.host.aside_child import main; main({program!r}, {preload!r}, {memory_bytes}, {cpu_s})"
_LONGEST_LINE = 16 << 20
_KEPT_BYTES = 8192  # of what it complains about


class Aside:
    """`program` is a module with `main(source, sink) -> int`; `preload` are modules that it may come to need.

    memory_bytes, cpu_s    what one child may take; the kernel ends a child that takes more
    """

    def __init__(self, program: str, preload: tuple[str, ...], memory_bytes: int, cpu_s: int) -> None:
        root = str(Path(aiosd.__file__).resolve().parent.parent)
        command = _START.format(root=root, program=program, preload=preload, memory_bytes=memory_bytes, cpu_s=cpu_s)
        self._words = [sys.executable, "-I", "-X", "utf8", "-c", command]

    async def ask(self, request: Mapping[str, object], data: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, object]]:
        """The lines that the child answers, as they come; it is killed when this generator is closed.

        raises    what the child said went wrong, or whatever `data` raises; Exhausted when it was ended by a limit
        """
        process = await asyncio.create_subprocess_exec(
            *self._words, env=_environment(), cwd="/", start_new_session=True, limit=_LONGEST_LINE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        feeding = asyncio.create_task(_feed(process, request, data), name="feeding a child")
        complaint = asyncio.create_task(_last_of(process.stderr), name="hearing a child")
        try:
            async for line in _lines(process):
                yield line
            await feeding
            _check(await process.wait(), await complaint)
        finally:
            await _end(process, feeding, complaint)


def _environment() -> dict[str, str]:
    """One thread is enough, and the memory of others would count."""
    kept = {name: value for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if (value := os.environ.get(name))}
    return kept | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


async def _feed(process: asyncio.subprocess.Process, request: Mapping[str, object], data: AsyncIterator[bytes]) -> None:
    """Waits while the child does not read, so that nothing piles up here. Where the data fails, the child goes."""
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        async for piece in data:
            process.stdin.write(piece)
            await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return  # it has ended: its last line says why
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[Mapping[str, object]]:
    """Raises the error that the child says."""
    assert process.stdout is not None
    while text := await process.stdout.readline():
        line = json.loads(text)
        if "error" in line:
            raise _error_of(line["error"])
        yield line


def _error_of(said: Mapping[str, object]) -> Exception:
    found = getattr(errors, str(said.get("class")), None)
    if not (isinstance(found, type) and issubclass(found, AiosError)):
        return RuntimeError(str(said))
    facts = said.get("facts")
    raised = found(str(said.get("message")), hint=str(said.get("hint", "")))
    raised.facts = {str(name): str(value) for name, value in facts.items()} if isinstance(facts, dict) else {}
    return raised


async def _last_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    kept = b""
    while piece := await stream.read(_KEPT_BYTES):
        kept = (kept + piece)[-_KEPT_BYTES:]
    return kept.decode(errors="replace")


def _check(status: int, complaint: str) -> None:
    """Raises where the child did not end as it should."""
    if status < 0:
        raise Exhausted("it took more time or memory than it may, and was ended", hint="ask for less: fewer jobs, fewer set-ups", signal=-status)
    if status > 0:
        raise RuntimeError(f"the child ended with status {status}: {complaint}")


async def _end(process: asyncio.subprocess.Process, *tasks: "asyncio.Task[None] | asyncio.Task[str]") -> None:
    for task in tasks:
        task.cancel()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await asyncio.gather(*tasks, return_exceptions=True)
    await process.wait()
