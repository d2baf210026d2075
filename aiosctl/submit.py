"""`submit`: a batch script, with the options written in it and those of the command line."""

import os
import sys
from typing import Any

import click

from aiosctl import session
from aiosctl.failures import Refused, WrongUsage, hint_about, warn
from aiosctl.lazy import verb
from aiosctl.script import Script, read_script
from aiosctl.submission import JOB_OPTIONS, job_options, params_of, submit_options


@verb(
    "aiosctl submit train.sh", "aiosctl submit --gpus 1 --array 0-9 train.sh --epochs 3", "aiosctl submit --after-ok 12 - < report.sh",
    context_settings={"allow_interspersed_args": False},
)  # fmt: skip
@job_options
@click.argument("script", metavar="SCRIPT")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[ARGS]...")
@click.pass_context
def submit(ctx: click.Context, asked: dict[str, Any], script: str, arguments: tuple[str, ...]) -> None:
    """Submit a batch script and print the job's id; - reads it from stdin. ARGS are the script's own.

    Lines `#AIOS --gpus 1` before the script's first command are options as here; the common `#SBATCH` ones are read
    too. The command line beats #AIOS, and #AIOS beats #SBATCH. An #SBATCH option that is not known is a warning.
    """
    found = read_script(_bytes_of(script), "stdin" if script == "-" else script)
    for warning in found.warnings:
        warn(warning)
    merged = merged_options(found, "stdin" if script == "-" else script, asked, ctx)
    merged["name"] = merged["name"] or ("stdin" if script == "-" else os.path.basename(script))
    with session.connect() as client:
        job = client.submit(arguments, key=merged["key"], **submit_options(merged, script=found.text))
    print(job.id)
    hint_about(job.rightsizing)


def _bytes_of(script: str) -> bytes:
    if script == "-":
        return sys.stdin.buffer.read()
    try:
        with open(script, "rb") as file:
            return file.read((4 << 20) + 1)
    except OSError as error:
        raise Refused(f"the script {script} cannot be read: {error.strerror}", "to run a program instead: `aiosctl run -d -- PROGRAM`") from None


def merged_options(script: Script, file: str, asked: dict[str, Any], ctx: click.Context) -> dict[str, Any]:
    """The script's options, overruled by what the command line named; what may be given several times adds up."""
    from click.core import ParameterSource

    merged = dict(asked)
    options = params_of(JOB_OPTIONS)
    several = {option.name for option in options if option.multiple}
    typed = {name for name in asked if ctx.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)}
    written: dict[str, Any] = {}
    for line, words in script.words:
        for name, value in _parsed(options, words, f"{file}:{line}").items():
            written[name] = (*written.get(name, ()), *value) if name in several else value
    for name, value in written.items():
        if name in several:
            merged[name] = (*value, *asked[name])
        elif name not in typed:
            merged[name] = value
    return merged


def _parsed(options: list[click.Option], words: tuple[str, ...], where: str) -> dict[str, Any]:
    """The options that one directive line names, checked as on the command line; an error names file and line."""
    from click.core import ParameterSource

    command = click.Command("directive", params=list(options), add_help_option=False)
    try:
        ctx = command.make_context("directive", list(words))
    except click.UsageError as error:
        raise WrongUsage(f"{where}: {error.format_message().rstrip('.')}", getattr(error, "hint", "") or "`aiosctl submit --help` lists the options") from None
    return {name: value for name, value in ctx.params.items() if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
