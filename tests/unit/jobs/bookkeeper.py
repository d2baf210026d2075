"""A World with the service's part and a launcher's in it, which checks what every single turn says."""

from aiosd.errors import AiosError
from aiosd.ids import JobId
from aiosd.jobs.actions import Action, End, Event, Launch, Save, Withdraw
from aiosd.jobs.job import Job, Phase
from aiosd.jobs.ports import Launched, LauncherEvent, LaunchFailed, RunEnded
from tests.unit.jobs.world import World

SHORT_S, LONG_S = 0.002, 60.0


class Bookkeeper(World):
    """A World that checks what every single turn says, with the service's part and a launcher's in it.

    `say` is what the launcher does: the event waits for the next turn, and who is staged behind a run that has ended is
    launched at once. `meanwhile` is said while the next turn is being committed.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.last_revision = 0
        self.durable = 0
        self.attempts: dict[JobId, int] = {}  # the highest that was launched
        self.runs: dict[str, Job] = {}  # launched, and not ended
        self.begun: set[str] = set()
        self.ends: dict[str, RunEnded | LaunchFailed] = {}  # as recorded for a daemon that missed it
        self.ever: set[str] = set()
        self.inbox: list[Event] = []
        self.meanwhile: list[LauncherEvent] = []
        self.asked_first = False  # whether what is asked came before what was said; by turns

    def turn(self, *events: Event) -> None:
        """All that was said and these, as one batch. Raises the last refusal, after the turn."""
        self.asked_first = not self.asked_first
        batch, self.inbox, refused = [*events, *self.inbox] if self.asked_first else [*self.inbox, *events], [], None
        for event in batch:
            try:
                self.engine.handle(event, self.now)
            except AiosError as error:
                refused = error
        self.engine.dispatch(self.now)
        actions, revision = self.engine.take_actions(), self.engine.state.revision
        meanwhile, self.meanwhile = self.meanwhile, []
        for said in meanwhile:
            self.say(said)
        self._perform(actions)
        self.durable = revision
        if refused is not None:
            raise refused

    def say(self, event: LauncherEvent) -> None:
        self.inbox.append(event)
        key = f"{event.job_id.number}.{event.job_id.index}.{event.attempt}"
        if isinstance(event, Launched):
            self.begun.add(key)
            return
        self.runs.pop(key, None)
        self.ends.setdefault(key, event)
        if isinstance(event, RunEnded):
            successor = self.engine.hand_over(event.job_id, event.attempt, self.durable)
            if successor is not None:
                assert self.saved[successor.id] == successor, "what is launched is remembered"
                self.launch(successor)

    def launch(self, job: Job) -> None:
        assert job.run_key not in self.ever, f"{job.run_key} is launched twice"
        assert job.attempt > self.attempts.get(job.id, 0), "each launch is another attempt"
        self.attempts[job.id] = job.attempt
        self.ever.add(job.run_key)
        self.runs[job.run_key] = job

    def _perform(self, actions: list[Action]) -> None:
        saved: dict[JobId, Job] = {}
        for action in actions:
            if isinstance(action, Save | End):
                job = action.job
                assert job.revision > self.last_revision, "revisions rise"
                self.last_revision = job.revision
                assert job.id not in self.ended, f"{job} changes after its end"
                assert isinstance(action, End) == job.phase.ended
                assert job.array is not None or job.attempt >= self.attempts.get(job.id, 0), "what was launched counts"
                saved[job.id] = job
                assert job.array is not None or job.phase.ended or (job.run is not None) == job.phase.active, job
                assert (job.outcome is not None) == job.phase.ended, job
                assert (job.stop is not None) == (job.phase is Phase.STOPPING), job
            if isinstance(action, Launch):
                assert saved[action.job.id] == action.job and action.job.phase is Phase.STARTING
                assert action.job.run is not None and action.job.run.after is None
                self.launch(action.job)
            if isinstance(action, Withdraw):
                assert action.job.id not in self.ended and action.job.attempt == 0
                assert action.job.revision > self.last_revision, "revisions rise"
                self.last_revision = action.job.revision
            if isinstance(action, End):
                self.ended[action.job.id] = action.job
                self.saved.pop(action.job.id, None)
                continue
            super()._perform([action])
        self.last = actions
