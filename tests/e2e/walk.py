"""A walk along the steps at which something can be made to die: jobs that are submitted meanwhile, and what must have become of them."""

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Unpack

import aios
from aios.spec import SubmitOptions
from aiosd.host import faults
from tests.e2e.daemon import LOOK_S, PATIENCE_S, Daemon
from tests.e2e.thread_user import act_as

SERVICE = ("turn.1-decided", "turn.2-committed", "turn.3-answered", "turn.4-acted")
STORAGE = ("commit.1-before", "commit.2-written", "commit.3-committed")
RECOVERY = ("recover.1-before-bar", "recover.2-barred")
SHIM = ("shim.1-forked", "shim.2-claimed", "shim.3-spawned", "shim.4-ended", "shim.5-recorded")
SPAWNER = ("spawner.1-received", "spawner.2-forked")
DAEMON = (*SERVICE, *STORAGE, *(s for s in faults.STEPS if s not in (*RECOVERY, *SHIM, *SPAWNER)))
HONESTLY_LOST = SHIM[1:4]  # the only witness of the run is gone


class Walk:
    """Submissions that go on trying while daemons come and go, and what became of them.

    uid      who submits; None: whoever runs the tests
    options  more of each submission; `after` is shell that each job runs when it has left its mark
    """

    def __init__(self, daemon: Daemon, *, uid: int | None = None, after: str = "", **options: Unpack[SubmitOptions]) -> None:
        self.daemon = daemon
        self.marks = daemon.root / "marks"
        self.client = daemon.client(timeout=90.0)
        self.threads = ThreadPoolExecutor(16) if uid is None else ThreadPoolExecutor(16, initializer=act_as, initargs=(uid,))
        self._after, self._options = after, options
        self.asked: dict[str, tuple[int, Future[aios.Job]]] = {}

    def submit(self, name: str, code: int) -> None:
        """One line in a file, then an exit code; repeated with its key until it is acknowledged."""
        self.asked[name] = (code, self.threads.submit(self._insist, name, code))

    def _insist(self, name: str, code: int) -> aios.Job:
        command = ["sh", "-c", f"echo {name} >> {self.marks}; {self._after}exit {code}"]
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.client.submit(command, name=name, key=f"key-{name}", env={}, inherit_env=False, cwd="/", **self._options)
            except aios.errors.Unavailable:  # a daemon that was never met is not waited for by the SDK
                if time.monotonic() > give_up_s:
                    raise
            time.sleep(LOOK_S)

    def ran(self) -> Counter[str]:
        return Counter(self.marks.read_text().split()) if self.marks.exists() else Counter()

    def all_have_ended(self) -> bool:
        """Looked at with little patience: the daemon may just be dying."""
        try:
            return all(asked.done() and self.client.job(asked.result().id, timeout=0.5).ended for _, asked in self.asked.values())
        except aios.AiosError:
            return False

    def check(self, may_be_lost: bool = False) -> None:
        """With a daemon that runs: every submission became one job, with one true end."""
        self.threads.shutdown()
        jobs = {name: asked.result().wait() for name, (_, asked) in self.asked.items()}
        known = list(self.client.jobs(include_ended=True))
        assert sorted(job.id for job in known) == sorted(job.id for job in jobs.values())
        ran = self.ran()
        for name, job in jobs.items():
            code, _ = self.asked[name]
            assert len(self.daemon.ends_of(job.id)) <= 1, name
            if may_be_lost and job.state is aios.State.LOST:
                assert job.outcome is not None and job.outcome.reason
                assert ran[name] <= 1, name
            else:
                assert (job.state, job.exit_code) == (aios.State.FAILED if code else aios.State.SUCCEEDED, code), (name, job.reason)
                assert ran[name] == 1, name
        assert ran.keys() <= self.asked.keys()
        self.daemon.assert_clean()
