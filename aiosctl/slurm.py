"""The common `#SBATCH` options as options of `submit`: what one machine can do means the same, the rest is said."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from aiosctl.failures import WrongUsage


class Words(NamedTuple):
    """The words of one directive line."""

    line: int
    words: tuple[str, ...]


class Given(NamedTuple):
    """One option as it was written; `where` is `file:line`."""

    line: int
    name: str
    value: str
    where: str


SHORT = {
    "J": "job-name",
    "o": "output",
    "e": "error",
    "n": "ntasks",
    "c": "cpus-per-task",
    "G": "gpus",
    "t": "time",
    "a": "array",
    "d": "dependency",
    "b": "begin",
    "H": "hold",
    "p": "partition",
    "A": "account",
    "D": "chdir",
    "N": "nodes",
}
FLAGS = frozenset({"hold", "requeue", "no-requeue", "get-user-env"})
OPTIONAL_VALUE = frozenset({"exclusive", "nice"})  # only as --name=value
COUNTED = ("ntasks", "ntasks-per-node", "cpus-per-task", "mem-per-cpu", "mem-per-gpu", "gpus-per-task", "priority", "nice")  # need each other
_DEPENDENCIES = {"after": "--after", "afterok": "--after-ok", "afterany": "--after-any", "afternotok": "--after-failed"}
_MEMORY = re.compile(r"(\d{1,15})([KMGT]?)B?", re.IGNORECASE)
_KIB = {"K": 1, "": 1 << 10, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30}
_MOMENTS = {"midnight": "00:00", "elevenses": "11:00", "noon": "12:00", "fika": "15:00", "teatime": "16:00", "today": "now", "tomorrow": "tomorrow 00:00"}
_TIME = re.compile(r"(?:(?P<days>\d{1,9})-)?(?P<a>\d{1,9})(?::(?P<b>\d{1,9}))?(?::(?P<c>\d{1,9}))?")
_PATTERN = re.compile(r"%(.?)")
_PATTERN_WORDS = {"j": "%j", "J": "%j", "A": "%j", "a": "%a", "x": "%x", "u": "%u", "N": "%N", "%": "%%"}


def translated(lines: Sequence[Words], file: str) -> tuple[list[Words], list[str]]:
    """The directives as options of `submit`, and warnings about those that mean nothing here.

    raises    WrongUsage when an option is known but what it asks for cannot be had: it is never dropped in silence
    """
    warnings: list[str] = []
    given = [option for words in lines for option in _options(words, file, warnings)]
    out = [Words(g.line, tuple(SINGLE[g.name](g))) for g in given if g.name in SINGLE]
    counted = {g.name: g for g in given if g.name in COUNTED}
    if counted:
        out.append(Words(max(g.line for g in counted.values()), tuple(_counted(counted))))
    return [words for words in out if words.words], warnings


def _options(words: Words, file: str, warnings: list[str]) -> list[Given]:
    """One line's options; an unknown one is a warning, and its value (if it seems to have one) is skipped with it."""
    rest, found, where = list(words.words), [], f"{file}:{words.line}"
    while rest:
        word = rest.pop(0)
        name, value = _split(word)
        if name in FLAGS or (name in OPTIONAL_VALUE and value is None):
            found.append(Given(words.line, name, value or "", where))
        elif name in SINGLE or name in COUNTED:
            if value is None and not rest:
                raise WrongUsage(f"{where}: #SBATCH {word} needs a value", f"write it as --{name}=VALUE")
            found.append(Given(words.line, name, rest.pop(0) if value is None else value, where))
        else:
            known = "mail is not sent" if name.startswith("mail-") else "it is not known here"
            warnings.append(f"{where}: #SBATCH {word} is ignored: {known}")
            if value is None and rest and not rest[0].startswith("-"):
                rest.pop(0)
    return found


