"""The program `aiosd`: its arguments, its configuration, then the daemon; foreseeable errors end it with a sentence and a hint."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiosd import __version__, settings_file, settings_text
from aiosd.errors import AiosError, AlreadyRunning, ConfigError, FailedPrecondition, StorageCorrupt
from aiosd.host.paths import SYSTEM, Places, user_places
from aiosd.settings_file import Loaded

DONE, FAILED, WRONG_USAGE, NEEDS_A_PERSON = 0, 1, 2, 3

VERBS = {
    "admin-check": "look for damage in the state directory; status 1 when there is",
    "admin-backup": "back it up into FILE",
    "admin-restore": "put the backup FILE in place; no daemon may run",
}
# gRPC starts its threads anew in whatever a process forks, and there they sometimes crash, before another program has taken its place: so died one in a hundred
# of those that ask a job's directory as the job's user. The daemon never forks to go on as itself. gRPC looks at this when it is imported, which comes later.
FORKS = "GRPC_ENABLE_FORK_SUPPORT"
EPILOG = """\
environment: AIOSD_SECTION__KEY=value sets any setting, and wins over the file (AIOSD_SCHEDULER__POLICY=fifo)
signals:     SIGTERM and SIGINT stop the daemon, running jobs go on; SIGHUP reloads the configuration
example:     aiosd --print-config > ~/.config/aios/aiosd.toml"""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 no restart will help; the units of systemd know 2 and 3."""
    os.environ.setdefault(FORKS, "0")
    words = list(sys.argv[1:] if argv is None else argv)
    options = None if words[:1] == ["admin-tls"] else _parser().parse_intermixed_args(words)
    try:
        return _admin_tls(words[1:]) if options is None else _perform(options)
    except ConfigError as error:
        return _complain(error, WRONG_USAGE)
    except AiosError as error:
        return _complain(error, _status_of(error, options is not None and options.verb is None))
    except BrokenPipeError:  # `aiosd --print-config | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _status_of(error: AiosError, is_daemon: bool) -> int:
    """Another daemon may end, a disk may be mounted, a server may come up: for those a daemon is tried again."""
    lasting = isinstance(error, StorageCorrupt | FailedPrecondition) and not isinstance(error, AlreadyRunning)
    return NEEDS_A_PERSON if is_daemon and lasting else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aiosd", description="The AIOS daemon, in the foreground.", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("verb", nargs="?", choices=list(VERBS), help="; ".join(f"{name}: {summary}" for name, summary in VERBS.items()))
    parser.add_argument("file", nargs="?", metavar="FILE", help="of admin-backup, a new one; of admin-restore, a backup")
    parser.add_argument("--repair", action="store_true", help="of admin-check: mend what can be, and say what was done")
    parser.add_argument("--force", action="store_true", help="of admin-restore: also into a state directory that is used; what is there is moved aside")
    parser.add_argument("--without-models", action="store_true", help="of admin-backup and admin-restore: without the bytes of models and datasets")
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
    if options.verb is not None:
        return _maintain(options, loaded)
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


def _maintain(options: argparse.Namespace, loaded: Loaded) -> int:
    """What is done to the state directory without a daemon."""
    from aiosd import upkeep

    config = loaded.config
    if options.verb == "admin-check":
        return _admin_check(loaded, options.repair)
    if options.file is None:
        raise ConfigError(f"{options.verb} needs the name of a file", hint=f"for example: aiosd {options.verb} /var/backups/aios.tar.gz")
    if options.verb == "admin-backup":
        done = upkeep.write_backup(config, os.path.abspath(options.file), models=not options.without_models)
        print(f"ok: {done.path}: {done.jobs} jobs, {done.bytes} bytes, sha256 {done.sha256}")
        if done.models_bytes:
            print(f"    {done.path}.models: {done.models_bytes} bytes, {done.models_new_bytes} of them new")
        if done.models_lost:
            print(f"    {done.models_lost} files of the store of models are gone, and not in it: aiosctl admin check")
    else:
        manifest = upkeep.restore(config, os.path.abspath(options.file), force=options.force, models=not options.without_models)
        print(f"ok: {manifest.jobs} jobs as they were on {manifest.hostname} at {_time(manifest.made_at_s)}, in {config.daemon.state_directory}")
    return DONE


def _admin_check(loaded: Loaded, repair: bool) -> int:
    from aiosd import upkeep

    found = upkeep.check_offline(loaded.config, repair)
    for one in found.findings:
        print(f"{one.subject}: {one.problem}" + (f"; {'repaired' if one.repaired else 'not repaired'}: {one.action}" if one.action else ""))
    if not found.findings:
        print(f"ok: {settings_text.without_password(loaded.config.database_url)} and what lies beside it: {found.checked} things")
    return DONE if all(one.repaired for one in found.findings) else FAILED


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(" ", "seconds")


def _admin_tls(words: Sequence[str]) -> int:
    from aiosd import tls_command

    options = tls_command.parser().parse_args(words)
    places = SYSTEM if options.system else user_places(os.environ, os.getuid(), os.path.expanduser("~"))
    file = Path(options.config) if options.config is not None else places.config_file
    config = settings_file.load(file, os.environ, places.defaults(), must_exist=options.config is not None).config
    print("\n".join(tls_command.perform(options, config)))
    return DONE


def _complain(error: AiosError, status: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
