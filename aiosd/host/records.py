"""What a daemon reads in a run file: who claimed the run, its main process, and how it ended."""

import json
import os
from dataclasses import dataclass

import msgspec

from aiosd.host import runfile
from aiosd.jobs.job import Exit
from aiosd.resources.usage import Usage

_USAGE = Usage.__slots__


@dataclass(frozen=True, slots=True)
class RunRecord:
    """`void`: a daemon has barred the run. Pids are 0 where they are not recorded."""

    void: bool = False
    shim_pid: int = 0
    shim_start_ticks: int = 0
    boot_id: str = ""
    started_at_s: float = 0.0
    started_steady_s: float = 0.0
    main_pid: int = 0
    spawned_steady_s: float = 0.0
    cell: str = ""  # the control group through which all processes of the run are reached
    end: Exit | None = None


def read_run(path: str | os.PathLike[str]) -> RunRecord | None:
    """None when there is no such run file. An empty one is void: only a bar on a full disk leaves it so."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        data = os.read(fd, runfile.SIZE_BYTES)
    finally:
        os.close(fd)
    claim = _line(data[: runfile.MAIN_AT])
    if "shim_pid" not in claim:
        return RunRecord(void=True)
    main = _line(data[runfile.MAIN_AT : runfile.END_AT])
    end = _line(data[runfile.END_AT :])
    return RunRecord(
        False, int(claim["shim_pid"]), int(claim["shim_start_ticks"]), str(claim["boot_id"]), float(claim["started_at"]),
        float(claim["started_steady"]), int(main.get("pid", 0)), float(main.get("spawned_steady", 0.0)),
        str(claim.get("cell", "")), _exit(end) if end else None,
    )  # fmt: skip


def _line(data: bytes) -> dict[str, str | int | float]:
    """The JSON object at the beginning of `data`; empty when it is not there, or not complete."""
    text, newline, _ = data.partition(b"\n")
    if not newline or not text.startswith(b"{"):
        return {}
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        found = _lenient(text)
    return found if isinstance(found, dict) else {}


def _lenient(text: bytes) -> object:
    """Half of a surrogate pair, from a file name that is no UTF-8, is not JSON to msgspec; json takes it."""
    try:
        return json.loads(text)
    except ValueError:
        return {}


def _exit(end: dict[str, str | int | float]) -> Exit:
    error = str(end.get("error", ""))
    return Exit(
        ended_at_s=float(end["ended_at"]),
        exit_code=int(end["exit_code"]) if "exit_code" in end else None,
        signal=int(end["signal"]) if "signal" in end else None,
        core_dumped=bool(end.get("core_dumped", False)),
        oom_killed=bool(end["oom_killed"]) if "oom_killed" in end else None,
        error=error,
        usage=_usage(end),
        run_s=float(end["run_s"]),
    )  # fmt: skip


def _usage(end: dict[str, str | int | float]) -> Usage:
    """A shim of an older version counted less."""
    counted = {name: float(end.get(name, 0)) if name.endswith("_s") else int(end.get(name, 0)) for name in _USAGE}
    return Usage(**counted)  # type: ignore[arg-type]  # seconds are fractions, everything else is whole
