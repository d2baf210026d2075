"""The options of `run` and `submit`, and what they become: the keyword arguments of the SDK's `submit`."""

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from aiosctl.options import COUNT, CPUS, DURATION, GPUS, GRES, IO_WEIGHT, MOMENT, NICE, PAIR, PRIORITY, SIZE, Value

if TYPE_CHECKING:
    from aios.spec import SubmitOptions

F = TypeVar("F", bound=Callable[..., Any])
_MOST_SECRET_BYTES = 1 << 20
_CONDITIONS = ("exit", "oom", "preempt", "timeout", "lost")


def _conditions(text: str) -> tuple[str, ...]:
    words = tuple(word.strip().lower() for word in text.split(","))
    for word in words:
        if word not in _CONDITIONS:
            raise ValueError(f"{word!r} is not one of {', '.join(_CONDITIONS)}")
    return words


def _jobs(text: str) -> tuple[str, ...]:
    """`12,13` or `12:13`: ids or names, with commas (as Slurm has it: colons) between them."""
    refs = tuple(ref.strip() for ref in text.replace(":", ",").split(","))
    if not all(refs):
        raise ValueError(f"{text!r} has an empty job id")
    return refs


def _environment_pair(text: str) -> tuple[str, str]:
    """`K=V`, or `K` alone for its value here, as docker has it."""
    name, equals, value = text.partition("=")
    if not name:
        raise ValueError(f"{text!r} has no name before the =")
    if not equals and name not in os.environ:
        raise ValueError(f"{name!r} is not set in this environment, and has no =VALUE")
    return name, value if equals else os.environ[name]


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number") from None
    if not 1 <= factor <= 100:
        raise ValueError(f"{text[:40]} is not between 1 and 100")
    return factor


FACTOR = Value("number", _factor, "2 or 1.5")


