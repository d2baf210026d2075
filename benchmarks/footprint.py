"""What AIOS weighs: memory idle, with much queued and much running, CPU time when nothing happens, start with a long history."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aios
from benchmarks import backlog, machine, options
from benchmarks.daemon import PrivateDaemon, private_daemon
from benchmarks.report import Report, mebibytes, seconds

_DESCRIPTION = "Memory of the daemon and its shims, CPU time of an idle minute, start-up with many jobs."
_SLEEP = ["/bin/sleep", "1000"]
_SETTLE_S = 1.0
_LOOK_S = 0.05
_PATIENCE_S = 120.0


def add_memory(report: Report, key: str, what: str, pid: int, idle_pss: int = 0) -> int:
    """One line on a process, and how much more that is than idle; its PSS."""
    used = machine.memory(pid)
    more = mebibytes(used["pss"] - idle_pss) if idle_pss else ""
    report.add(
        key, what, [mebibytes(used["rss"]), mebibytes(used["pss"]), mebibytes(used["private"]), more, ""],
        rss_bytes=used["rss"], pss_bytes=used["pss"], private_bytes=used["private"], more_bytes=used["pss"] - idle_pss if idle_pss else None,
    )  # fmt: skip
    return used["pss"]


def add_time(report: Report, key: str, what: str, took_s: float) -> None:
    report.add(key, what, ["", "", "", "", seconds(took_s)], seconds=took_s)


def queued_elements(report: Report, daemon: PrivateDaemon, sizes: Sequence[int], idle_pss: int) -> None:
    """Arrays that are queued, behind jobs that hold every processor."""
    with daemon.client() as client:
        blockers = client.submit(_SLEEP, array=f"0-{machine.cpus() - 1}", cpus=1).id
        for size in sizes:
            began_s = time.perf_counter()
            array = client.submit(["/bin/true"], array=f"0-{size - 1}").id
            took_s = time.perf_counter() - began_s
            time.sleep(_SETTLE_S)
            progress = client.job(array).array
            if progress is None or progress.pending != size:
                raise RuntimeError(f"{progress} of an array of {size} that was to wait")
            add_time(report, f"submit_{size}", f"submit of an array of {size:,}", took_s)
            add_memory(report, f"queued_{size}", f"daemon, {size:,} elements queued", daemon.pid, idle_pss)
            client.cancel(array)
        client.cancel(blockers, force=True)
        client.wait(blockers)


def running_sleepers(report: Report, daemon: PrivateDaemon, count: int, idle_pss: int) -> None:
    with daemon.client() as client:
        began_s = time.perf_counter()
        array = client.submit(_SLEEP, array=f"0-{count - 1}", cpus=0.001, memory=1 << 20).id
        shims = _await_shims(client, array, daemon, count)
        add_time(report, f"started_{count}", f"submit to {count:,} running", time.perf_counter() - began_s)
        time.sleep(_SETTLE_S)
        add_memory(report, f"running_{count}", f"daemon, {count:,} jobs running", daemon.pid, idle_pss)
        add_memory(report, f"spawner_{count}", f"spawner, {count:,} jobs running", daemon.spawner_pid)
        used = [machine.memory(pid) for pid in shims]
        each = {kind: int(machine.median([one[kind] for one in used])) for kind in ("rss", "pss", "private")}
        shown = [*(mebibytes(size) for size in each.values()), "", ""]
        report.add("shim", "a shim (median)", shown, **{f"{kind}_bytes": size for kind, size in each.items()})
        client.cancel(array, force=True)
        client.wait(array)


def _await_shims(client: aios.Client, array: str, daemon: PrivateDaemon, count: int) -> list[int]:
    """The shims, when every element runs: each is the parent of one job."""
    give_up_s = time.monotonic() + _PATIENCE_S
    spawner = daemon.spawner_pid
    while time.monotonic() < give_up_s:
        shims = machine.children(spawner)
        if len(shims) >= count and sum(1 for pid in shims if machine.children(pid)) >= count:
            return [pid for pid in shims if machine.children(pid)]
        time.sleep(_LOOK_S)
    raise RuntimeError(f"not all of {count} jobs run after {_PATIENCE_S:g} s: {client.job(array).array}")


def idle_minute(report: Report, daemon: PrivateDaemon, over_s: float) -> None:
    """CPU seconds that an idle minute costs, measured over `over_s`; the floor is nothing."""
    pids = {"daemon": daemon.pid, "spawner": daemon.spawner_pid}
    before = {name: machine.cpu_s(pid) for name, pid in pids.items()}
    time.sleep(over_s)
    for name, pid in pids.items():
        used_s = (machine.cpu_s(pid) - before[name]) * 60 / over_s
        report.add(f"idle_{name}", f"{name}, CPU time of an idle minute", ["", "", "", "", seconds(used_s)], cpu_s_per_minute=used_s)


def starts(report: Report, history: int, queued: int, state_in: Path | None, rounds: int) -> None:
    with _restarted(state_in) as daemon:
        add_time(report, "start", "start to first answer, empty", _start_s(daemon, rounds))
    if history:
        with private_daemon(state_in=state_in, start=False) as daemon:
            backlog.fill_history(daemon, history)
            daemon.start()
            add_time(report, f"start_history_{history}", f"start, {history:,} jobs of history", _start_s(daemon, rounds))
            add_memory(report, f"history_{history}", f"daemon, {history:,} jobs of history", daemon.pid)
    if queued:
        with _restarted(state_in) as daemon:
            began_s = time.perf_counter()
            with daemon.client() as client:
                backlog.park(client, queued)
            add_time(report, f"park_{queued}", f"submit of {queued:,} plain jobs in batches", time.perf_counter() - began_s)
            add_memory(report, f"parked_{queued}", f"daemon, {queued:,} plain jobs queued", daemon.pid)
            add_time(report, f"start_queued_{queued}", f"start, {queued:,} plain jobs queued", _start_s(daemon, rounds))


@contextmanager
def _restarted(state_in: Path | None) -> Iterator[PrivateDaemon]:
    with private_daemon(state_in=state_in) as daemon:
        yield daemon


def _start_s(daemon: PrivateDaemon, rounds: int) -> float:
    """Of a daemon that runs: stopped and started again, the median."""
    found = []
    for _ in range(rounds):
        daemon.stop()
        found.append(daemon.start())
    return machine.median(found)


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser("footprint", _DESCRIPTION)
    parser.add_argument(
        "--elements", type=options.count, nargs="+", default=[10_000, 1_000_000], metavar="N", help="sizes of queued arrays (10,000 and 1,000,000)"
    )
    parser.add_argument("--sleepers", type=options.count, default=1000, metavar="N", help="jobs that run at once (default: 1,000)")
    parser.add_argument("--idle", type=float, default=30.0, metavar="S", help="how long the idle daemon is looked at; seconds (default: 30)")
    parser.add_argument("--history", type=options.count, default=100_000, metavar="N", help="finished jobs at a start (default: 100,000)")
    parser.add_argument("--queued", type=options.count, default=100_000, metavar="N", help="queued jobs at a start (default: 100,000)")
    parser.add_argument("-k", type=options.count, default=3, metavar="K", help="starts, of which the median counts (default: 3)")
    chosen = parser.parse_args(argv)
    with private_daemon(state_in=chosen.directory) as daemon:
        report = Report("footprint", machine.facts(daemon.state, chosen.wait_quiet), ("RSS", "PSS", "private", "more than idle", "time"))
        time.sleep(_SETTLE_S)
        idle_pss = add_memory(report, "idle", "daemon, idle", daemon.pid)
        add_memory(report, "spawner", "spawner, idle", daemon.spawner_pid)
        idle_minute(report, daemon, chosen.idle)
        queued_elements(report, daemon, chosen.elements, idle_pss)
    with private_daemon(state_in=chosen.directory) as daemon:
        time.sleep(_SETTLE_S)
        running_sleepers(report, daemon, chosen.sleepers, machine.memory(daemon.pid)["pss"])
    starts(report, chosen.history, chosen.queued, chosen.directory, chosen.k)
    report.show()


if __name__ == "__main__":
    main()
