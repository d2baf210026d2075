"""The Launcher port on a real machine: a spawner forks a shim for each run, and what shims record becomes events."""

import asyncio
import errno
import os
import resource
import signal as signals
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from aiosd import logs
from aiosd.clock import Clock, Instant
from aiosd.errors import DiskFull, StorageUnwritable
from aiosd.host import faults, resizing, runfile, stdin
from aiosd.host.cells.port import NO_CELLS, Cells
from aiosd.host.forgetting import Forgetting
from aiosd.host.identities import Identities, Identity
from aiosd.host.launch import Confinement, Layout, Plans, VariablesOf
from aiosd.host.notifying import Notices
from aiosd.host.records import read_run
from aiosd.host.recovery import Alive, Finding, NotBegun, Over, find, remove_spares, remove_strays, remove_unexpected, scratch_names
from aiosd.host.signalling import Signalling, number_of
from aiosd.host.spawning import Spawner
from aiosd.host.watched import Shim, Watched
from aiosd.jobs.job import Job
from aiosd.jobs.ports import Launched, LauncherEvent, LaunchFailed, Resized, RunEnded, Scope

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_LOOK_AGAIN_S = 0.2
_INPUT_PAUSE_S = 0.02
_TRIES = 3  # for a run whose shim ends before it claims the run
_UNCLAIMED_S = 2.0  # a shim claims its run at once, but for a full disk
_BEFORE_IT_BEGAN = "its supervisor process ended before the run had begun (spawner.log in the state directory may say why)"

log = logs.logger("aiosd.launcher")


