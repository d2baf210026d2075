"""From a job to the plan its shim gets: where everything lies under the state directory, and which variables the job sees."""

import marshal
import re
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiosd.errors import FailedPrecondition
from aiosd.host.cells.port import NO_CELLS, Cells
from aiosd.host.identities import Identity
from aiosd.host.prepare import Plan, User
from aiosd.jobs.job import Environment, Job
from aiosd.resources.grant import DeviceGrant, Grant
from aiosd.resources.oversubscription import processors

_PER_DIRECTORY = 1000  # job numbers in one directory of logs
RESTORED = "restored"  # the file that says so
_MOST_SHARED = 256
_PATTERN = re.compile(r"%[jaA%]")
_GRANT_WINS = ("CUDA_", "NVIDIA_", "AIOS_")  # of what the grant sets, this stands against the job's own environment

VariablesOf = Callable[[Grant], Mapping[str, str]]
VAULT = "secrets"  # of the state directory; root's alone
_PASSABLE, _PRIVATE = 0o711, 0o700


@dataclass(frozen=True, slots=True)
class Confinement:
    """How runs are kept to themselves. `switch`: each becomes its job's owner (for a daemon of root); `hardened`: and gains no privileges.

    `disk_quota`: the file system holds what is stored in scratch directories to the grant.
    `runtime` is where secrets are handed out: a directory in memory, where there is one; empty: below the state directory.
    """

    switch: bool = False
    hardened: bool = True
    runtime: str = ""
    disk_quota: bool = False


