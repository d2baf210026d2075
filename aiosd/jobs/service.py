"""The single writer of jobs: drains its inbox in turns; each turn decides, remembers, answers, acts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from aiosd.clock import Clock
from aiosd.errors import AiosError, DiskFull, FailedPrecondition, NotFound, StorageUnwritable, Unavailable
from aiosd.ids import JobId, parse_job_id
from aiosd.jobs import resizing
from aiosd.jobs.act_service import perform
from aiosd.jobs.actions import (
    Action,
    Amended,
    End,
    Event,
    Forget,
    Launch,
    Remember,
    Save,
    Set,
    Signal,
    Steer,
    SteerJob,
    Submit,
    UpdateJob,
    Warn,
    Withdraw,
)
from aiosd.jobs.devices import carried_over
from aiosd.jobs.draft import JobChange, JobDraft
from aiosd.jobs.engine import Engine, Reply
from aiosd.jobs.environments import Environments
from aiosd.jobs.explain import Why, why_out_of_memory
from aiosd.jobs.find_service import JobFinder
from aiosd.jobs.job import Job, Owner, Phase
from aiosd.jobs.operate_service import Operating
from aiosd.jobs.pass_service import PassMeter
from aiosd.jobs.permitted import names_groups
from aiosd.jobs.ports import Changes, Evidence, Journal, Launched, Launcher, LauncherEvent, Loaded, RunEnded
from aiosd.jobs.secrets_service import Secrets
from aiosd.jobs.settings import JobsSettings
from aiosd.jobs.state import State
from aiosd.jobs.views import Steered
from aiosd.watch import Feed, Waiters

log = structlog.get_logger("jobs")
LAUNCHED_PAUSE_S = 0.01  # how long the news that a run has begun may wait for a turn
LAZY_FLUSH_S = 0.25  # what the launcher knows anyway is committed at the latest so long after
RECOVERY_PAUSE_S = 1.0  # between tries to write again when the disk was full
STORAGE_TROUBLE = (DiskFull, StorageUnwritable)


@dataclass(slots=True)
class _Asked:
    """An event, and who waits for its answer."""

    event: Event
    answer: "asyncio.Future[Reply] | None" = None


@dataclass(slots=True)
class JobService(Operating):
    """Every method raises an AiosError the caller can act on. A `ref` is an id ("42", "42.7") or a name that is unique.

    `make_engine` builds the engine from what the journal holds; it is called again when memory ran ahead of a full disk.
    """

    journal: Journal
    launcher: Launcher
    clock: Clock
    make_engine: Callable[[Loaded], Engine]
    reached: Callable[[str], None] = lambda step: None
    secrets: Secrets = Secrets()
    evidence: Evidence | None = None  # None: it is not kept
    groups_of: Callable[[str, int], frozenset[str]] = lambda name, gid: frozenset()  # the Unix groups of a user; may block
    weigh: Callable[[Job], Awaitable[int]] | None = None  # the memory that a run uses at present; bytes, 0: not known
    left_models: Callable[[Job], None] = lambda job: None  # told of each job that has ended, and that was to leave some
    trouble: AiosError | None = None  # why nothing can be written at present
    passes: PassMeter = field(default_factory=PassMeter)
    feed: Feed[Job] = field(default_factory=lambda: Feed(0))
    engine: Engine = field(init=False)
    _inbox: list[_Asked] = field(default_factory=list)
    _awake: asyncio.Event = field(default_factory=asyncio.Event)
    _later: asyncio.TimerHandle | None = None  # a turn that need not be at once
    _stopping: bool = False
    _durable: int = 0  # the highest revision that is committed
    _lazy: dict[JobId, Job] = field(default_factory=dict)
    _environments: Environments = field(default_factory=Environments)
    _changed: Waiters[JobId] = field(default_factory=Waiters)
    _finder: JobFinder = field(init=False)
    _settings: JobsSettings | None = None  # what was taken over since the beginning

    def __post_init__(self) -> None:
        self._finder = JobFinder(self.journal, self.clock, lambda: self.engine, lambda: self.trouble)

    @property
    def state(self) -> State:
        """For readers: what is live, as of the last turn."""
        return self.engine.state

    @property
    def ending(self) -> Sequence[Job]:
        """Ended in the turn that is being committed."""
        return list(self._finder.committing.values())

    def use(self, settings: JobsSettings) -> None:
        """Go by these from the next turn on. Policy, queues and the half-life of usage stay: they are remembered, and set by events."""
        self._settings = settings
        self.state.use(settings)
        self.state.dirty = True  # other shares, another order
        self._awake.set()

    # The life of the service

    async def start(self) -> None:
        """Load what was committed, and have the launcher say what became of the runs that were going on."""
        self.launcher.subscribe(self._on_launcher)
        await self._load()
        self.secrets.sweep(self.state.jobs.values())

    async def run(self) -> None:
        """Turn after turn, until `stop`. Returns when all that was asked before has been answered."""
        while not self._stopping or self._inbox:
            await self._sleep()
            if self.trouble is not None:
                await self._try_to_recover()
            else:
                await self._turn()
        await self._flush_lazy()

    def stop(self) -> None:
        """Let `run` return after the turn it is in; whoever asks from now on is refused."""
        self._stopping = True
        self._awake.set()

    async def _load(self) -> None:
        loaded = await self.journal.load()
        self._take_over(loaded)
        self.trouble = None  # from here on the launcher is listened to, and it is asked about every run
        await self.launcher.recover([job for job in self.state.jobs.values() if job.run is not None])
        self._awake.set()

    def _take_over(self, loaded: Loaded) -> None:
        before = self.state if hasattr(self, "engine") else None
        self.engine = self.make_engine(loaded)
        if before is not None:  # what has been seen of devices meanwhile, and learned of runs, is stored nowhere
            self.state.pool = self.state.pool.with_inventory(carried_over(self.state.pool.inventory, before.pool.inventory))
            self.state.history, self.state.held_back = before.history, before.held_back
        if self._settings is not None:
            self.state.use(self._settings)
        self.state.revision = max(self.state.revision, self.feed.revision + 1)  # lazy changes were seen that no disk has
        self.feed.restart(self.state.revision)
        for environment in {id(j.spec.environment): j.spec.environment for j in loaded.jobs}.values():
            self._environments.adopt(environment)

    async def _sleep(self) -> None:
        wait_s = RECOVERY_PAUSE_S if self.trouble is not None else self.engine.next_wake_in_s(self.clock.now())
        if self._lazy and self.trouble is None:
            wait_s = min(LAZY_FLUSH_S, wait_s if wait_s is not None else LAZY_FLUSH_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._awake.wait()
        self._awake.clear()

    # The turn

    async def _turn(self) -> None:
        batch, self._inbox = self._inbox, []
        if self._later is not None:
            self._later.cancel()
            self._later = None
        replies = self._decide(batch)
        actions = self.engine.take_actions()
        self.reached("turn.1-decided")
        try:
            await self._remember(actions, due=not batch)
        except STORAGE_TROUBLE as error:
            await self._fall_back(batch, error)
            return
        self.reached("turn.2-committed")
        for asked, reply in replies:
            _settle(asked, reply)
        self._publish(actions)
        self.reached("turn.3-answered")
        perform(actions, self.launcher, self.secrets, self.evidence)
        self.reached("turn.4-acted")

    def _decide(self, batch: Sequence[_Asked]) -> list[tuple[_Asked, Reply | AiosError]]:
        now = self.clock.now()
        replies: list[tuple[_Asked, Reply | AiosError]] = []
        for asked in batch:
            try:
                replies.append((asked, self.engine.handle(asked.event, now)))
            except AiosError as error:
                replies.append((asked, error))
        self.passes.dispatch(self.engine, now)
        return replies

    async def _remember(self, actions: Sequence[Action], *, due: bool) -> None:
        """One commit for the whole turn. A turn that only says what the launcher knows too may wait for the next."""
        self._lazy.update((a.job.id, a.job) for a in actions if isinstance(a, Save))
        ended = {a.job.id: a.job for a in actions if isinstance(a, End)}
        urgent = any(not (isinstance(a, Save) and a.lazy) and not isinstance(a, Launch | Signal | Forget | Warn) for a in actions)
        if not urgent and not (due and self._lazy):
            return
        saved = [job for job in self._lazy.values() if job.id not in ended and job.id in self.state.jobs]
        withdrawn = dict.fromkeys(a.job.id for a in actions if isinstance(a, Withdraw) and a.job.id not in self.state.jobs)
        revision = self.state.revision
        self._finder.committing = ended
        try:
            await self.journal.commit(
                Changes(
                    saved=saved,
                    ended=list(ended.values()),
                    amended=[a.job for a in actions if isinstance(a, Amended)],
                    withdrawn=list(withdrawn),
                    submissions=[a.submission for a in actions if isinstance(a, Remember)],
                    settings={a.name: a.value for a in actions if isinstance(a, Set)},
                )
            )
        finally:
            self._finder.committed()
        self._lazy.clear()
        self._durable = revision

    async def _flush_lazy(self) -> None:
        with suppress(*STORAGE_TROUBLE):  # the launcher knows it too: the next daemon learns it from there
            await self._remember((), due=True)

    def _publish(self, actions: Sequence[Action]) -> None:
        published = False
        for action in actions:
            if isinstance(action, Save | End | Amended | Withdraw):
                job = action.job
                if isinstance(action, End) and job.spec.model_outputs:
                    self.left_models(job)
                self.feed.publish(job.revision, job)
                published = True
                self._changed.tell(job.id)
                if not isinstance(action, Save) or action.moved:
                    say = log.debug if job.phase is Phase.STARTING else log.info  # that it runs, or why not, follows at once
                    say("job", job=str(job.id), phase=str(job.phase), attempt=job.attempt, reason=job.reason or None)
        if published:
            self.feed.wake()

    # When nothing can be written

    async def _fall_back(self, batch: Sequence[_Asked], error: AiosError) -> None:
        """Memory ran ahead of the disk: tell who waits, show what the disk has, and begin there when it can be written."""
        log.error("storage", error=str(error), hint=error.hint)
        self.trouble = error
        self._lazy.clear()
        for asked in batch:
            _settle(asked, error)
        with suppress(*STORAGE_TROUBLE):
            self._take_over(await self.journal.load())

    async def _try_to_recover(self) -> None:
        refused, self._inbox = self._inbox, []
        for asked in refused:
            _settle(asked, self.trouble)
        try:
            await self.journal.commit(Changes(settings={"written_at": str(self.clock.now().wall_s)}))
            await self._load()
        except STORAGE_TROUBLE as error:
            self.trouble = error
            return
        log.info("storage recovered")

    # Asking

    async def ask(self, event: Event) -> Reply:
        """Put an event in the inbox; the answer comes when what it led to is committed."""
        if self._stopping:
            raise Unavailable("the daemon is stopping", hint="try again in a moment")
        if self.trouble is not None:
            raise self.trouble.with_traceback(None)  # the one error is raised to many
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._inbox.append(_Asked(event, answer))
        self._awake.set()
        return await answer

    def _on_launcher(self, event: LauncherEvent) -> None:
        """The end of a run makes room at once; that one has begun may wait for what comes next, often its end."""
        if self.trouble is not None or self._stopping:
            return  # the recovery, or the next daemon, asks the launcher again
        self._inbox.append(_Asked(event))
        if not isinstance(event, Launched) and not self._hand_over(event):
            self._awake.set()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(LAUNCHED_PAUSE_S, self._awake.set)

    def _hand_over(self, event: LauncherEvent) -> bool:
        """Launch who is staged behind a run that has ended: that was decided and committed before. The slot is busy again."""
        if not isinstance(event, RunEnded):
            return False
        successor = self.engine.hand_over(event.job_id, event.attempt, self._durable)
        if successor is not None:
            self.launcher.launch(successor)
        return successor is not None

    def next_change(self, job_id: JobId) -> "asyncio.Future[None]":
        """Done at the next change of that job, or of its array while an element has no record; to be cancelled by who gives up."""
        return self._changed.next(job_id if job_id in self.state.jobs else job_id.whole)

    # What callers ask

    async def submit(self, drafts: Sequence[JobDraft], *, owner: Owner, key: str = "", digest: str = "") -> Sequence[Job]:
        """All of the drafts become jobs, or none. The same key with the same digest gets the same jobs again."""
        environments = [self._environments.of(draft.environment) for draft in drafts]
        ended = await self.journal.ended_phases(self._not_live(drafts)) if any(d.dependencies for d in drafts) else {}
        groups = await self._groups_of(owner)
        drafts = await self.secrets.kept(drafts)
        try:
            reply = await self.ask(Submit(drafts, environments, owner, key, digest, ended, groups))
        except AiosError as error:
            self.secrets.refused(drafts, error)
            raise
        if isinstance(reply, range):
            self.secrets.refused(drafts)  # the jobs have theirs from the first time
            return [await self.get(str(number)) for number in reply]
        assert isinstance(reply, list)
        return reply

    async def get(self, ref: str, among: Owner | None = None) -> Job:
        """A job by id or by name, live or ended. Raises NotFound, or InvalidArgument where a name is not unique (`among` one's own)."""
        return await self._finder.get(ref, among)

    async def steer(self, what: Steer, refs: Sequence[str], reason: str = "", force: bool = False) -> Sequence[Steered]:
        """Do it to each; what cannot be done to one does not keep it from the others."""
        return await asyncio.gather(*(self._steer_one(what, ref, reason, force) for ref in refs))

    async def _steer_one(self, what: Steer, ref: str, reason: str, force: bool) -> Steered:
        try:
            job = await self.get(ref)
            if job.phase.ended:
                raise _has_ended(job)
            reply = await self._ask_about(job.id, SteerJob(what, job.id, reason, force))
        except AiosError as error:
            return Steered(ref, error=error)
        assert isinstance(reply, Job)
        return Steered(ref, job=reply)

    async def _ask_about(self, job_id: JobId, event: Event) -> Reply:
        """As `ask`, of a job that was live a moment ago."""
        try:
            return await self.ask(event)
        except NotFound:
            job = await self.get(str(job_id))
            raise (_has_ended(job) if job.phase.ended else Unavailable(f"job {job_id} is not as it was", hint="try again")) from None

    async def update(self, ref: str, change: JobChange) -> Job:
        job = await self.get(ref)
        if job.phase.ended:
            raise _has_ended(job)
        elsewhere = change.queue is not None or change.qos is not None
        groups = await self._groups_of(job.owner) if elsewhere else frozenset()
        used_bytes = await self.weigh(job) if self.weigh is not None and resizing.wants(job, change) else 0
        reply = await self._ask_about(job.id, UpdateJob(job.id, change, groups, used_bytes))
        assert isinstance(reply, Job)
        return reply

    async def _groups_of(self, owner: Owner) -> frozenset[str]:
        """Asked for only where something is for a group: it may take as long as a network does."""
        return await asyncio.to_thread(self.groups_of, owner.name, owner.gid) if names_groups(self.state) else frozenset()

    async def why(self, ref: str) -> Why:
        job = await self.get(ref)
        if job.phase is Phase.OUT_OF_MEMORY:
            return why_out_of_memory(self.state, job)
        if job.phase.ended:
            raise FailedPrecondition(f"job {job.id} does not wait: it has ended: {job.phase}", hint=f"see `aiosctl show {job.id}`", job=job.id)
        return self.engine.why(job.id, self.clock.now())

    def _not_live(self, drafts: Sequence[JobDraft]) -> Sequence[JobId]:
        named = {parsed for draft in drafts for _, text in draft.dependencies if (parsed := parse_job_id(text)) is not None}
        named |= {job_id.whole for job_id in named}
        return [job_id for job_id in named if job_id not in self.state.jobs]


def _has_ended(job: Job) -> FailedPrecondition:
    return FailedPrecondition(f"job {job.id} has ended: {job.phase}", hint="submit it again to run it again", job=job.id, phase=job.phase)


def _settle(asked: _Asked, reply: Reply | AiosError | None) -> None:
    if asked.answer is None or asked.answer.done():  # nobody waits any more
        return
    if isinstance(reply, AiosError):
        asked.answer.set_exception(reply)
    else:
        asked.answer.set_result(reply)