def _split(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value if equals else None
    if word.startswith("-") and word[1:2] in SHORT:
        name = SHORT[word[1]]
        return (name, None) if name in FLAGS else (name, word[2:].removeprefix("=") or None)
    return word, None


def slurm_seconds(text: str) -> int | None:
    """Seconds of a Slurm time (M, M:S, H:M:S, D-H, D-H:M, D-H:M:S); None means no limit. Raises ValueError."""
    if text.lower() in ("unlimited", "infinite", "-1", "0"):
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    parts = [int(part) for part in (match["a"], match["b"], match["c"]) if part is not None]
    if match["days"] is not None:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
        return int(match["days"]) * 86400 + hours * 3600 + minutes * 60 + seconds
    if len(parts) == 3:
        return parts[0] * 3600 + parts[1] * 60 + parts[2]
    return parts[0] * 60 + (parts[1] if len(parts) == 2 else 0)


def _refuse(given: Given, why: str, hint: str = "") -> WrongUsage:
    return WrongUsage(f"{given.where}: #SBATCH --{given.name}={given.value}: {why}", hint)


def _number(given: Given, least: int = 0) -> int:
    if not re.fullmatch(r"-?\d{1,15}", given.value) or int(given.value) < least:
        raise _refuse(given, f"not a whole number of at least {least}", f"write it as --{given.name}={max(least, 1)}")
    return int(given.value)


def _memory_kib(given: Given) -> int:
    match = _MEMORY.fullmatch(given.value)
    if match is None:
        raise _refuse(given, "not a size", f"write it as --{given.name}=4G; a bare number is in MiB")
    if int(match[1]) == 0:
        raise _refuse(given, "all of the memory cannot be asked for in this way", "say how much, or ask for the machine with #SBATCH --exclusive")
    return int(match[1]) * _KIB[match[2].upper()]


def _time(given: Given) -> list[str]:
    try:
        seconds = slurm_seconds(given.value)
    except ValueError:
        raise _refuse(given, "not a Slurm time", "write it as 30 (minutes), 30:00, 2:00:00, 1-12 or 1-12:00:00") from None
    return [] if seconds is None else ["--time", f"{seconds}s"]


def _path(option: str) -> Callable[[Given], list[str]]:
    def convert(given: Given) -> list[str]:
        def word(match: re.Match[str]) -> str:
            if match[1] not in _PATTERN_WORDS:
                raise _refuse(given, f"{match[0]} is not known here", "known are %j %A %a %x %u %N and %%")
            return _PATTERN_WORDS[match[1]]

        return [option, _PATTERN.sub(word, given.value)]

    return convert


def _gpus(given: Given) -> list[str]:
    if "," in given.value:
        raise _refuse(given, "GPUs of several models cannot be asked for in one job", "ask for one model, as --gpus=a100:2")
    return ["--gpus", given.value]


def _gres(given: Given) -> list[str]:
    out: list[str] = []
    for part in given.value.split(","):
        fields = part.removeprefix("gres/").replace("=", ":").split(":")
        if part.lower() == "none":
            continue
        kind, count = fields[0], fields[-1] if len(fields) > 1 and fields[-1].isdecimal() else "1"
        models = [f for f in fields[1:] if not f.isdecimal()]
        if not kind or len(models) > 1 or len(fields) > 3:
            raise _refuse(given, f"{part!r} cannot be read", "write it as gpu:2, gpu:a100:2 or fpga:1")
        if kind == "gpu":
            out += ["--gpus", ":".join([*models, count])]
        else:
            out += ["--gres", f"{':'.join([kind, *models])}={count}"]
    return out


def _dependency(given: Given) -> list[str]:
    out: list[str] = []
    for part in given.value.split(","):
        kind, *ids = part.split(":")
        if kind not in _DEPENDENCIES or not ids or "?" in part:
            raise _refuse(given, f"{part!r} is not supported", "supported are after, afterok, afterany and afternotok, joined by commas: afterok:12:13")
        for job_id in ids:
            if not re.fullmatch(r"\d+([._]\d+)?", job_id):
                raise _refuse(given, f"{job_id!r} is not a job id", "write it as afterok:12:13")
            out += [_DEPENDENCIES[kind], job_id.replace("_", ".")]
    return out


def _nodes(given: Given) -> list[str]:
    if given.value not in ("1", "1-1"):
        raise _refuse(given, "this is one machine", "ask for --nodes=1, or for more processors of this one with --cpus-per-task")
    return []


def _as(*words: str) -> Callable[[Given], list[str]]:
    """The option with its value after `words`."""
    return lambda given: [*words, given.value]


def _moment(option: str) -> Callable[[Given], list[str]]:
    return lambda given: [option, _MOMENTS.get(given.value.lower(), given.value)]


def _flag(*words: str) -> Callable[[Given], list[str]]:
    return lambda given: list(words)


SINGLE: dict[str, Callable[[Given], list[str]]] = {
    "job-name": _as("--name"),
    "output": _path("--output"),
    "error": _path("--error"),
    "time": _time,
    "array": _as("--array"),
    "mem": lambda given: ["--memory", f"{_memory_kib(given)}KiB"],
    "gres": _gres,
    "gpus": _gpus,
    "gpus-per-node": _gpus,
    "dependency": _dependency,
    "begin": _moment("--begin"),
    "deadline": _moment("--deadline"),
    "hold": _flag("--hold"),
    "requeue": _flag("--retries", "3", "--retry-on", "preempt,lost"),
    "no-requeue": _flag("--retries", "0"),
    "exclusive": _flag("--exclusive"),
    "partition": _as("--queue"),
    "qos": _as("--qos"),
    "account": _as("--account"),
    "export": _as("--export"),
    "chdir": _as("--cwd"),
    "comment": lambda given: ["--label", f"comment={given.value}"],
    "nodes": _nodes,
    "get-user-env": _flag("--login"),
}


def _counted(given: dict[str, Given]) -> list[str]:
    """What is said a task or a processor, multiplied out; Slurm's `nice` lowers the priority in the queue."""
    tasks = next((_number(given[name], 1) for name in ("ntasks", "ntasks-per-node") if name in given), 1)
    cpus = tasks * (_number(given["cpus-per-task"], 1) if "cpus-per-task" in given else 1)
    out: list[str] = []
    if {"ntasks", "ntasks-per-node", "cpus-per-task"} & given.keys():
        out += ["--cpus", str(cpus)]
    if "mem-per-cpu" in given:
        out += ["--memory", f"{_memory_kib(given['mem-per-cpu']) * cpus}KiB"]
    if "mem-per-gpu" in given:
        raise _refuse(given["mem-per-gpu"], "memory is asked for a job or a processor here", "write --mem or --mem-per-cpu")
    if "gpus-per-task" in given:
        out += ["--gpus", str(_number(given["gpus-per-task"], 1) * tasks)]
    if {"priority", "nice"} & given.keys():
        nice = _number(given["nice"]._replace(value=given["nice"].value or "100"), -(2**31)) if "nice" in given else 0
        out += ["--priority", str((_number(given["priority"]) if "priority" in given else 0) - nice)]
    return out
