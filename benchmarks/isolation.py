"""What a job pays for its control group, its user and its namespaces beside a bare shim; what looking after running jobs costs."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aios
from benchmarks import accounting, machine, options
from benchmarks.accounting import Account
from benchmarks.daemon import PrivateDaemon, private_daemon
from benchmarks.report import Report

_DESCRIPTION = "Jobs a second and CPU time a job, with and without isolation; rounds take turns. What the daemon uses while jobs only run."
_TRUE = "/bin/true"
_NOBODY = 65534  # who submits where jobs run as their users
_LASTING = Path("/var/lib")  # a job with a /tmp of its own sees nothing of what is below the machine's
_SETTLE_S = 2.0
_BARE = {"CGROUPS": "off", "RUN_AS_USER": "off", "WATCHDOG_PERIOD_S": "0"}


@dataclass(frozen=True, slots=True)
class Variant:
    """`settings` of the section isolation; `as_user`: jobs are submitted by another user than root."""

    what: str
    settings: Mapping[str, str]
    as_user: bool = False


VARIANTS = {
    "bare": Variant("a bare shim", _BARE),
    "group": Variant("with a control group", _BARE | {"CGROUPS": "auto"}),
    "user": Variant("as its user", _BARE | {"RUN_AS_USER": "on"}, as_user=True),
    "tmp": Variant("as its user, with a private /tmp", _BARE | {"RUN_AS_USER": "on", "PRIVATE_TMP": "true"}, as_user=True),
    "all": Variant("control group, user, private /tmp", {"CGROUPS": "auto", "RUN_AS_USER": "on", "PRIVATE_TMP": "true"}, as_user=True),
}
WATCHED = {"group": "by control groups", "measured": "without control groups: measured"}


@dataclass(slots=True)
class Bench:
    """A daemon of one variant, and what each round gave."""

    variant: Variant
    daemon: PrivateDaemon
    account: Account | None
    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def round(self, count: int) -> None:
        with self.daemon.client() as client:
            with acting(self.variant.as_user):
                client.queues()  # connected
            used_s, began_s = self._cpu_s(), time.perf_counter()  # only root may look
            with acting(self.variant.as_user):
                array = client.submit([_TRUE], array=f"0-{count - 1}", memory="16M", cwd="/", env={}, inherit_env=False)
                ended = client.wait(array.id)
            took_s = time.perf_counter() - began_s
        if ended.state is not aios.State.SUCCEEDED:
            raise RuntimeError(f"an array {self.variant.what} ended as {ended.state} ({ended.reason}): this is no measurement")
        self.rates.append(count / took_s)
        self.cpu_ms.append((self._cpu_s() - used_s) * 1e3 / count)

    def _cpu_s(self) -> float:
        return self.account.cpu_s() if self.account else 0.0


@contextmanager
def acting(as_user: bool) -> Iterator[None]:
    """What is called meanwhile is called by `nobody`, who is another user than root."""
    if as_user:
        os.setegid(_NOBODY)
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if as_user:
            os.seteuid(0)
            os.setegid(0)


def possible(keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """Those that this user can measure, and a note for each that was left out."""
    root = os.geteuid() == 0
    chosen = [key for key in keys if root or not VARIANTS[key].as_user]
    return chosen, [f"{VARIANTS[key].what}: left out, it needs root" for key in keys if key not in chosen]


@contextmanager
def benches(keys: Sequence[str], state_in: Path | None) -> Iterator[dict[str, Bench]]:
    """A daemon for each, all of them live, so that rounds can take turns."""
    with ExitStack() as opened:
        made = {}
        for key in keys:
            account = opened.enter_context(accounting.account())
            made[key] = Bench(VARIANTS[key], opened.enter_context(_daemon(VARIANTS[key].settings, state_in, account)), account)
        yield made


@contextmanager
def _daemon(isolation: Mapping[str, str], state_in: Path | None, account: Account | None) -> Iterator[PrivateDaemon]:
    """For every user of the machine, who can reach its socket."""
    settings = {f"AIOSD_ISOLATION__{name}": value for name, value in isolation.items()} | {"AIOSD_DAEMON__USERS": "all"}
    root_in = _LASTING if os.geteuid() == 0 else None
    with private_daemon(settings, state_in, through=account.entering if account else (), start=False, root_in=root_in) as daemon:
        for directory in {daemon.root, daemon.root / "run", daemon.state.parent.parent, daemon.state.parent}:
            directory.mkdir(exist_ok=True)
            directory.chmod(0o711)
        daemon.start()
        yield daemon
        daemon.stop()  # in order: it takes its control groups away


def add_variants(report: Report, found: Mapping[str, Bench]) -> None:
    """Ratios are of each round to the bare one beside it: what is busy for one is busy for the other."""
    bare = found.get("bare")
    for key, bench in found.items():
        rate, cpu = machine.median(bench.rates), machine.median(bench.cpu_ms) if bench.account else None
        ratio = machine.median([one / other for one, other in zip(bench.rates, bare.rates, strict=True)]) if bare else None
        more = machine.median([one - other for one, other in zip(bench.cpu_ms, bare.cpu_ms, strict=True)]) if bare and bench.account else None
        report.add(
            key, bench.variant.what,
            [f"{rate:.0f}", f"{ratio:.0%}" if ratio else "", f"{cpu:.2f} ms" if cpu else "", f"{more:+.2f} ms" if more and bench is not bare else "",
             " ".join(f"{one:.0f}" for one in bench.rates)],
            jobs_per_s=round(rate, 1), of_bare=ratio, cpu_ms=cpu, more_cpu_ms=more,
        )  # fmt: skip


def add_watching(report: Report, key: str, running: int, for_s: float, state_in: Path | None) -> None:
    """What the daemon uses of a core while so many jobs sleep, each with a limit of its memory."""
    with _daemon(_BARE | ({"CGROUPS": "auto"} if key == "group" else {"WATCHDOG_PERIOD_S": "1"}), state_in, None) as daemon, daemon.client() as client:
        array = client.submit(["/bin/sleep", "1000"], array=f"0-{running - 1}", cpus=0.01, memory="16M", cwd="/")
        while (progress := client.job(array.id).array) is not None and progress.active < running:
            time.sleep(0.05)
        time.sleep(_SETTLE_S)
        began, began_s = machine.cpu_s(daemon.pid), time.perf_counter()
        time.sleep(for_s)
        share = (machine.cpu_s(daemon.pid) - began) / (time.perf_counter() - began_s)
        client.cancel(array.id, force=True)
        client.wait(array.id)
    report.add(f"watch_{key}", f"{running} running jobs, {WATCHED[key]}", ["", "", f"{share:.2%} of a core"], share_of_a_core=share)


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser("isolation", _DESCRIPTION)
    parser.add_argument("-n", type=options.count, default=500, metavar="N", help="jobs a round (default: 500)")
    parser.add_argument("-k", type=options.count, default=5, metavar="K", help="rounds, of which the median counts (default: 5)")
    parser.add_argument("--variants", nargs="+", choices=[*VARIANTS], default=[*VARIANTS], help="which to measure (default: all)")
    parser.add_argument("--running", type=options.count, default=100, metavar="N", help="jobs that run while the daemon is watched (default: 100)")
    parser.add_argument("--watch", type=float, default=30.0, metavar="S", help="how long it is watched (default: 30 s)")
    chosen = parser.parse_args(argv)
    keys, missing = possible(chosen.variants)
    with benches(keys, chosen.directory) as found:
        facts = machine.facts(next(iter(found.values())).daemon.state, chosen.wait_quiet) | {"jobs": chosen.n, "slots": machine.cpus()}
        for _ in range(chosen.k):
            for bench in found.values():
                bench.round(chosen.n)
        told = Report("isolation", facts, ("jobs/s", "of bare", "CPU/job", "beside bare", "rounds"))
        add_variants(told, found)
    for key in WATCHED:
        add_watching(told, key, chosen.running, chosen.watch, chosen.directory)
    for text in missing:
        told.note(text)
    if any(bench.account is None for bench in found.values()):
        told.note("no control group could be made to count CPU time in: it is left out")
    told.show()


if __name__ == "__main__":
    main()
