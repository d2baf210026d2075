"""How the daemon logs: events with fields, for people on a terminal, as JSON lines elsewhere; secrets are struck out.

Every line has timestamp (ISO 8601, UTC), level, logger and event; what concerns a job has `job` with its id. Messages of
libraries, which use the standard library's logging, take the same road. A busy daemon logs thousands of lines a second, so
its own events go straight from structlog to the file descriptor (about 15 µs; by way of `logging` it would be 180).
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import msgspec
import structlog

_SECRET_NAME = re.compile(r"password|passwd|secret|token|api_?key|credential|^environment$", re.IGNORECASE)
_SECRET_IN_URL = re.compile(r"(://[^:/@\s]*):[^@/\s]+@")
STRUCK = "***"
LIBRARIES = ("alembic", "asyncio", "grpc", "psycopg", "sqlalchemy")
_SEVERITY = logging.getLevelNamesMapping()

Fields = MutableMapping[str, Any]

_secret_names: dict[str, bool] = {}
_threshold = logging.INFO


class _Line:
    """Where structlog's rendered events go; one for each name of a logger."""

    __slots__ = ("critical", "debug", "error", "info", "name", "warning")

    def __init__(self, name: str, write: Callable[[str], None]) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = write


def configure(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Set the one way out of all messages, before the first of them.

    level       debug, info, warning, error
    log_format  auto: console where `stream` is a terminal, else json
    stream      standard error when not given: standard output belongs to what was asked for, like `--print-config`
    """
    out = sys.stderr if stream is None else stream
    write = _writer(out)
    described: list[structlog.types.Processor] = [
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = log_format == "console" or (log_format == "auto" and out.isatty())
    rendered = _for_people(out.isatty()) if console else [structlog.processors.format_exc_info, strike_secrets, _as_json]
    structlog.configure(
        processors=[_drop_unwanted, *described, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda name="aiosd": _Line(name, write),
        cache_logger_on_first_use=True,
    )
    handler = _OneWayOut(write)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=described, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered])
    )
    logging.getLogger().handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """The least severe message that is logged from now on. Libraries are held to warnings: their details are not ours."""
    global _threshold  # noqa: PLW0603  # there is one way out, and one level
    _threshold = _SEVERITY[level.upper()]
    logging.getLogger().setLevel(_threshold)
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(max(logging.WARNING, _threshold))


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A module's logger: `log = logger(__name__)`; `log.info("job started", job=str(job.id))`."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return bound


def strike_secrets(_logger: object, _method: str, fields: Fields) -> Fields:
    """Without the values of fields that are named like secrets, and without passwords in URLs."""
    for name, value in fields.items():
        if _is_secret(name):
            fields[name] = STRUCK
        elif isinstance(value, str) and "://" in value:
            fields[name] = _SECRET_IN_URL.sub(rf"\1:{STRUCK}@", value)
    return fields


def _is_secret(name: str) -> bool:
    known = _secret_names.get(name)
    if known is None:
        known = _secret_names[name] = _SECRET_NAME.search(name) is not None
    return known


def _drop_unwanted(_logger: object, method: str, fields: Fields) -> Fields:
    if _SEVERITY[method.upper()] < _threshold:
        raise structlog.DropEvent
    return fields


def _as_json(_logger: object, _method: str, fields: Fields) -> str:
    first = {name: fields.pop(name) for name in ("timestamp", "level", "logger", "event") if name in fields}
    try:
        return msgspec.json.encode({**first, **fields}, enc_hook=str).decode()
    except UnicodeEncodeError:  # a path or a name that is no UTF-8
        return json.dumps({**first, **fields}, default=str)


def _for_people(colours: bool) -> list[structlog.types.Processor]:
    return [strike_secrets, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]


def _writer(out: TextIO) -> Callable[[str], None]:
    """One write for each line. A log that cannot be written, on a full disk, must not stop the daemon."""
    try:
        out.fileno()
    except (OSError, ValueError):

        def write_text(line: str) -> None:
            out.write(line + "\n")

        return write_text

    def write(line: str) -> None:
        with suppress(OSError, ValueError):
            os.write(out.fileno(), (line + "\n").encode("utf-8", "replace"))

    return write


class _OneWayOut(logging.Handler):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self.format(record))
