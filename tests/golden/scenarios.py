"""The scenarios: each is a story of a minute or two, told by what users do; the transcripts say what the engine made of it."""

from collections.abc import Callable
from dataclasses import dataclass

from aiosd.jobs.actions import QueueChange, SetQueue
from aiosd.jobs.settings import JobsSettings
from aiosd.resources.inventory import Inventory
from aiosd.scheduling.rules import AccountSettings, Backfill, PreemptMode, PriorityWeights, SchedulingRules
from tests.fakes.policies import IMPOSSIBLE, Broken, registered
from tests.golden.play import Play
from tests.unit.jobs.world import machine


@dataclass(frozen=True)
class Scenario:
    """Its docstring is the title of the transcript; `step_s` is what a column of the charts means."""

    tell: Callable[[Play], None]
    settings: JobsSettings
    inventory: Inventory
    step_s: float

    def transcript(self) -> str:
        play = Play((self.tell.__doc__ or "").strip(), self.settings, self.inventory)
        self.tell(play)
        return play.text(self.step_s)


SCENARIOS: dict[str, Scenario] = {}


def scenario(*, settings: JobsSettings, cpus: int = 4, gpus: int = 0, step_s: float = 5) -> Callable[[Callable[[Play], None]], Callable[[Play], None]]:
    def keep(tell: Callable[[Play], None]) -> Callable[[Play], None]:
        SCENARIOS[tell.__name__] = Scenario(tell, settings, machine(cpus, gpus=gpus), step_s)
        return tell

    return keep


@scenario(settings=JobsSettings(policy="fifo"))
def fifo(play: Play) -> None:
    """Strict arrival order: C would fit beside A, and does not pass by B."""
    play.submit("A", cpus=3, lasts_s=60, limit_s=80)
    play.to(10)
    play.submit("B", cpus=4, lasts_s=30, limit_s=30)
    play.to(20)
    play.submit("C", cpus=1, lasts_s=30, limit_s=40, user="bob")
    play.to_the_end()


@scenario(settings=JobsSettings(policy="priority"))
def priority(play: Play) -> None:
    """The highest priority first; what is kept for the first that waits is not given to those behind it."""
    play.submit("A", cpus=3, lasts_s=40)
    play.submit("B", cpus=2, lasts_s=30)
    play.submit("C", cpus=2, lasts_s=30, user="bob", priority=5, say="priority 5")
    play.to(10)
    play.submit("D", cpus=1, lasts_s=30, user="carol")
    play.to_the_end()


@scenario(settings=JobsSettings(policy="fair"), cpus=2)
def fair(play: Play) -> None:
    """Alice came first with six jobs; bob, who has used nothing, is next as soon as there is room."""
    for name in "ABCDEF":
        play.submit(name, lasts_s=30)
    play.to(10)
    play.submit("X", user="bob", lasts_s=30)
    play.submit("Y", user="bob", lasts_s=30)
    play.to_the_end()


@scenario(settings=JobsSettings(policy="fair"), cpus=8, gpus=2)
def gpu_fractions(play: Play) -> None:
    """Parts of GPUs are packed together, so that a whole one is left for who wants a whole one."""
    play.submit("A", gpus=0.5, lasts_s=60)
    play.submit("B", gpus=0.25, lasts_s=40, user="bob")
    play.submit("C", gpus=0.25, lasts_s=60, user="carol")
    play.to(10)
    play.submit("W", gpus=1, lasts_s=30, user="dora", say="a whole one")
    play.submit("D", gpus=0.25, lasts_s=20, user="bob")
    play.to_the_end()


@scenario(settings=JobsSettings(policy="fair"), cpus=4)
def queue_limit(play: Play) -> None:
    """A queue that runs one job at a time keeps nobody of another queue waiting."""
    play.do(SetQueue("night", QueueChange(max_running=1)), "queue night runs one job at a time")
    for name in "ABC":
        play.submit(name, queue="night", lasts_s=20)
    play.to(10)
    play.submit("D", cpus=3, user="bob", lasts_s=30)
    play.to_the_end()


@scenario(settings=JobsSettings(policy="fair"), cpus=2, step_s=10)
def fallback(play: Play) -> None:
    """A policy fails whenever anybody waits: fifo stands in, and after a minute it is tried again, then after two."""
    broken = Broken(IMPOSSIBLE["the same job twice"][0])
    with registered(broken):
        play.submit("A", cpus=2, lasts_s=150)
        play.set_policy("broken")
        play.submit("B", cpus=2, lasts_s=50, user="bob")
        play.submit("C", cpus=1, lasts_s=50)
        play.to(100)
        broken.mended = True
        play.to_the_end()


AGEING = SchedulingRules(weights=PriorityWeights(age=100, fair_share=0, queue=0, qos=0, nice=0, explicit=1000, age_max_s=120))


