"""The job's side of a task: `python -m aios._task DIRECTORY` calls the function and leaves what came of it."""

import os
import pickle
import sys
import traceback
from pathlib import Path

from aios._exchange import Exchange
from aios.errors import Preempted
from aios.run import PREEMPTED_STATUS


def main(directory: str) -> int:
    """0 when the function returned, 1 when it raised; the result or the exception is in the directory."""
    import cloudpickle

    exchange = Exchange(Path(directory))
    index = int(os.environ.get("AIOS_ARRAY_INDEX") or 0)
    exchange.forget_result(index)  # of an attempt before this one
    try:
        paths, function_bytes = pickle.loads(exchange.function())
        sys.path[:] = list(dict.fromkeys([*paths, *sys.path]))
        function = pickle.loads(function_bytes)
        args, kwargs = pickle.loads(exchange.call(index))
        result = cloudpickle.dumps(("returned", function(*args, **kwargs), ""))
    except Preempted:
        return PREEMPTED_STATUS
    except Exception as error:  # whatever the user's function raises belongs to the caller
        text = "".join(traceback.format_exception(type(error), error, _without_this_file(error)))
        sys.stderr.write(text)
        exchange.write_result(index, _raised(error, text))
        return 1
    exchange.write_result(index, result)
    return 0


def _raised(error: Exception, text: str) -> bytes:
    """The exception itself where it survives the journey there and back, else its text alone."""
    import cloudpickle

    try:
        packed: bytes = cloudpickle.dumps(("raised", error.with_traceback(None), text))
        pickle.loads(packed)
    except Exception:  # an exception's own pickling may raise anything
        return pickle.dumps(("unpicklable", f"{type(error).__qualname__}: {error}", text))
    return packed


def _without_this_file(error: Exception) -> "traceback.TracebackType | None":  # type: ignore[name-defined]
    first = error.__traceback__
    return first.tb_next or first if first is not None else None


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1]))
