"""`daemon install` and `daemon uninstall`: the service's files from the installed package to where the machine looks for them."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import click

from aiosctl import placing
from aiosctl.failures import DENIED, Refused, WrongUsage
from aiosctl.lazy import verb
from aiosctl.placing import Call, Link, Put, Step, TakeAway, TakeEmpty, TakeTree

FILES = Path(__file__).parent / "systemd"
UNIT = "aiosd.service"
SHELLS = {
    "bash": "bash-completion/completions/aiosctl",
    "zsh": "zsh/site-functions/_aiosctl",
    "fish": "fish/vendor_completions.d/aiosctl.fish",
}
STATE, RUNTIME, CONFIG = "/var/lib/aios", "/run/aios", "/etc/aios"


class Place:
    """Where things go: below /usr/local and /etc of `root` for the machine, below the home directory for one user.

    Not /etc/systemd/system: what lies there is an administrator's, and `systemctl edit --full` and `mask` write to it.
    """

    def __init__(self, root: Path, home: Path | None = None) -> None:
        self.root = root
        self.share = home / ".local/share" if home else root / "usr/local/share"
        self.units = self.share / "systemd/user" if home else root / "usr/local/lib/systemd/system"
        self.record = self.share / "aios/installed"
        self.of_user = home is not None

    @property
    def live(self) -> bool:
        """Whether this is the machine that runs here, with its systemd; not an image, not a container without one."""
        return self.root == Path("/") and Path("/run/systemd/system").is_dir()

    def systemctl(self, *words: str, optional: bool = False) -> Call:
        return Call(("systemctl", *(["--user"] if self.of_user else []), *words), optional)


def _whose(function: click.decorators.FC) -> click.decorators.FC:
    """The options that `install` and `uninstall` share."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
        click.option("--root", type=click.Path(path_type=Path), default=Path("/"), metavar="DIR", help="With --system: an image or a test, not this machine."),
        click.option("--user", "whose", flag_value="user", help="The daemon of your own, as a unit of your session."),
        click.option("--system", "whose", flag_value="system", help="The machine's daemon, for all of its users; needs root."),
    ):
        function = option(function)
    return function


@verb("sudo /opt/aios/bin/aiosctl daemon install --system --enable --now", "aiosctl daemon install --system --dry-run", "aiosctl daemon install --user")
@_whose
@click.option("--enable", is_flag=True, help="Start it with the machine (--user: with your session).")
@click.option("--now", is_flag=True, help="With --enable: start it at once too; one that runs is restarted, its jobs go on.")
def install(whose: str | None, root: Path, dry_run: bool, enable: bool, now: bool) -> None:
    """Put the unit, groups, a first configuration and shell completions in place, from the installed package.

    What is up to date is left alone, and so is an existing /etc/aios/aiosd.toml: after an upgrade, run it again.
    """
    if now and not enable:
        raise WrongUsage("--now is for --enable", "write: aiosctl daemon install --system --enable --now")
    place = _place(whose, root, dry_run)
    program = _program(place)
    placing.perform(installation(place, program, enable=enable, now=now), dry_run=dry_run)
    if not dry_run and not place.live:
        print("systemd does not run here: nothing was started")


@verb("sudo aiosctl daemon uninstall --system", "sudo aiosctl daemon uninstall --system --purge --yes", "aiosctl daemon uninstall --user")
@_whose
@click.option("--purge", is_flag=True, help=f"With --system: remove {CONFIG}, {STATE} and {RUNTIME} too: configuration, jobs, their outputs.")
@click.option("--yes", is_flag=True, help="Do not ask whether to purge.")
def uninstall(whose: str | None, root: Path, dry_run: bool, purge: bool, yes: bool) -> None:
    """Stop the daemon and remove exactly what `install` put in place. Jobs that run go on; groups stay.

    A file that was changed since is kept, and named.
    """
    place = _place(whose, root, dry_run)
    if purge and place.of_user:
        raise WrongUsage("--purge is for --system", "remove ~/.config/aios and ~/.local/state/aios yourself")
    if purge and not dry_run:
        _may_purge(place, yes)
    placing.perform(removal(place, purge=purge), dry_run=dry_run)


def installation(place: Place, program: str, *, enable: bool, now: bool) -> Iterator[Step]:
    """Every step, in order. What an older version put elsewhere goes; the record comes before what it names, in case of an interruption."""
    puts = list(_files(place, program))
    yield from (old for old in placing.recorded(place.record, place.root) if old.path not in {put.path for put in puts})
    yield Put(place.record, placing.record_of([put for put in puts if not put.keep], place.root))
    yield from puts
    if place.live:
        if not place.of_user:
            yield Call(("systemd-sysusers", str(place.root / "usr/local/lib/sysusers.d/aios.conf")), optional=True)
            yield Call(("systemd-tmpfiles", "--create", str(place.root / "usr/local/lib/tmpfiles.d/aios.conf")), optional=True)
        yield place.systemctl("daemon-reload")
        if enable:
            yield place.systemctl("enable", UNIT)
        if now:
            yield place.systemctl("restart", UNIT)
    elif enable:
        yield _enabling(place)