@scenario(settings=JobsSettings(policy="priority", scheduling=AGEING), cpus=1, step_s=10)
def ageing(play: Play) -> None:
    """Urgent jobs keep coming, and the patient one starts all the same: after two minutes it goes before all that have not waited so long."""
    play.submit("P", lasts_s=20, limit_s=20, say="nothing special")
    play.submit("p", lasts_s=20, limit_s=20, say="nothing special, patient")
    for number, name in enumerate("ABCDEF"):
        play.submit(name, lasts_s=30, limit_s=30, user="bob", priority=50, say="priority 50")
        play.to(25 * (number + 1))
    play.to_the_end()


TREE = SchedulingRules(
    accounts={"lab": AccountSettings("lab", shares=1.0), "vision": AccountSettings("vision", "lab", 2.0), "speech": AccountSettings("speech", "lab", 1.0)}
)


@scenario(settings=JobsSettings(policy="fair", scheduling=TREE), cpus=3)
def fair_tree(play: Play) -> None:
    """Of two accounts of the lab vision has twice the shares of speech: of every three that start two are its own, whoever came first."""
    for name in "abcdef":
        play.submit(name, account="speech", user="sam", lasts_s=30)
    for name in "PQRS":
        play.submit(name, account="vision", user="vera", lasts_s=30)
    play.to_the_end()


@scenario(settings=JobsSettings(policy="fifo", scheduling=SchedulingRules(backfill=Backfill.EASY)), cpus=4, gpus=1)
def easy(play: Play) -> None:
    """A wide job waits with a place kept for it. Beside it starts what ends before, or what needs nothing of that place; nothing that would delay it."""
    play.submit("A", cpus=2, lasts_s=60, limit_s=60)
    play.submit("W", cpus=3, lasts_s=40, limit_s=40, user="bob", say="wide")
    play.to(5)
    play.submit("s", lasts_s=40, limit_s=40, user="carol", say="ends before W can start")
    play.to(10)
    play.submit("n", lasts_s=90, limit_s=90, user="dora", say="leaves W its three")
    play.to(15)
    play.submit("x", lasts_s=90, limit_s=90, user="carol", say="would delay W")
    play.to_the_end()


@scenario(settings=JobsSettings(policy="fifo", scheduling=SchedulingRules(backfill=Backfill.CONSERVATIVE)), cpus=4)
def conservative(play: Play) -> None:
    """Everybody who waits has a place kept: s would not delay W, which is first, but V, which is second; with easy it would start at once."""
    _two_wait_and_one_is_small(play)


@scenario(settings=JobsSettings(policy="fifo", scheduling=SchedulingRules(backfill=Backfill.EASY)), cpus=4)
def easy_delays_the_second(play: Play) -> None:
    """Only the first that waits has a place kept: s starts at once, and V, which is second, starts later for it."""
    _two_wait_and_one_is_small(play)


def _two_wait_and_one_is_small(play: Play) -> None:
    play.submit("A", cpus=3, lasts_s=60, limit_s=60)
    play.submit("W", cpus=2, lasts_s=40, limit_s=40, user="bob")
    play.submit("V", cpus=2, lasts_s=40, limit_s=40, user="carol")
    play.to(10)
    play.submit("s", cpus=1, lasts_s=120, limit_s=120, user="dora", say="small and long")
    play.to_the_end()


@scenario(settings=JobsSettings(policy="priority"), cpus=2)
def preemption_by_checkpoint(play: Play) -> None:
    """An urgent job has room made for it: the run of the other queue saves its work, and goes on from there when the urgent one has ended."""
    play.do(SetQueue("urgent", QueueChange(preempts=("default",))), "queue urgent may preempt the runs of queue default")
    play.do(SetQueue("default", QueueChange(preempt_mode=PreemptMode.CHECKPOINT)), "which then save their work and queue again")
    play.submit("A", cpus=2, lasts_s=120, checkpoint_signal="USR1", say="saves its work at SIGUSR1")
    play.to(40)
    play.submit("U", cpus=2, lasts_s=60, limit_s=90, user="bob", queue="urgent")
    play.to_the_end()


@scenario(settings=JobsSettings(policy="priority"), cpus=4)
def preemption_by_suspension(play: Play) -> None:
    """The youngest run that is enough is frozen where it is, and goes on as soon as its processors are free again."""
    play.do(SetQueue("urgent", QueueChange(preempts=("default",))), "queue urgent may preempt the runs of queue default")
    play.do(SetQueue("default", QueueChange(preempt_mode=PreemptMode.SUSPEND)), "which are then frozen")
    play.submit("A", cpus=2, lasts_s=80)
    play.to(10)
    play.submit("B", cpus=2, lasts_s=80, user="carol")
    play.to(30)
    play.submit("U", cpus=2, lasts_s=30, limit_s=30, user="bob", queue="urgent")
    play.to_the_end()
