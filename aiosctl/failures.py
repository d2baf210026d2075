"""Exit statuses, and how an error is told: `error:` and `hint:` on stderr, never a traceback."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import click

from aiosctl.output import escaped

if TYPE_CHECKING:
    from aios.errors import AiosError

DONE, FAILED, USAGE, NOT_FOUND, DENIED, UNREACHABLE = range(6)
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_NO_WORDS: type[Exception] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())  # older ones of click print the help themselves
BROKEN_PIPE = 141  # 128 + SIGPIPE: what `yes | head` leaves behind


class WrongUsage(click.UsageError):
    """The command line itself is wrong; `hint` says how to write it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Refused(click.ClickException):
    """The request failed for a reason found on this side; `exit_code` as in the table of exit statuses."""

    def __init__(self, message: str, hint: str = "", status: int = FAILED) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status


def tell(message: str, hint: str = "") -> None:
    """Print an error for a person; control characters in it are shown, not obeyed."""
    print(f"error: {_one_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {_one_line(hint)}", file=sys.stderr)


def warn(message: str) -> None:
    print(f"warning: {_one_line(message)}", file=sys.stderr)


def hint_about(message: str) -> None:
    """Something worth knowing beside what was asked for: to people only, never into what a program reads."""
    if message and sys.stderr.isatty():
        print(f"hint: {_one_line(message)}", file=sys.stderr)


def status_of(error: "AiosError") -> int:
    """The exit status for an error of the SDK."""
    from aios import errors

    for kind, status in ((errors.NotFound, NOT_FOUND), (errors.Denied, DENIED), (errors.Unavailable, UNREACHABLE)):
        if isinstance(error, kind):
            return status
    return FAILED


def leave(status: int) -> NoReturn:
    """End the command with this status."""
    raise click.exceptions.Exit(status)


def guarded(command: Callable[[], object]) -> int:
    """Run `command`, tell its error if it has one, and say with which status to exit."""
    if os.environ.get("AIOS_DEBUG", "") not in ("", "0"):
        return _status(command())
    try:
        status = _status(command())
        sys.stdout.flush()
        return status
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        return _tell_usage(error)
    except click.ClickException as error:
        tell(error.format_message(), getattr(error, "hint", ""))
        return getattr(error, "status", error.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        forget_output()
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last line of defence of a program: everything else is told in two lines
        return _tell_other(error)


def _status(result: object) -> int:
    return result if isinstance(result, int) else DONE


def _tell_usage(error: click.UsageError) -> int:
    if error.ctx and isinstance(error, _NO_WORDS):
        print(error.ctx.get_help())
        return DONE
    path = error.ctx.command_path if error.ctx else "aiosctl"
    tell(error.format_message().rstrip("."), getattr(error, "hint", "") or f"see `{path} --help`")
    return USAGE


def _tell_other(error: Exception) -> int:
    from aios.errors import AiosError

    if isinstance(error, AiosError):
        tell(str(error), error.hint)
        return status_of(error)
    if isinstance(error, OSError):
        tell(f"{error.filename}: {error.strerror}" if error.filename else f"input or output failed: {error.strerror or error}")
        return FAILED
    tell(f"aiosctl itself failed: {type(error).__name__}: {error}", "set AIOS_DEBUG=1 to see where, and report it")
    return FAILED


def _one_line(text: str) -> str:
    return "\n  ".join(escaped(line) for line in text.splitlines())


def forget_output() -> None:
    """Nobody reads stdout any more: point it at nothing, so that the interpreter's last flush is quiet."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