def removal(place: Place, *, purge: bool) -> Iterator[Step]:
    if place.live:
        yield place.systemctl("disable", "--now", UNIT, optional=True)
    else:
        yield TakeAway(_enabling(place).path)
    yield from placing.recorded(place.record, place.root)
    yield TakeAway(place.record)
    yield TakeEmpty(place.record.parent)
    if purge:
        yield from (TakeTree(place.root / directory.lstrip("/")) for directory in (CONFIG, STATE, RUNTIME))
    elif not place.of_user:
        yield TakeEmpty(place.root / RUNTIME.lstrip("/"))  # where it is, clients expect the machine's daemon
    if place.live:
        yield place.systemctl("daemon-reload")


def _files(place: Place, program: str) -> Iterator[Put]:
    unit = FILES / ("user" if place.of_user else "") / UNIT
    yield Put(place.units / UNIT, with_program(unit.read_text(encoding="utf-8"), program))
    if not place.of_user:
        lib = place.root / "usr/local/lib"
        yield Put(lib / "sysusers.d/aios.conf", (FILES / "sysusers.conf").read_text(encoding="utf-8"))
        yield Put(lib / "tmpfiles.d/aios.conf", (FILES / "tmpfiles.conf").read_text(encoding="utf-8"))
        yield Put(place.root / "etc/aios/aiosd.toml", (FILES / "aiosd.toml").read_text(encoding="utf-8"), keep=True)
    for shell, where in SHELLS.items():
        yield Put(place.share / where, _completion(shell))


def _completion(shell: str) -> str:
    """As `aiosctl completion SHELL` prints it."""
    from aiosctl.cli import root
    from aiosctl.completion import script

    return script(shell, root)


def with_program(unit: str, program: str) -> str:
    """The unit, with `program` where it names aiosd."""
    lines = []
    for line in unit.splitlines():
        key, equals, command = line.partition("=")
        if key in ("ExecStart", "ExecReload") and command.partition(" ")[0].endswith("/aiosd"):
            line = f"{key}{equals}{program} {command.partition(' ')[2]}".rstrip()
        lines.append(line)
    return "\n".join(lines) + "\n"


def _program(place: Place) -> str:
    """The aiosd beside this aiosctl, as systemd takes it; below `--root`, as it will be called from there."""
    script = Path(sysconfig.get_path("scripts"), "aiosd")
    command = [script] if os.access(script, os.X_OK) else [Path(sys.executable)]
    if place.live and not place.of_user:
        _check_owner(command[0])
    if place.root != Path("/") and command[0].is_relative_to(place.root):
        command = [Path("/") / command[0].relative_to(place.root)]
    words = [str(command[0]), *([] if command[0].name == "aiosd" else ["-m", "aiosd"])]
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    """One word of a command line of systemd: `%` and `$` mean something there."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{word}"' if " " in word or '"' in word else word


def _check_owner(program: Path) -> None:
    """Whoever can replace the program, or a directory above it, becomes root at the next start."""
    for part in (program.resolve(), *program.resolve().parents):
        found = part.stat()
        if found.st_uid != 0 or (found.st_mode & 0o022 and not found.st_mode & 0o1000):
            raise Refused(
                f"{program} must not run as root: {part} can be written by others than root",
                "install it where only root writes, for example: python3 -m venv /opt/aios && /opt/aios/bin/pip install aiosd",
                DENIED,
            )


def _place(whose: str | None, root: Path, dry_run: bool) -> Place:
    if whose is None:
        raise WrongUsage("whose daemon?", "write --system for the machine's, or --user for your own")
    if whose == "user":
        if root != Path("/"):
            raise WrongUsage("--root is for --system", "leave it out")
        return Place(Path("/"), Path.home())
    if root == Path("/") and os.geteuid() != 0 and not dry_run:
        raise Refused("the machine's service can be installed and removed by root only", "run it with sudo, or write --user for a daemon of your own", DENIED)
    return Place(root.absolute())


def _enabling(place: Place) -> Link:
    """What `systemctl enable` would make, where no systemctl runs."""
    if place.of_user:
        return Link(place.units.parents[2] / ".config/systemd/user/default.target.wants" / UNIT, str(place.units / UNIT))
    return Link(place.root / "etc/systemd/system/multi-user.target.wants" / UNIT, f"/usr/local/lib/systemd/system/{UNIT}")


def _may_purge(place: Place, yes: bool) -> None:
    """Refuse while jobs run, whose files would go away under them; then ask."""
    state = place.root / STATE.lstrip("/")
    if place.root == Path("/") and (running := list(living_shims(state))):
        raise Refused(f"{len(running)} jobs still run, and --purge would remove their files", "cancel them first: aiosctl cancel JOB…, or aiosctl ps")
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("--purge removes configuration, jobs and their outputs for good, and nobody can be asked here", "add --yes when that is what you want")
    click.confirm(f"Remove {CONFIG} and {STATE} with all jobs and outputs for good?", abort=True)


def living_shims(state: Path) -> Iterator[int]:
    """The processes that supervise a run whose file lies below this state directory."""
    import json

    try:
        names = sorted((state / "runs").iterdir())
    except OSError:
        return
    for file in names:
        try:
            claim = json.loads(file.read_bytes()[:1024].partition(b"\n")[0])
            pid = int(claim["shim_pid"])
            ticks = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
            if ticks == claim["shim_start_ticks"]:
                yield pid
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a bar, a fifo, a script; or it has ended
