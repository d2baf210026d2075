"""A client without a daemon: canned answers, and a record of what it was asked."""

from collections.abc import Iterable, Iterator
from typing import Any, cast

from aios.access import AuditRecord, AuditVerdict, NewToken, Token, User, UserLimits
from aios.errors import NotFound
from aios.identity import Identity
from aios.jobs import EventKind, Job, JobEvent, LogChunk, Steered
from aios.node import DaemonStatus, Isolation, NodeStatus, Reservation
from aios.queues import Policy, PolicyChoice, Qos, Queue, Share, Shares
from aios.records import ArrayProgress, JobRun, Outcome, State, Stats, Usage, Why
from aios.resources import Cpu, CpuGrant, Device, DeviceGrant, DeviceRequest, Grant, Inventory, NumaNode, Request
from aios.simulation import SeriesPoint, SimulationOutcome, SimulationProgress

NOW_S = 1_700_000_000.0


def make_job(id: str = "42", state: State = State.RUNNING, **fields: Any) -> Job:
    """A job that asked for two processors, 4 GiB and one GPU."""
    given: dict[str, Any] = {
        "name": "train", "user": "ada", "command": ("python", "train.py"), "cwd": "/work", "queue": "default",
        "request": Request(2000, 4 << 30, (DeviceRequest("gpu", 1000),)), "submitted_at_s": NOW_S - 100, "attempt": 1,
    }  # fmt: skip
    return Job(id=id, state=state, _client=cast(Any, None), **(given | fields))


def make_run(**fields: Any) -> JobRun:
    grant = Grant((CpuGrant(0, 1000), CpuGrant(1, 1000)), 4 << 30, (DeviceGrant("GPU-1", "gpu", 0, 1000, 0),))
    given: dict[str, Any] = {"started_at_s": NOW_S - 90, "pid": 77, "grant": grant, "stdout_path": "/o", "stderr_path": "/e", "progress": None}
    return JobRun(**(given | fields))


def make_outcome(**fields: Any) -> Outcome:
    given: dict[str, Any] = {
        "ended_at_s": NOW_S, "exit_code": 0, "signal": None, "core_dumped": False, "oom_killed": None, "reason": "", "usage": Usage(), "wait_s": 10.0, "run_s": 90.0,
    }  # fmt: skip
    return Outcome(**(given | fields))


def make_array() -> Job:
    progress = ArrayProgress(total=100, pending=60, active=3, succeeded=35, failed=2, limit=8, pending_ranges="40-99")
    return make_job("43", State.QUEUED, array_spec="0-99%8", array=progress, request=Request(1000, 1 << 30), name="sweep")