class ShimLauncher:
    """Lives on the event loop's thread; what blocks for longer than a small file takes runs on one worker thread."""

    def __init__(
        self, state_directory: Path, target: str, variables_of: VariablesOf, clock: Clock,
        confinement: Confinement | None = None, identities: Identities | None = None, cells: Cells = NO_CELLS,
    ) -> None:  # fmt: skip
        confinement = confinement or Confinement()
        self._layout = Layout(state_directory.absolute(), confinement.runtime, cells)
        self._plans, self._clock = Plans(self._layout, target, variables_of, confinement), clock
        self._confinement = confinement
        self._identities = identities or Identities()
        self._lookups = ThreadPoolExecutor(1, thread_name_prefix="identities")
        self._boot_id = runfile.boot_id()
        self._runs: dict[str, Watched] = {}
        self._shims: dict[int, Shim] = {}  # by pid; each is watched once, for all of its runs
        self._reported: set[str] = set()  # ended, and not yet forgotten
        self._barred: set[str] = set()
        self._listeners: list[Callable[[LauncherEvent], None]] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="launcher")
        self._spawner: Spawner | None = None
        self._unsent: list[tuple[str, bytes]] = []  # plans for the next spawner
        self._pause_s = _FIRST_PAUSE_S
        self._open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._notices = Notices(identities=self._identities if confinement.switch else None, hardened=confinement.hardened)
        self._fault = os.environ.get(faults.VARIABLE, "")
        self._closed = False

    async def start(self) -> None:
        """Make the directories and start the spawner; jobs keep the limit of open files that the daemon was started with."""
        self._loop = asyncio.get_running_loop()
        self._layout.make(shared=self._confinement.switch)
        self._forgetting = Forgetting(self._loop, self._worker, self._layout)
        self._signalling = Signalling(self._loop, self._worker, self._layout.run_file, lambda run: self._runs.get(run.key) is run)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # one descriptor for each running job
        self._start_spawner()

    async def close(self) -> None:
        """Stop the spawner and stop watching; the shims and their jobs go on."""
        self._closed, idle = True, not self._runs
        self._signalling.close()
        self._notices.close()
        self._forgetting.flush()
        for shim in list(self._shims.values()):
            self._unwatch(shim)
        self._runs.clear()
        spawner, self._spawner = self._spawner, None
        if spawner is not None:
            spawner.hang_up()
            await self._loop.run_in_executor(self._worker, spawner.wait)
        if idle:  # else a shim may be about to make its cell there
            await self._loop.run_in_executor(self._worker, self._layout.cells.close)
        self._worker.shutdown(wait=False)
        self._lookups.shutdown(wait=False, cancel_futures=True)

    @property
    def spawner_pid(self) -> int:
        """0 while there is none."""
        return self._spawner.pid if self._spawner is not None else 0

    def subscribe(self, on_event: Callable[[LauncherEvent], None]) -> None:
        self._listeners.append(on_event)

    def log_paths(self, job: Job) -> tuple[str, str]:
        return self._layout.log_paths(job)

    def launch(self, job: Job) -> None:
        run = Watched(job, job.run_key)
        if self._plans.needs_identity(job) and self._identities.known(job.owner) is None:
            self._runs[run.key] = run
            self._send_when_known(run)
            return
        plan = self._plan_of(job)
        self._runs[run.key] = run
        self._send(run, plan)

    def signal(self, job: Job, signal: str, scope: Scope = Scope.TREE) -> None:
        number = number_of(signal)
        run = self._runs.get(job.run_key)
        if run is not None:
            self._signalling.order(run, number, scope)

    def resize(self, job: Job) -> None:
        run = self._runs.get(job.run_key)
        if run is None or not run.shim_pid:
            return
        run.job = job

        def told(done: "asyncio.Future[str]") -> None:
            if self._runs.get(run.key) is run and not done.cancelled():
                self._emit(Resized(job.id, job.attempt, str(done.exception() or done.result())))

        self._loop.run_in_executor(self._worker, resizing.apply, self._layout.cells, job, run.shim_pid).add_done_callback(told)

    def forget(self, job: Job) -> None:
        if job.run is not None and job.run.resized:  # the shim knows only what it made itself
            self._loop.run_in_executor(self._worker, self._layout.cells.remove, [job.run_key])
        faults.reached("forget.1-before-unlink")
        self._reported.discard(job.run_key)
        self._forgetting.add(job, keep_file=job.run_key in self._barred)  # a void run file stays: its shim may still be on its way

    def notify(self, job: Job) -> None:
        self._notices.add(job)

    def write_input(self, job: Job, data: bytes) -> int:
        """How many bytes of `data` the run's input took; 0: try again later. Raises FailedPrecondition when it takes none any more."""
        stdin.check_takes_input(job, job.run_key in self._runs)
        return stdin.write(self._layout.input_fifo(job.run_key), data, job)

    def end_input(self, job: Job) -> None:
        """The run reads end-of-file after what was written."""
        run = self._runs.get(job.run_key)
        if run is None or not job.spec.stdin_open:
            return
        if run.pidfd >= 0 and os.path.exists(self._layout.input_fifo(run.key)):
            signals.pidfd_send_signal(run.pidfd, signals.SIGUSR1)
        else:
            self._loop.call_later(_INPUT_PAUSE_S, self.end_input, job)

    async def recover(self, expected: Sequence[Job]) -> None:
        for job in expected:
            known = self._runs.get(job.run_key)
            if known is not None and known.launched is not None:
                self._emit(known.launched)
        unknown = [Watched(job, job.run_key) for job in expected if job.run_key not in self._runs]
        self._runs.update((run.key, run) for run in unknown)
        kept = {job.run_key for job in expected} | self._runs.keys() | self._reported
        present = os.listdir(self._layout.runs)  # now: what is launched from here on is not unexpected
        scratches, cells = scratch_names(self._layout), self._layout.cells.names()
        await self._find(unknown)
        await self._loop.run_in_executor(self._worker, remove_unexpected, self._layout, present, kept, self._boot_id)
        await self._loop.run_in_executor(self._worker, remove_strays, self._layout, scratches, kept)
        await self._loop.run_in_executor(self._worker, self._layout.cells.remove, [name for name in cells if name not in kept])

    def _plan_of(self, job: Job) -> bytes:
        return self._plans.plan_of(job, self._identities.last(job.owner) if self._plans.needs_identity(job) else None)

    def _send_when_known(self, run: Watched) -> None:
        """The owner is looked up on a thread: the machine's directory of users may be across a network."""
        job = run.job

        def go_on(done: "asyncio.Future[Identity]") -> None:
            if self._closed or self._runs.get(run.key) is not run or done.cancelled():
                return
            if (error := done.exception()) is not None:
                self._over(run, LaunchFailed(job.id, job.attempt, f"user {job.owner.uid} cannot be looked up: {error}"))
            else:
                self._send(run, self._plan_of(job))

        self._loop.run_in_executor(self._lookups, self._identities.of, job.owner).add_done_callback(go_on)

    async def _find(self, runs: Sequence[Watched]) -> None:
        try:
            for run in runs:
                self._apply(run, await self._loop.run_in_executor(self._worker, self._look, run))
        except OSError as error:
            for run in runs:
                if run.launched is None:
                    self._runs.pop(run.key, None)  # for the next `recover`
            kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageUnwritable
            raise kind(f"cannot settle the runs in '{self._layout.runs}': {error.strerror}", path=self._layout.runs) from error

    def _send(self, run: Watched, plan: bytes) -> None:
        run.tries += 1
        if self._spawner is None:
            self._unsent.append((run.key, plan))
        else:
            self._spawner.send(run.key, plan)

    def _look(self, run: Watched) -> Finding:
        """On the worker thread."""
        return find(self._layout, run.job, self._boot_id)

    def _apply(self, run: Watched, finding: Finding) -> None:
        match finding:
            case Over(exit_, reason):
                self._over(run, RunEnded(run.job.id, run.job.attempt, exit_, reason))
            case NotBegun(reason):
                self._barred.add(run.key)
                self._over(run, LaunchFailed(run.job.id, run.job.attempt, reason))
            case Alive(pidfd, record):
                self._launched(run, record.shim_pid, pidfd, Instant(record.started_at_s, record.started_steady_s))

    def _start_spawner(self) -> None:
        if self._closed:
            return
        log = self._layout.state / "spawner.log"
        self._spawner = Spawner(self._loop, log, self._answered, self._end_told, self._spawner_died, fault=self._fault, files=self._open_files)
        self._fault = ""  # a fault strikes the first one only
        self._place(self._spawner.pid)
        unsent, self._unsent = self._unsent, []
        for key, plan in unsent:
            self._spawner.send(key, plan)

    def _place(self, pid: int) -> None:
        """A spawner that cannot leave the daemon's own group runs there: its jobs enter their cells all the same."""
        try:
            self._layout.cells.place_spawner(pid)
        except OSError as error:
            log.warning("the spawner stays in the daemon's control group", pid=pid, error=str(error))

    def _spawner_died(self, unanswered: list[str]) -> None:
        """Start the next one, at once if this one has worked; settle what it may or may not have begun."""
        spawner, self._spawner = self._spawner, None
        if spawner is None or self._closed:
            return
        self._unsent = spawner.unsent() + self._unsent
        if spawner.answers:
            self._pause_s = _FIRST_PAUSE_S
            self._start_spawner()
        else:
            self._loop.call_later(self._pause_s, self._start_spawner)
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        for key in unanswered:
            run = self._runs[key]
            self._in_worker(run, partial(self._look, run))

    def _answered(self, key: str, pid: int, pidfd: int, error: int) -> None:
        run = self._runs.get(key)
        if run is None:  # closed meanwhile
            if pidfd >= 0:
                os.close(pidfd)
        elif error:
            self._over(run, LaunchFailed(run.job.id, run.job.attempt, f"no process could be started: {os.strerror(error)}"))
        else:
            faults.reached("launch.3-answered")
            self._launched(run, pid, pidfd, self._clock.now())

    def _end_told(self, key: str) -> None:
        """A shim that is kept for another run has recorded the end of this one."""
        run = self._runs.get(key)
        if run is not None:
            shim = self._shims.get(run.shim_pid)
            if shim is not None:
                shim.run, shim.last = None, run.key
            self._run_ended(run)

    def _launched(self, run: Watched, pid: int, pidfd: int, at: Instant) -> None:
        run.shim_pid = pid
        run.launched = Launched(run.job.id, run.job.attempt, pid, at.wall_s, at.steady_s)
        self._emit(run.launched)
        self._watch(run, pidfd)

    def _watch(self, run: Watched, pidfd: int) -> None:
        if self._runs.get(run.key) is not run:
            return
        shim = self._shims.get(run.shim_pid)
        if shim is not None and pidfd >= 0:  # another process of the same number: the end of the first has not been read yet
            self._shim_ended(shim)
            shim = None
        if shim is None and pidfd < 0:  # it could not be passed
            try:
                pidfd = os.pidfd_open(run.shim_pid)
            except ProcessLookupError:
                self._run_ended(run)
                return
            except OSError:
                self._loop.call_later(_LOOK_AGAIN_S, self._watch, run, -1)  # no descriptor is free
                return
        if shim is None:
            shim = self._shims[run.shim_pid] = Shim(run.shim_pid, pidfd)
            self._loop.add_reader(pidfd, self._shim_ended, shim)
        shim.run, run.pidfd = run, shim.pidfd

    def _unwatch(self, shim: Shim) -> None:
        self._loop.remove_reader(shim.pidfd)
        os.close(shim.pidfd)
        if self._shims.get(shim.pid) is shim:
            del self._shims[shim.pid]

    def _shim_ended(self, shim: Shim) -> None:
        self._unwatch(shim)
        self._loop.run_in_executor(self._worker, remove_spares, self._layout, shim.pid, shim.last)
        if shim.run is not None:
            self._run_ended(shim.run)

    def _run_ended(self, run: Watched) -> None:
        run.pidfd = -1
        faults.reached("exit.1-noticed")
        record = read_run(self._layout.run_file(run.key))
        if record is None and self._may_try_again(run):
            self._send(run, self._plan_of(run.job))
        elif record is None or record.void:
            self._apply(run, Over(None, _BEFORE_IT_BEGAN))
        elif record.end is not None:
            if run.shim_pid not in self._shims:  # killed before it could tell: nobody has heard of what it had kept of this run
                self._loop.run_in_executor(self._worker, remove_spares, self._layout, run.shim_pid, run.key)
            self._apply(run, Over(record.end))
        else:
            self._in_worker(run, partial(self._look, run))

    def _may_try_again(self, run: Watched) -> bool:
        """Its shim has ended without a claim, so nothing has begun. One that lived for long may have lost its file to somebody's `rm`."""
        lived_s = self._clock.now().steady_s - run.launched.at_steady_s if run.launched is not None else 0.0
        return 0 < run.tries < _TRIES and lived_s < _UNCLAIMED_S

    def _in_worker(self, run: Watched, look: Callable[[], Finding]) -> None:
        """Settle a run on the worker thread, then tell."""

        def tell(done: "asyncio.Future[Finding]") -> None:
            if done.cancelled() or self._runs.get(run.key) is not run:
                return
            if isinstance(done.exception(), OSError):  # no room for a bar
                self._loop.call_later(_LONGEST_PAUSE_S, self._in_worker, run, look)
            else:
                self._apply(run, done.result())

        self._loop.run_in_executor(self._worker, look).add_done_callback(tell)

    def _over(self, run: Watched, event: RunEnded | LaunchFailed) -> None:
        self._runs.pop(run.key, None)
        self._reported.add(run.key)
        self._emit(event)

    def _emit(self, event: LauncherEvent) -> None:
        for listener in self._listeners:
            listener(event)
