"""The program `aiosd`: its arguments, its configuration, then the daemon; foreseeable errors end it with a sentence and a hint."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiosd import __version__, settings_file, settings_text
from aiosd.errors import AiosError, ConfigError
from aiosd.host.paths import SYSTEM, Places, user_places
from aiosd.settings_file import Loaded

DONE, FAILED, WRONG_USAGE = 0, 1, 2

EPILOG = """\
environment: AIOSD_SECTION__KEY=value sets any setting, and wins over the file (AIOSD_SCHEDULER__POLICY=fifo)
signals:     SIGTERM and SIGINT stop the daemon, running jobs go on; SIGHUP reloads the configuration
example:     aiosd --print-config > ~/.config/aios/aiosd.toml"""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 failed, 2 wrong usage or configuration."""
    options = _parser().parse_args(argv)
    try:
        return _perform(options)
    except ConfigError as error:
        return _complain(error, WRONG_USAGE)
    except AiosError as error:
        return _complain(error, FAILED)
    except BrokenPipeError:  # `aiosd --print-config | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiosd", description="The AIOS daemon, in the foreground.", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("verb", nargs="?", choices=["admin-check"], help="admin-check: look for damage in the database, change nothing; status 1 when there is")
    parser.add_argument("--config", metavar="FILE", help="the configuration file, instead of the usual one")
    parser.add_argument("--system", action="store_true", help="the machine's daemon: /etc/aios/aiosd.toml, /var/lib/aios, /run/aios, instead of the user's own")
    parser.add_argument("--state-directory", metavar="DIR", help="instead of daemon.state_directory")
    parser.add_argument("--print-config", action="store_true", help="print the configuration in force, with help, as a configuration file")
    parser.add_argument("--check-config", action="store_true", help="say what is wrong with the configuration; status 2 when something is")
    parser.add_argument("--version", action="version", version=f"aiosd {__version__}")
    return parser


def _perform(options: argparse.Namespace) -> int:
    places = SYSTEM if options.system else user_places(os.environ, os.getuid(), os.path.expanduser("~"))
    loaded = load(options, places)
    if options.print_config:
        sys.stdout.write(settings_text.render(loaded))
        return DONE
    if options.check_config:
        print(f"ok: {loaded.file or 'no configuration file, the defaults'}")
        return DONE
    if options.verb == "admin-check":
        return _admin_check(loaded)
    from aiosd import app  # gRPC, SQLAlchemy and NumPy: only now that they are needed

    return app.run(loaded, lambda: load(options, places))


def load(options: argparse.Namespace, places: Places) -> Loaded:
    """The configuration as the arguments, the environment and the file make it; read again at every reload."""
    command_line: dict[str, Any] = {}
    if options.state_directory is not None:
        command_line = {"daemon": {"state_directory": os.path.abspath(options.state_directory)}}
    file = Path(options.config) if options.config is not None else places.config_file
    loaded = settings_file.load(file, os.environ, places.defaults(), command_line, must_exist=options.config is not None)
    _check_policy(loaded)
    return replace(loaded, system=options.system)


def _check_policy(loaded: Loaded) -> None:
    """The names of policies are known where the policies are, above the configuration."""
    from aiosd.scheduling.registry import POLICIES

    if loaded.config.scheduler.policy not in POLICIES:
        origin = loaded.origins.get("scheduler.policy", "default")
        raise ConfigError(
            f"{origin}: scheduler.policy = {loaded.config.scheduler.policy!r} is not allowed: it must be one of {', '.join(map(repr, POLICIES))}",
            hint=settings_file.HINT,
        )


def _admin_check(loaded: Loaded) -> int:
    from aiosd.storage.check import check_database

    findings = check_database(loaded.config.database_url)
    for finding in findings:
        print(f"{finding.subject}: {finding.problem}")
    if not findings:
        print(f"ok: {settings_text.without_password(loaded.config.database_url)}")
    return FAILED if findings else DONE


def _complain(error: AiosError, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