NODE = NodeStatus(
    inventory=Inventory(
        "box", (Cpu(0, 0, 0, 0), Cpu(1, 1, 0, 0)), 8 << 30, 9 << 30, (NumaNode(0, (0, 1), 9 << 30),),
        (Device("GPU-1", "gpu", 0, "NVIDIA A100", 40 << 30, 0, ("/dev/nvidia0",), "", "ok"),), (), 100 << 30, "Example CPU", "6.1",
    ),
    used=make_run().grant, isolation=(Isolation("cpu", "enforced by cgroup v2", ""),), drained=False, drain_reason="", policy="fair",
    daemon=DaemonStatus("1.2", 9, NOW_S, "/state", "", "sqlite", 1 << 26, "/log"), jobs_by_state={"running": 1}, load_average_1m=0.5,
    memory_available_bytes=4 << 30, warnings=(), cpu_busy_permille=500.0,
)  # fmt: skip
RESERVATION = Reservation(3, NOW_S, NOW_S + 3600, ("alice", "@vision"), Request(4000, 16 << 30, (DeviceRequest("gpu", 2000),)), "demo", "root")
POLICY = Policy("fair", "least used first", (PolicyChoice("fifo", "strict order"), PolicyChoice("fair", "least used first")))
QUEUE = Queue("default", 0, 0, True, True, 0.0, 7200.0, 3, 1, 61.0, cpu_millis=4000, share_permille=250, borrow=True, weights={"age": 5.0})
QOS = Qos("high", 10, 4, 8000, 0, 1000, 2, 0, 0, 3600.0, 2.0, ("@staff",), ("low",), "requeue", 60.0, 3, 1)
SHARES = Shares(
    (
        Share("lab", "", False, 3.0, 0.75, 7200.0, 1.0, 0.75, 0, 0, 3, 1),
        Share("ada", "lab", True, 1.0, 0.75, 7200.0, 1.0, 1.0, 2, 1, 3, 1),
        Share("bob", "", True, 1.0, 0.25, 0.0, 0.0, None, 1, 0, 0, 0),
    ),
    604800.0,
)
USER = User("ada", 1000, "operator", "group wheel", UserLimits(running_jobs=4, gpu_hours_per_day=24), True, 3, 2, 1500, 1 << 30, 500, 1.25)
TOKEN = Token("00aa11bb22", "ada", "user", NOW_S, 0.0, 0.0, 0.0, "root", "ci")
TRAIL = (
    AuditRecord(7, NOW_S, "ada", 1000, "socket", "pid 9", "Jobs.Cancel", "job 4", True, "", "ab" * 32),
    AuditRecord(8, NOW_S + 1, "", 4294967295, "", "", "Jobs.Submit", "", False, "no pass\x1b[2J", "cd" * 32),
)
WHY = Why("42", "it needs 2 of gpu; 1 is free", "resources", "gpu", "2", "1", "4", ("40", "41"), 7, ("ask for 1 gpu",), "fair", 0.0)


