"""Batch scripts: the `#AIOS` and `#SBATCH` lines before the first command, as options of `submit`."""

import shlex
from dataclasses import dataclass

from aiosctl.failures import WrongUsage
from aiosctl.slurm import Words, translated

_MARKS = ("#AIOS", "#SBATCH")
_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text and the options written in it; `words` are of `#SBATCH` first, so that `#AIOS` beats them."""

    text: str
    words: tuple[Words, ...]
    warnings: tuple[str, ...]


def read_script(data: bytes, file: str) -> Script:
    """A batch script from its bytes.

    data      what the file holds
    file      its name, for messages
    raises    WrongUsage when it is not a script, or a directive of it cannot be read
    """
    text = _checked_text(data, file)
    aios: list[Words] = []
    slurm: list[Words] = []
    warnings: list[str] = []
    in_head = True
    for number, line in enumerate(text.splitlines(), 1):
        mark = next((m for m in _MARKS if line == m or line.startswith((m + " ", m + "\t"))), None)
        if mark and in_head:
            (aios if mark == "#AIOS" else slurm).append(Words(number, _words(line[len(mark) :], file, number)))
        elif mark:
            warnings.append(f"{file}:{number}: this {mark} line is ignored: it comes after the first command")
        elif line.strip() and not line.lstrip().startswith("#"):
            in_head = False
    from_slurm, slurm_warnings = translated(slurm, file)
    return Script(text, (*from_slurm, *aios), (*slurm_warnings, *warnings))


def _checked_text(data: bytes, file: str) -> str:
    if len(data) > _MOST_BYTES:
        raise WrongUsage(f"{file} has {len(data)} bytes; a batch script has at most {_MOST_BYTES}", "let the script call the rest from a file")
    if not data.startswith(b"#!"):
        hint = "begin it with #!/bin/bash, or run a program by `aiosctl run -d -- PROGRAM`"
        raise WrongUsage(f"{file} is not a batch script: its first line does not start with #!", hint)
    if b"\0" in data:
        raise WrongUsage(f"{file} has a NUL byte; a batch script is text", "run a program by `aiosctl run -d -- PROGRAM`")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WrongUsage(f"{file} is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}", "save the script as UTF-8") from None


def _words(rest: str, file: str, number: int) -> tuple[str, ...]:
    """The words of a directive as a shell splits them; a word that starts with # begins a comment."""
    kept = []
    try:
        for word in _shell_words(rest):
            if word.startswith("#"):
                break
            kept.append(word)
    except ValueError as error:
        raise WrongUsage(f"{file}:{number}: {rest.strip()!r} cannot be split into words: {str(error).lower()}", "close the quotation marks") from None
    return tuple(kept)


def _shell_words(rest: str) -> list[str]:
    """`shlex.split`; when a comment at the end has an odd quotation mark, what is before the comment."""
    try:
        return shlex.split(rest)
    except ValueError:
        before, mark, _ = rest.partition(" #")
        if not mark:
            raise
        return shlex.split(before)
