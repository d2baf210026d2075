"""A user at the keyboard: a process of that user with an open client, which does what it is told line by line, and says what came of it."""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any

import aios
from aios.records import JobRecord

client = aios.Client(os.environ.get("AIOS_TARGET") or None, timeout=180.0, autostart=False)


def record(job: str) -> dict[str, Any]:
    """What the daemon says of a job, as plain values."""
    found = client.job(job, timeout=180.0)
    told = {one.name: plain(getattr(found, one.name)) for one in fields(JobRecord)}
    return {**told, "ended": found.ended}


def plain(value: Any) -> Any:
    """A record of the SDK as what JSON knows."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def submit(command: list[str] | str, **options: Any) -> str:
    return str(client.submit(command, **options).id)


def wait(job: str, timeout: float = 300.0) -> dict[str, Any]:
    """The record of the job when it has ended."""
    client.wait(job, timeout=timeout)
    return record(job)


class Pinger(threading.Thread):
    """Asks the daemon something small again and again: how long did it take at most?"""

    def __init__(self, pause_s: float = 0.3) -> None:
        super().__init__(daemon=True)
        self.took_s: list[float] = []
        self.errors: list[str] = []
        self._pause_s = pause_s
        self._over = threading.Event()
        self._own = aios.Client(os.environ.get("AIOS_TARGET") or None, timeout=180.0, autostart=False)

    def run(self) -> None:
        while not self._over.is_set():
            began_s = time.monotonic()
            try:
                self._own.queues(timeout=120.0)
            except aios.AiosError as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            self.took_s.append(time.monotonic() - began_s)
            self._over.wait(self._pause_s)

    def end(self) -> dict[str, Any]:
        self._over.set()
        self.join(180.0)
        return {"answers": len(self.took_s), "longest_s": round(max(self.took_s), 2), "errors": self.errors}


class Follower(threading.Thread):
    """`logs -f` of one job: every line that came."""

    def __init__(self, job: str) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self.over = ""
        self._job = job
        self.start()

    def run(self) -> None:
        try:
            for line in client.job(self._job).logs(follow=True):
                self.lines.append(str(line))
            self.over = "ended"
        except Exception as error:
            self.over = f"{type(error).__name__}: {error}"


def quietly(do: Callable[[], Any]) -> str:
    """ "" when it was done, else the class of the error: of the SDK or of the system."""
    try:
        do()
    except (aios.AiosError, OSError) as error:
        return type(error).__name__
    return ""


def obey(order: dict[str, Any], names: dict[str, Any]) -> Any:
    names.update(order["with"])
    try:
        code = compile(order["say"], "<order>", "eval")
    except SyntaxError:
        exec(compile(order["say"], "<order>", "exec"), names)
        return None
    return eval(code, names)


def main() -> None:
    names: dict[str, Any] = {**globals()}
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"got": obey(json.loads(line), names)}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error), "hint": getattr(error, "hint", ""), "trace": traceback.format_exc()}
        with suppress(BrokenPipeError):
            print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    main()
