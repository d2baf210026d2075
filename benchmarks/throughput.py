"""Jobs a second: many runs of a program that does nothing, beside a bare loop that does the same, and beside others of the trade."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aios
from benchmarks import backlog, floors, machine, options, peers
from benchmarks.daemon import PrivateDaemon, private_daemon
from benchmarks.report import Report

TRUE = "/bin/true"
LABEL = "round"
_LATER = -100  # the priority of what waits behind the measured jobs
_DESCRIPTION = "Jobs a second for N runs of /bin/true with as many slots as CPUs; each figure is the median of several rounds."

Submit = Callable[[aios.Client, int, str], list[str]]


def as_array(client: aios.Client, count: int, mark: str) -> list[str]:
    return [client.submit([TRUE], array=f"0-{count - 1}", labels={LABEL: mark}).id]


def as_batch(client: aios.Client, count: int, mark: str) -> list[str]:
    spec = aios.JobSpec([TRUE], labels={LABEL: mark})
    return [job.id for size in _calls(count) for job in client.submit_many([spec] * size)]


def as_singles(client: aios.Client, count: int, mark: str) -> list[str]:
    return [client.submit([TRUE], labels={LABEL: mark}).id for _ in range(count)]


WAYS: dict[str, tuple[str, Submit]] = {
    "array": ("one array", as_array),
    "batch": ("one batch call", as_batch),
    "singles": ("single SDK calls", as_singles),
}


@dataclass(slots=True)
class Rates:
    """What every round gave, in jobs a second; and of the daemon and its spawner the CPU time of a job."""

    rates: list[float] = field(default_factory=list)
    daemon_ms: list[float] = field(default_factory=list)
    spawner_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return machine.median(self.rates)


@dataclass(slots=True)
class Measurement:
    """One line of the table: who does the work, and how often it was timed."""

    what: str
    once: Callable[[], None]
    found: Rates = field(default_factory=Rates)


@dataclass(slots=True)
class Bench:
    """A daemon with a certain load beside the measured jobs. With `gated`, a round is timed from the opening of the queue."""

    daemon: PrivateDaemon
    gated: bool = False
    rounds: int = 0

    def measure(self, submit: Submit, count: int, found: Rates) -> None:
        self.rounds += 1
        mark = str(self.rounds)
        pids = (self.daemon.pid, self.daemon.spawner_pid)
        with self.daemon.client() as client:
            client.queues()  # connected
            used_s = [machine.cpu_s(pid) for pid in pids]
            began_s = time.perf_counter()
            ids = submit(client, count, mark)
            if self.gated:
                used_s = [machine.cpu_s(pid) for pid in pids]
                began_s = time.perf_counter()
                client.set_queue("default", started=True)
            _await_end(client, ids, mark)
            took_s = time.perf_counter() - began_s
            daemon_s, spawner_s = (machine.cpu_s(pid) - before for pid, before in zip(pids, used_s, strict=True))
            if self.gated:
                client.set_queue("default", started=False)
            _check(client, ids, mark, count)
        found.rates.append(count / took_s)
        found.daemon_ms.append(daemon_s * 1e3 / count)
        found.spawner_ms.append(spawner_s * 1e3 / count)


def _await_end(client: aios.Client, ids: Sequence[str], mark: str) -> None:
    """They go in order, so the last is (almost) the last to end; then a look at what is still live."""
    client.wait(ids[-1])
    for job in list(client.jobs(labels={LABEL: mark})):
        client.wait(job.id)


def _check(client: aios.Client, ids: Sequence[str], mark: str, count: int) -> None:
    """A rate of jobs that did not succeed would be worth nothing."""
    if len(ids) == 1 and (progress := client.job(ids[0]).array) is not None:
        good = progress.succeeded
    else:
        good = sum(job.state is aios.State.SUCCEEDED for job in client.jobs(labels={LABEL: mark}, include_ended=True))
    if good != count:
        raise RuntimeError(f"{good} of {count} jobs succeeded: this is no measurement")


def _calls(count: int) -> list[int]:
    """One call, unless there are more jobs than a call may have."""
    most = 10_000
    return [min(most, count - first) for first in range(0, count, most)]


@contextmanager
def loads(history: int, queued: int, state_in: Path | None) -> Iterator[dict[str, Bench]]:
    """A daemon without any load, and one for each that was asked for; all of them live, so that rounds can take turns."""
    with ExitStack() as opened:

        def daemon(*, start: bool = True) -> PrivateDaemon:
            return opened.enter_context(private_daemon(state_in=state_in, start=start))

        benches = {"": Bench(daemon())}
        if history:
            old = daemon(start=False)
            backlog.fill_history(old, history)
            old.start()
            benches[f"{history:,} finished"] = Bench(old)
        if queued:
            benches[f"{queued:,} in a stopped queue"] = Bench(_with_parked(daemon(), queued))
            benches["queue opened at 0 s"] = Bench(_with_closed(daemon()), gated=True)
            benches[f"queue opened at 0 s, {queued:,} behind"] = Bench(_with_behind(daemon(), queued), gated=True)
        yield benches


def _with_parked(daemon: PrivateDaemon, queued: int) -> PrivateDaemon:
    with daemon.client() as client:
        backlog.park(client, queued)
    return daemon


def _with_closed(daemon: PrivateDaemon) -> PrivateDaemon:
    with daemon.client() as client:
        client.set_queue("default", started=False)
    return daemon


def _with_behind(daemon: PrivateDaemon, queued: int) -> PrivateDaemon:
    """Jobs that could start, were it not for the measured ones, which have the higher priority."""
    with daemon.client() as client:
        backlog.park(client, queued, queue="default", priority=_LATER)
    return daemon


def measurements(
    benches: dict[str, Bench], ways: Sequence[str], count: int, slots: int, program: Path | None, others: dict[str, peers.Peer]
) -> dict[str, Measurement]:
    """Everything to be timed, in the order of the table."""
    made: dict[str, Measurement] = {}

    def add(key: str, what: str, make_once: Callable[[Rates], Callable[[], None]]) -> None:
        found = Rates()
        made[key] = Measurement(what, make_once(found), found)

    if program is not None:
        c_program = program
        add("floor_c", "floor: posix_spawn/waitpid loop in C", lambda found: lambda: found.rates.append(count / floors.c_loop_s(c_program, count, slots, TRUE)))
    add("floor_python", "floor: posix_spawn/waitpid loop in Python", lambda found: lambda: found.rates.append(count / floors.python_loop_s(count, slots, TRUE)))
    for load, bench in benches.items():
        for key in ways:
            what, submit = WAYS[key]
            name = f"AIOS, {what}" + (f", {load}" if load else "")
            add(f"{key}, {load}" if load else key, name, lambda found, bench=bench, submit=submit: lambda: bench.measure(submit, count, found))  # type: ignore[misc]
    for name, peer in others.items():
        add(name, name, lambda found, peer=peer: lambda: found.rates.append(count / peer(count, slots, TRUE)))  # type: ignore[misc]
    return made


def ratio_to_plain(key: str, made: dict[str, Measurement]) -> float | None:
    """Of a line with a load beside it: its rate in relation to the same line without."""
    way, _, load = key.partition(", ")
    if way not in WAYS or not load or load == "queue opened at 0 s":
        return None
    plain = f"{way}, queue opened at 0 s" if load.startswith("queue opened") else way
    return made[key].found.rate / made[plain].found.rate


def report(made: dict[str, Measurement], facts: machine.Facts) -> Report:
    told = Report("throughput", facts, ("jobs/s", "of Python floor", "of plain", "daemon CPU/job", "spawner CPU/job", "rounds"))
    floor = made["floor_python"].found.rate
    for key, one in made.items():
        found, ratio = one.found, ratio_to_plain(key, made)
        used = [machine.median(values) if values else None for values in (found.daemon_ms, found.spawner_ms)]
        told.add(
            key, one.what,
            [f"{found.rate:.0f}", f"{found.rate / floor:.0%}", f"{ratio:.0%}" if ratio else "", *(f"{ms:.2f} ms" if ms else "" for ms in used),
             " ".join(f"{rate:.0f}" for rate in found.rates)],
            jobs_per_s=round(found.rate, 1), of_python_floor=round(found.rate / floor, 3), of_plain=round(ratio, 3) if ratio else None,
            daemon_cpu_ms=used[0], spawner_cpu_ms=used[1],
        )  # fmt: skip
    return told


def main(argv: Sequence[str] | None = None) -> None:
    parser = options.parser("throughput", _DESCRIPTION)
    parser.add_argument("-n", type=options.count, default=2000, metavar="N", help="jobs a round (default: 2000)")
    parser.add_argument("-k", type=options.count, default=3, metavar="K", help="rounds, of which the median counts (default: 3)")
    parser.add_argument("--peers", action="store_true", help="HyperQueue and task-spooler too, where they are installed")
    parser.add_argument("--history", type=options.count, default=0, metavar="N", help="again with N finished jobs in the database")
    parser.add_argument("--queued", type=options.count, default=0, metavar="N", help="again with N jobs that wait")
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS], help="how to submit (default: all)")
    chosen = parser.parse_args(argv)
    slots = machine.cpus()
    others, missing = peers.found() if chosen.peers else ({}, [])
    with tempfile.TemporaryDirectory(prefix="ab-") as scratch, loads(chosen.history, chosen.queued, chosen.directory) as benches:
        program = floors.compiled(floors.LOOP_C, Path(scratch), "loop")
        facts = machine.facts(benches[""].daemon.state, chosen.wait_quiet) | {"jobs": chosen.n, "slots": slots}
        made = measurements(benches, chosen.ways, chosen.n, slots, program, others)
        for _ in range(chosen.k):
            for one in made.values():
                one.once()
        told = report(made, facts)
    for text in missing if program else [*missing, "there is no C compiler (cc): the floor in C is left out"]:
        told.note(text)
    told.show()


if __name__ == "__main__":
    main()