def _secret(text: str) -> tuple[str, bytes]:
    """`NAME=@FILE`; a value itself would be seen by everybody in the list of processes."""
    name, _, source = text.partition("=")
    if not name:
        raise ValueError("the secret has no name")
    if not source.startswith("@") or source == "@":
        raise ValueError(f"{name[:40]!r} does not name a file: a value on the command line can be seen by everybody")
    try:
        with open(source[1:], "rb") as file:
            return name, file.read(_MOST_SECRET_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the file {source[1:]} of secret {name} cannot be read: {error.strerror}") from None


def _umask(text: str) -> int:
    if not text or len(text) > 4 or set(text) - set("01234567"):
        raise ValueError(f"{text[:40]!r} is not a umask")
    return int(text, 8)


def _limit(text: str) -> tuple[str, int | tuple[int, int]]:
    name, equals, value = text.partition("=")
    soft, colon, hard = value.partition(":")
    if not name or not equals:
        raise ValueError(f"{text[:40]!r} is not NAME=LIMIT")
    return name, (_limit_number(soft), _limit_number(hard)) if colon else _limit_number(soft)


def _limit_number(text: str) -> int:
    """A number, a size, or no limit at all."""
    from aios.units import parse_bytes

    if text in ("unlimited", "infinity", "-1"):
        return -1
    return int(text) if text.isdecimal() else parse_bytes(text, what="limit")


def _model_output(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if not name or not path:
        raise ValueError(f"{text[:80]!r} is not MODEL=PATH")
    return name, path


CONDITIONS = Value("conditions", _conditions, "oom,preempt")
JOBS = Value("job", _jobs, "12 or 12,13")
ENVIRONMENT = Value("k=v", _environment_pair, "LR=0.1")
SECRET = Value("name=@file", _secret, "TOKEN=@token.txt")
UMASK = Value("umask", _umask, "027")
LIMIT = Value("name=limit", _limit, "nofile=4096 or nofile=1024:4096")
MODEL_OUTPUT = Value("model=path", _model_output, "digits=out/model.onnx or digits:try=model.onnx")

JOB_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--name", default="", help="Its name; else the command's."),
    click.option("--cpus", type=CPUS, help="Processors: 4, or 0.5 of one."),
    click.option("--memory", type=SIZE, help="Memory: 16G, 512M."),
    click.option("--gpus", type=GPUS, help="GPUs: 2, a100:2 of that model, 0.5 of one."),
    click.option("--gpu-memory", type=SIZE, help="Memory of each GPU: 10G."),
    click.option("--gres", type=GRES, multiple=True, help="Other devices: fpga=1."),
    click.option("--disk", type=SIZE, help="Scratch space: 50G."),
    click.option("--io-read", type=SIZE, help="Read at most so much a second from each disk: 200M."),
    click.option("--io-write", type=SIZE, help="Write at most so much a second to each disk."),
    click.option("--io-weight", type=IO_WEIGHT, default=0, help="Its part of a busy disk, 1 to 1000; 100 is usual."),
    click.option("--time", "time", type=DURATION, help="Time limit: 90s, 2h30m, 1-12:00:00."),
    click.option("--queue", default="", help="The queue it goes to."),
    click.option("--qos", default="", help="Its quality of service, of those that the operator offers."),
    click.option("--priority", type=PRIORITY, default=0, help="Higher goes first."),
    click.option("--nice", type=NICE, default=0, help="Niceness of its processes, -20 to 19."),
    click.option("--account", default="", help="Whom it is counted for."),
    click.option("--array", default="", metavar="RANGES", help="One job for each index: 0-99, 0-99%8 (eight at once), 1,4,7-20:2."),
    click.option("--after", type=JOBS, multiple=True, help="Not before these have started."),
    click.option("--after-ok", type=JOBS, multiple=True, help="Not before these have succeeded."),
    click.option("--after-any", type=JOBS, multiple=True, help="Not before these have ended, however."),
    click.option("--after-failed", type=JOBS, multiple=True, help="Not before these have failed."),
    click.option("--begin", type=MOMENT, help="Not before: 18:30, now+2h, 2026-12-31T08:00."),
    click.option("--deadline", type=MOMENT, help="Skip it when it has not started by then."),
    click.option("--retries", type=COUNT, default=0, help="Try again so often."),
    click.option("--retry-on", type=CONDITIONS, default=(), help=f"What is tried again: {', '.join(_CONDITIONS)}."),
    click.option("--backoff", type=DURATION, help="Pause before the first retry; doubles each time."),
    click.option("--retry-memory-factor", type=FACTOR, default=0.0, help="After running out of memory: ask for so many times what it had."),
    click.option("--retry-memory-max", type=SIZE, help="And for no more than that: 64G."),
    click.option("--preemptible", is_flag=True, help="May be put back for a job that goes first."),
    click.option("--checkpoint-signal", default="", metavar="SIGNAL", help="Sent first when it is to be put back: USR1."),
    click.option("--grace", type=DURATION, help="Between SIGTERM and SIGKILL: 60s."),
    click.option("--env", type=ENVIRONMENT, multiple=True, help="Set a variable; your environment is taken along anyway."),
    click.option("--export", default="ALL", hidden=True, metavar="NAMES", help="Which of your variables are taken along: ALL, NONE, or names."),
    click.option("--cwd", "-C", "cwd", default="", metavar="DIR", help="Working directory; else this one."),
    click.option("--label", "labels", type=PAIR, multiple=True, help="A label, to find it by."),
    click.option("--output", default="", metavar="FILE", help="File for stdout: %j id, %a array index, %A attempt, %x name."),
    click.option("--error", default="", metavar="FILE", help="File for stderr; else where --output goes."),
    click.option("--exclusive", is_flag=True, help="The whole machine, alone."),
    click.option("--hold", is_flag=True, help="Do not start it before `release`."),
    click.option("--notify", default="", metavar="COMMAND", help="A shell command, run when it has ended for good."),
    click.option("--secret", "secrets", type=SECRET, multiple=True, help="A value that only the job reads, in $AIOS_SECRETS/NAME: NAME=@FILE."),
    click.option("--private-tmp", is_flag=True, help="A /tmp of its own, gone at its end."),
    click.option("--login", is_flag=True, help="With the variables of your login shell, under those of --env."),
    click.option("--umask", type=UMASK, help="Of its processes, octal: 027."),
    click.option("--limit", "limits", type=LIMIT, multiple=True, help="A process limit, soft or soft:hard: nofile=4096, core=0, stack=unlimited."),
    click.option(
        "--model-output",
        "model_outputs",
        type=MODEL_OUTPUT,
        multiple=True,
        help="Register what it leaves there when it succeeds: digits=model.onnx, or digits:BRANCH=PATH.",
    ),
    click.option("--key", default="", metavar="KEY", help="The same key never makes a second job."),
)


def job_options(function: F) -> F:
    """All options of a job, handed to the function as one `asked`: a dict by the names of JOB_OPTIONS."""
    names = {parameter.name for parameter in params_of(JOB_OPTIONS)}

    @wraps(function)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        asked = {name: kwargs.pop(name) for name in list(kwargs) if name in names}
        return function(*args, asked=asked, **kwargs)

    for option in reversed(JOB_OPTIONS):
        gathered = option(gathered)
    return cast(F, gathered)


def params_of(options: tuple[Callable[[Any], Any], ...]) -> list[click.Option]:
    """The options themselves, as a command holds them."""

    def bare() -> None:
        """Carries the options."""

    for option in reversed(options):
        option(bare)
    command = click.command("options")(bare)
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def submit_options(asked: Mapping[str, Any], *, stdin: bool = False, script: str = "") -> "SubmitOptions":
    """What the SDK's `submit` takes; paths are made absolute here, where the user's directory is known."""
    here = os.path.abspath(asked["cwd"] or ".")
    inherit, chosen = _exported(asked["export"])
    options: SubmitOptions = {
        "name": asked["name"], "cpus": asked["cpus"], "memory": asked["memory"], "gpus": asked["gpus"], "gpu_memory": asked["gpu_memory"],
        "gres": list(asked["gres"]) or None, "disk": asked["disk"], "time": asked["time"], "queue": asked["queue"],
        "qos": asked["qos"], "priority": asked["priority"],
        "nice": asked["nice"], "account": asked["account"], "array": asked["array"], "after": _flat(asked["after"]), "after_ok": _flat(asked["after_ok"]),
        "after_any": _flat(asked["after_any"]), "after_failed": _flat(asked["after_failed"]), "begin": asked["begin"], "deadline": asked["deadline"],
        "retries": asked["retries"], "retry_on": asked["retry_on"], "backoff": asked["backoff"],
        "retry_memory_factor": asked["retry_memory_factor"], "retry_memory_max": asked["retry_memory_max"], "preemptible": asked["preemptible"],
        "checkpoint_signal": asked["checkpoint_signal"], "grace": asked["grace"], "env": {**chosen, **dict(asked["env"])}, "inherit_env": inherit,
        "cwd": here, "labels": dict(asked["labels"]), "exclusive": asked["exclusive"], "hold": asked["hold"], "notify": asked["notify"],
        "output": output_path(asked["output"], here, asked["name"]), "error": output_path(asked["error"], here, asked["name"]),
        "stdin": stdin, "script": script, "io_read": asked["io_read"], "io_write": asked["io_write"], "io_weight": asked["io_weight"],
        "secrets": dict(asked["secrets"]) or None, "private_tmp": asked["private_tmp"], "login": asked["login"],
        "umask": asked["umask"], "limits": dict(asked["limits"]) or None, "model_outputs": dict(asked["model_outputs"]) or None,
    }  # fmt: skip
    return options


def output_path(text: str, directory: str, name: str) -> str:
    """An absolute path; `%x` (name), `%u` (user) and `%N` (machine) are known here, the rest to the daemon."""
    if not text:
        return ""
    out, at = [], 0
    while at < len(text):
        pair = text[at : at + 2]
        out.append(_known_here(pair, name) if pair in ("%x", "%u", "%N") else pair if pair == "%%" else text[at])
        at += 2 if pair in ("%x", "%u", "%N", "%%") else 1
    return os.path.join(directory, "".join(out))


def _known_here(pair: str, name: str) -> str:
    if pair == "%x":
        return (name or "job").replace("/", "_").replace("%", "%%")
    if pair == "%N":
        return os.uname().nodename
    from getpass import getuser

    return getuser()


def _exported(export: str) -> tuple[bool, dict[str, str]]:
    """Whether the whole environment is taken along, and which variables are named: `ALL,LR=1`, `NONE`, `HOME,LR=1`."""
    inherit, chosen = False, {}
    for word in filter(None, (part.strip() for part in export.split(","))):
        name, equals, value = word.partition("=")
        if word.upper() == "ALL":
            inherit = True
        elif equals:
            chosen[name] = value
        elif word.upper() not in ("NONE", "NIL") and name in os.environ:
            chosen[name] = os.environ[name]
    return inherit, chosen


def _flat(groups: tuple[tuple[str, ...], ...]) -> list[str]:
    return [ref for group in groups for ref in group]