class FakeClient:
    """Answers from its attributes; `asked` has every call as (name, arguments)."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self.known = {job.id: job for job in jobs}
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.chunks: Iterable[LogChunk] = ()
        self.errors: dict[str, Exception] = {}
        self.fed = b""
        self.status = NODE
        self.pass_ = "aiosp1.secret"

    def __enter__(self) -> "FakeClient":
        return self

    def __exit__(self, *ended: object) -> None:
        self.asked.append(("close", (), {}))

    def _note(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        self.asked.append((name, args, kwargs))
        if name in self.errors:
            raise self.errors[name]

    def called(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        return [(args, kwargs) for called, args, kwargs in self.asked if called == name]

    def submit(self, command: Iterable[str], **options: Any) -> Job:
        self._note("submit", tuple(command), **options)
        return make_job("42", State.QUEUED)

    def job(self, ref: str, **options: Any) -> Job:
        self._note("job", ref, **options)
        if ref not in self.known:
            raise NotFound(f"there is no job {ref}", hint="see `aiosctl ps -a`")
        return self.known[ref]

    def jobs(self, **question: Any) -> Iterator[Job]:
        self._note("jobs", **question)
        return iter(self.known.values())

    def watch(self, **question: Any) -> Iterator[JobEvent]:
        self._note("watch", **question)
        yield from (JobEvent(EventKind.CHANGED, 1, job) for job in self.known.values())
        yield JobEvent(EventKind.SYNCED, 1)
        yield JobEvent(EventKind.CHANGED, 2, make_job("42", State.SUCCEEDED, run=make_run(), outcome=make_outcome()))

    def wait(self, ref: str, **options: Any) -> Job:
        self._note("wait", ref, **options)
        return self.job(ref)

    def steer(self, what: str, refs: Iterable[str], **options: Any) -> list[Steered]:
        self._note("steer", str(what), tuple(refs), **options)
        return [Steered(ref, self.known.get(ref), None if ref in self.known else NotFound(f"there is no job {ref}")) for ref in refs]

    def cancel(self, *refs: str, **options: Any) -> None:
        self._note("cancel", *refs, **options)

    def update(self, ref: str, **changes: Any) -> Job:
        self._note("update", ref, **changes)
        return self.job(ref)

    def log_chunks(self, ref: str, **options: Any) -> Iterator[LogChunk]:
        self._note("log_chunks", ref, **options)
        yield from self.chunks

    def write_input(self, ref: str, pieces: Iterable[bytes]) -> int:
        self._note("write_input", ref)
        self.fed = b"".join(pieces)
        return len(self.fed)

    def why(self, ref: str, **options: Any) -> Why:
        self._note("why", ref, **options)
        return WHY

    def simulate(self, trace: str | None, **options: Any) -> list[SimulationOutcome]:
        self._note("simulate", trace, **options)
        options["on_progress"](SimulationProgress("fifo", "easy", 1, 3))
        options["on_note"]("1 of 4 jobs never ran")
        series = (SeriesPoint(50, 10, 0.5, 1.0), SeriesPoint(150, 40, 1.0, 2.0)) if options["points"] else ()
        return [SimulationOutcome("fifo", "easy", 3, 65.0, 70.0, 1.5, 2.0, 200.0, 0.75, 1.0, 2.0, 3.0, 0.9, 1.2, 2, 0.1, series)]

    def stats(self, ref: str) -> Stats:
        self._note("stats", ref)
        return Stats("42", Request(2000, 4 << 30), make_run().grant, (), Usage(90.0, 0.0, 1 << 30), 90.0, ())

    def node(self, **options: Any) -> NodeStatus:
        self._note("node", **options)
        return self.status

    def whoami(self, **options: Any) -> Identity:
        return Identity("ada", 1000, "operator", "socket")

    def connect(self) -> "FakeClient":
        return self

    def credential(self) -> str:
        return self.pass_

    def drain(self, reason: str) -> NodeStatus:
        self._note("drain", reason)
        return NODE

    def resume_node(self) -> NodeStatus:
        self._note("resume_node")
        return NODE

    def set_device(self, device_id: str, **wish: Any) -> NodeStatus:
        self._note("set_device", device_id, **wish)
        return NODE

    def reserve(self, *wish: Any, **more: Any) -> Reservation:
        self._note("reserve", *wish, **more)
        return RESERVATION

    def unreserve(self, number: int) -> Reservation:
        self._note("unreserve", number)
        return RESERVATION

    def queues(self) -> list[Queue]:
        return [QUEUE]

    def queue(self, name: str) -> Queue:
        self._note("queue", name)
        return QUEUE

    def set_queue(self, name: str, **settings: Any) -> Queue:
        self._note("set_queue", name, **settings)
        return QUEUE

    def qos(self) -> list[Qos]:
        return [QOS]

    def shares(self) -> Shares:
        return SHARES

    def policy(self) -> Policy:
        return POLICY

    def set_policy(self, name: str, **rules: Any) -> Policy:
        self._note("set_policy", name, **rules)
        return POLICY

    # users, tokens, the audit trail

    verdict = AuditVerdict(2, True, 0, "", "cd" * 32)
    trails: tuple[tuple[AuditRecord, ...], ...] = (TRAIL,)  # what each call of `audit` answers; then KeyboardInterrupt

    def users(self) -> list[User]:
        return [USER]

    def user(self, name: str = "") -> User:
        self._note("user", name)
        return USER

    def set_user(self, name: str, **changes: Any) -> User:
        self._note("set_user", name, **changes)
        return USER

    def create_token(self, user: str, **options: Any) -> NewToken:
        self._note("create_token", user, **options)
        return NewToken(TOKEN, "aios_00aa11bb22_secret")

    def tokens(self, *, include_ended: bool = False) -> list[Token]:
        self._note("tokens", include_ended=include_ended)
        return [TOKEN]

    def revoke_token(self, id: str) -> Token:
        self._note("revoke_token", id)
        return TOKEN

    def audit(self, **question: Any) -> Iterator[AuditRecord]:
        nth = len(self.called("audit"))
        self._note("audit", **question)
        if nth >= len(self.trails):
            raise KeyboardInterrupt
        return iter(self.trails[nth])

    def verify_audit(self) -> AuditVerdict:
        return self.verdict
