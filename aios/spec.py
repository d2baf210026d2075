"""What a job is to be, as its user writes it: `JobSpec`, and the same words as keyword arguments of `submit`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from aios.records import JobRecord

Size = str | int  # "16G", "512M", or bytes
Duration = str | float  # "90s", "2h30m", "1-12:00:00", or seconds
Moment = str | float  # "now+1h", "16:00", ISO 8601, or Unix seconds
Amount = str | float  # "4", 0.5
Devices = str | float | Mapping[str, str | float] | Iterable[str]  # 2, 0.5, "a100:2"; {"fpga": 1}; "fpga=1,nic=2"; ["fpga=1"]


class SubmitOptions(TypedDict, total=False):
    """Every option of a submission; None, "" and absence mean the daemon's default."""

    name: str
    cpus: Amount | None
    memory: Size | None
    gpus: str | float | None
    gpu_memory: Size | None
    gres: Devices | None
    disk: Size | None
    time: Duration | None
    queue: str
    qos: str
    priority: int
    nice: int
    account: str
    array: str
    after: "str | int | JobRecord | Iterable[str | int | JobRecord] | None"
    after_ok: "str | int | JobRecord | Iterable[str | int | JobRecord] | None"
    after_any: "str | int | JobRecord | Iterable[str | int | JobRecord] | None"
    after_failed: "str | int | JobRecord | Iterable[str | int | JobRecord] | None"
    begin: Moment | None
    deadline: Moment | None
    retries: int
    retry_on: str | Iterable[str]
    backoff: Duration | None
    backoff_max: Duration | None
    retry_memory_factor: float
    retry_memory_max: Size | None
    preemptible: bool
    checkpoint_signal: str
    grace: Duration | None
    env: Mapping[str, str] | None
    inherit_env: bool
    cwd: str | PathLike[str] | None
    labels: Mapping[str, str] | None
    output: str | PathLike[str] | None
    error: str | PathLike[str] | None
    exclusive: bool
    hold: bool
    notify: str
    stdin: bool
    script: str
    io_read: Size | None
    io_write: Size | None
    io_weight: int
    secrets: Mapping[str, bytes | str] | None
    private_tmp: bool
    login: bool
    umask: int | None
    limits: Mapping[str, int | tuple[int, int]] | None
    model_outputs: Mapping[str, str | PathLike[str]] | None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One job to submit.

    command         what to run: a list of words (no shell), or one string, which /bin/sh -c runs
    cpus            processors, 4 or 0.5; memory, disk, gpu_memory: "16G" (powers of 1024) or bytes
    gpus            2, 0.5 (a part of one), "a100:2" (of that model); gres: other devices, {"fpga": 1} or "fpga=1"
    time, grace     "2h30m", "1-12:00:00" or seconds: the limit, and the pause between SIGTERM and SIGKILL
    begin, deadline "now+1h", "16:00", ISO 8601 or Unix seconds: not started before; skipped when not started by then
    array           "0-99", "0-99%8" (eight at once), "1,4,7-20:2"
    after...        jobs (ids, names or Job objects) that must have started, succeeded, ended, failed before
    retry_memory_factor, retry_memory_max
                    after running out of memory a retry asks for so many times what it had, but for no more than that
    env             added to the environment of the caller (`inherit_env=False`: this alone)
    output, error   files for stdout and stderr; %j job, %a array index, %A attempt. Else the daemon keeps them
    stdin           True: fed by `client.write_input`; else /dev/null
    script          the text of a batch script; `command` is then its arguments
    io_read, ...    io_read and io_write: "200M" or bytes a second from and to each disk; io_weight: 1 to 1000 beside other jobs, 100 is usual
    secrets         values that the job reads in the files $AIOS_SECRETS/NAME, and that nobody else sees
    private_tmp     a /tmp and a /var/tmp of its own, gone at its end
    login           with the variables of a login shell, under `env`
    umask           0o027; limits: as of setrlimit, {"nofile": 4096} or {"nofile": (soft, hard)}; -1: none
    model_outputs   {"digits": "out/model.onnx"} or {"digits:try": ...}: when it has succeeded, what lies there (relative to `cwd`) is the next version
                    of that model, on main or that branch; %j, %a and %A as in `output`
    """

    command: "str | Iterable[str]"
    name: str = ""
    cpus: Amount | None = None
    memory: Size | None = None
    gpus: str | float | None = None
    gpu_memory: Size | None = None
    gres: Devices | None = None
    disk: Size | None = None
    time: Duration | None = None
    queue: str = ""
    qos: str = ""
    priority: int = 0
    nice: int = 0
    account: str = ""
    array: str = ""
    after: "str | int | JobRecord | Iterable[str | int | JobRecord] | None" = None
    after_ok: "str | int | JobRecord | Iterable[str | int | JobRecord] | None" = None
    after_any: "str | int | JobRecord | Iterable[str | int | JobRecord] | None" = None
    after_failed: "str | int | JobRecord | Iterable[str | int | JobRecord] | None" = None
    begin: Moment | None = None
    deadline: Moment | None = None
    retries: int = 0
    retry_on: str | Iterable[str] = ()
    backoff: Duration | None = None
    backoff_max: Duration | None = None
    retry_memory_factor: float = 0.0
    retry_memory_max: Size | None = None
    preemptible: bool = False
    checkpoint_signal: str = ""
    grace: Duration | None = None
    env: Mapping[str, str] | None = None
    inherit_env: bool = True
    cwd: str | PathLike[str] | None = None
    labels: Mapping[str, str] | None = None
    output: str | PathLike[str] | None = None
    error: str | PathLike[str] | None = None
    exclusive: bool = False
    hold: bool = False
    notify: str = ""
    stdin: bool = False
    script: str = ""
    io_read: Size | None = None
    io_write: Size | None = None
    io_weight: int = 0
    secrets: Mapping[str, bytes | str] | None = field(default=None, repr=False)
    private_tmp: bool = False
    login: bool = False
    umask: int | None = None
    limits: Mapping[str, int | tuple[int, int]] | None = None
    model_outputs: Mapping[str, str | PathLike[str]] | None = None
