"""The simulator as a program: a request on standard input (a line of JSON, then a trace), answers as lines of JSON on standard output.

The daemon runs it as a child, so that a simulation never slows it; see aiosd/host/aside.py.
"""

import json
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import BinaryIO

from aiosd.clock import SystemClock
from aiosd.errors import AiosError, InvalidArgument

VERBS = {"simulate": "aiosd.simulation.experiment:answer", "forecast": "aiosd.simulation.forecast:answer"}
"""Each is called with the request, what followed it, a function that says a line, and a steady clock in seconds."""

Answer = Callable[[Mapping[str, object], bytes, Callable[[Mapping[str, object]], None], Callable[[], float]], None]


def main(source: BinaryIO, sink: BinaryIO) -> int:
    """Answer one request; 0 when it was, else the last line is `{"error": ...}` and says why."""

    def say(line: Mapping[str, object]) -> None:
        sink.write(json.dumps(line).encode() + b"\n")
        sink.flush()

    clock = SystemClock()
    try:
        request = json.loads(source.readline())
        _answer(str(request.pop("verb", "")))(request, source.read(), say, lambda: clock.now().steady_s)
    except AiosError as error:
        say({"error": {"class": type(error).__name__, "message": str(error), "hint": error.hint, "facts": error.facts}})
        return 1
    except MemoryError:
        say({"error": {"class": "Exhausted", "message": "the simulation takes more memory than it may", "hint": "simulate fewer jobs: --jobs", "facts": {}}})
        return 1
    return 0


def _answer(verb: str) -> Answer:
    if verb not in VERBS:
        raise InvalidArgument(f"there is no verb {verb[:40]!r}", hint=f"there are {', '.join(VERBS)}")
    module, _, name = VERBS[verb].partition(":")
    found: Answer = getattr(import_module(module), name)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.stdin.buffer, sys.stdout.buffer))