class Layout:
    """The places of runs: their files under the state directory, and their cells; plain strings, because each launch needs many."""

    def __init__(self, state: Path, runtime: str = "", cells: Cells = NO_CELLS) -> None:
        self.state, self.cells = state, cells
        self._state = str(state)
        self.runs = f"{state}/runs"
        self.scratches = f"{state}/scratch"
        self.checkpoints = f"{state}/checkpoints"
        self.logs = f"{state}/logs"
        self.handed_out = f"{runtime or state}/handed-out"

    def run_file(self, key: str) -> str:
        return f"{self.runs}/{key}"

    def input_fifo(self, key: str) -> str:
        return f"{self.runs}/{key}.in"

    def script(self, key: str) -> str:
        return f"{self.runs}/{key}.sh"

    def scratch(self, key: str) -> str:
        return f"{self.scratches}/{key}"

    def secrets(self, key: str) -> str:
        """What a run reads its secrets in."""
        return f"{self.handed_out}/{key}"

    def checkpoint(self, job: Job) -> str:
        """One for all attempts of a job: the next goes on where the last has stopped. Removed when the job has succeeded; else it stays."""
        return f"{self.checkpoints}/{job.id}"

    def log_directory(self, job: Job) -> str:
        number = job.id.number
        return f"{self._state}/logs/{number // _PER_DIRECTORY}/{number}"

    def log(self, job: Job, ending: str) -> str:
        """One of the kept files of the job's current attempt: `out`, `err`, `report`."""
        who = str(job.id.index) if job.id.is_element else "job"
        return f"{self.log_directory(job)}/{who}.{job.attempt}.{ending}"

    def restored_at_s(self) -> float:
        """When the backup was made that this state was restored from; 0: it never was. What had been dispatched by then is gone."""
        try:
            return float(Path(f"{self._state}/{RESTORED}").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0.0

    def make(self, *, shared: bool = False) -> None:
        """`shared`: users of the machine reach what is theirs in it, and see no names of what is not."""
        for place in (self.logs, self.runs, self.scratches, self.checkpoints, self.handed_out):
            Path(place).mkdir(parents=True, exist_ok=True)
            if shared:
                Path(place).chmod(_PASSABLE)
        if not shared:
            Path(self.handed_out).chmod(_PRIVATE)

    def log_paths(self, job: Job) -> tuple[str, str]:
        """Standard output and error: the user's own files, or the kept ones; an output file alone takes both."""
        spec = job.spec
        out = _expand(spec.stdout_path, job) if spec.stdout_path else self.log(job, "out")
        if spec.stderr_path:
            return out, _expand(spec.stderr_path, job)
        return out, out if spec.stdout_path else self.log(job, "err")


@dataclass(slots=True)
class Plans:
    """Makes the plans of runs; `variables_of` says what a grant sets. What runs share is marshalled once."""

    layout: Layout
    target: str
    variables_of: VariablesOf
    confinement: Confinement = Confinement()
    _shared: dict[tuple[Environment, int, tuple[DeviceGrant, ...]], bytes] = field(default_factory=dict)

    def needs_identity(self, job: Job) -> bool:
        """Whether it must be known who the owner is on this machine."""
        return self.confinement.switch or job.spec.login_environment

    def plan_of(self, job: Job, identity: Identity | None = None) -> bytes:
        """The marshalled plan of a STARTING job's run. `identity` is its owner's, where it is needed."""
        spec, grant, layout = job.spec, _grant(job), self.layout
        out, err = layout.log_paths(job)
        if identity is None and self.needs_identity(job):  # whoever launches looks it up first; without it the run would stay who the daemon is
            raise FailedPrecondition(f"the owner of job {job.id} was not looked up, so it cannot be launched", job=job.id, uid=job.owner.uid)
        user = _user(identity) if identity is not None and self.confinement.switch else ()
        plan = Plan(
            layout.runs, list(spec.command), spec.script, spec.cwd, self._shared_variables(spec.environment, grant), _own_variables(job, layout, self.target),
            list(processors(grant)), spec.nice, spec.umask, spec.stdin_open, out, err,
            layout.log_directory(job), layout.scratch(job.run_key), layout.checkpoint(job),
            cell=layout.cells.plan_of(job),
            user=user, limits=tuple((_number_of(limit.name), limit.soft, limit.hard) for limit in spec.process_limits),
            hardened=bool(user) and job.owner.uid != 0 and self.confinement.hardened,
            login=(identity.shell, identity.variables) if identity is not None and spec.login_environment else (),
            private_tmp=spec.private_tmp,
            secrets=(f"{layout.state}/{VAULT}/{spec.secrets_at}", layout.secrets(job.run_key), list(spec.secrets)) if spec.secrets else (),
            disk_bytes=spec.request.disk_bytes if self.confinement.disk_quota else 0,
        )  # fmt: skip
        return plan.marshalled()

    def _shared_variables(self, environment: Environment, grant: Grant) -> bytes:
        """Thread counts of the grant, over them the job's own environment, over that what the grant insists on."""
        key = (environment, grant.cpu_millis, grant.devices)
        found = self._shared.get(key)
        if found is None:
            granted = self.variables_of(grant)
            firm = {name: value for name, value in granted.items() if name.startswith(_GRANT_WINS)}
            if len(self._shared) >= _MOST_SHARED:
                del self._shared[next(iter(self._shared))]
            found = self._shared[key] = marshal.dumps({**granted, **environment.variables, **firm})
        return found


def _own_variables(job: Job, layout: Layout, target: str) -> dict[str, str]:
    """What AIOS tells this run; it stands against everything else."""
    spec, grant, key = job.spec, _grant(job), job.run_key
    own = {
        "AIOS_JOB_ID": str(job.id), "AIOS_JOB_NAME": spec.name, "AIOS_ATTEMPT": str(job.attempt), "AIOS_TARGET": target,
        "AIOS_SCRATCH": layout.scratch(key), "AIOS_CHECKPOINT_DIR": layout.checkpoint(job),
        "AIOS_CPUS": ",".join(map(str, processors(grant))), "AIOS_CPU_MILLIS": str(grant.cpu_millis),
        "AIOS_MEMORY_BYTES": str(grant.memory_bytes), "AIOS_QUEUE": spec.queue, "AIOS_RUN_KEY": key,
        "AIOS_REPORT_FILE": layout.log(job, "report"), "AIOS_CHECKPOINT_SIGNAL": spec.checkpoint_signal or "TERM", "AIOS_SUBMIT_DIR": spec.cwd,
    }  # fmt: skip
    if spec.secrets:
        own["AIOS_SECRETS"] = layout.secrets(key)
    if job.id.is_element:
        own["AIOS_ARRAY_INDEX"] = str(job.id.index)
    return own


def _user(identity: Identity) -> User:
    return identity.uid, identity.gid, list(identity.groups), identity.variables


def _number_of(limit: str) -> int:
    return int(getattr(resource, f"RLIMIT_{limit.upper()}"))


def _grant(job: Job) -> Grant:
    if job.run is None:
        raise FailedPrecondition(f"job {job.id} holds no resources, so it cannot be launched", job=job.id, phase=job.phase)
    return job.run.grant


def expanded(pattern: str, job: Job) -> str:
    """%j the job's number, %a the element's index, %A the attempt, %% a percent sign."""
    values = {"%j": str(job.id.number), "%a": str(job.id.index) if job.id.is_element else "", "%A": str(job.attempt), "%%": "%"}
    return _PATTERN.sub(lambda found: values[found[0]], pattern)


def _expand(pattern: str, job: Job) -> str:
    """Relative to the job's directory."""
    return str(Path(job.spec.cwd) / expanded(pattern, job))
