"""Every verb: its help has an example, each example parses, and start-up imports nothing heavy."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from aiosctl.cli import COMMANDS, SECTIONS, root
from aiosctl.lazy import Nouns, Verb

VERBS_OF_PRODUCT = [
    "share",
    "qos",
    "run",
    "submit",
    "ps",
    "show",
    "logs",
    "wait",
    "cancel",
    "hold",
    "release",
    "suspend",
    "resume",
    "requeue",
    "update",
    "why",
    "stats",
    "attach",
    "top",
    "events",
    "node",
    "queue",
    "policy",
    "simulate",
    "forecast",
    "schedule",
    "daemon",
    "admin",
    "completion",
    "model",
    "data",
    "whoami",
    "version",
]


def walk(group: Nouns, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    ctx = click.Context(group, info_name="aiosctl")
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, Nouns):
            yield from walk(command, (*path, name))


ALL = list(walk(root))
VERBS = [(path, command) for path, command in ALL if not isinstance(command, Nouns)]
EXAMPLES = [example for _, command in VERBS if isinstance(command, Verb) for example in command.examples]


def words_of(example: str) -> list[str]:
    """The words of the aiosctl call in an example, without what the shell does around it."""
    call = re.split(r"\s[|<>]|\s2>|\)", example[example.rindex("aiosctl ") :])[0]
    return shlex.split(call)[1:]


def parses(words: list[str]) -> None:
    ctx, command = click.Context(root, info_name="aiosctl"), root
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(ctx, command.named(ctx, words) if isinstance(command, Nouns) else words)
        assert found is not None
        ctx, command = click.Context(found, info_name=name, parent=ctx), found  # type: ignore[assignment]
    with command.make_context("verb", list(words), parent=ctx):
        pass


def test_every_verb_of_the_product_is_there() -> None:
    assert list(COMMANDS) != [] and set(VERBS_OF_PRODUCT) == set(COMMANDS)
    assert set(SECTIONS) <= set(COMMANDS)


@pytest.mark.parametrize("path", [path for path, _ in VERBS], ids=" ".join)
def test_help_of_every_verb_has_an_example_of_itself(path: tuple[str, ...]) -> None:
    command = dict(ALL)[path]
    assert isinstance(command, Verb)
    text = command.get_help(click.Context(command, info_name=" ".join(path)))
    assert "Examples:" in text and f"aiosctl {' '.join(path)}" in text.split("Examples:")[1]
    assert command.help and command.help.strip().endswith(".")


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e != "aiosctl --version"])
def test_every_example_parses(example: str) -> None:
    parses(words_of(example))


def test_an_example_with_an_unknown_flag_would_not_parse() -> None:
    with pytest.raises(click.UsageError):
        parses(words_of("aiosctl ps --nonsense | head"))


@pytest.mark.parametrize("path", [path for path, command in ALL if isinstance(command, Nouns)], ids=" ".join)
def test_table_and_command_agree_on_the_name(path: tuple[str, ...]) -> None:
    group = dict(ALL)[path]
    assert isinstance(group, Nouns)
    for name in group.table:
        assert dict(ALL)[(*path, name)].name == name


def modules_after(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"{code}\nimport sys; print('|'.join(sys.modules))"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split("|"))


def test_help_imports_neither_the_sdk_nor_anything_heavy() -> None:
    loaded = modules_after("from aiosctl.cli import root\ntry: root.main(['--help'], standalone_mode=True)\nexcept SystemExit: pass")
    assert "aiosctl.cli" in loaded
    assert not loaded & {"aios", "grpc", "google.protobuf", "rich", "yaml", "json", "asyncio", "subprocess", "aiosctl.jobs", "aiosctl.output"}


@pytest.mark.parametrize("module", ["jobs", "run", "foreground", "submit", "logs", "wait", "steer", "show", "why", "node", "queues", "daemon", "top"])
def test_a_verb_loads_no_rpc_library_before_its_first_call(module: str) -> None:
    loaded = modules_after(f"import aiosctl.cli, aiosctl.{module}")
    assert not loaded & {"grpc", "google.protobuf", "rich", "yaml", "json", "asyncio", "subprocess", "aiosd"}


def test_completion_prints_a_script_for_each_shell(cli) -> None:  # type: ignore[no-untyped-def]
    for shell in ("zsh", "fish"):
        assert "_AIOSCTL_COMPLETE" in cli("completion", shell).out
    assert cli("completion", "tcsh").status == 2


def test_an_unknown_verb_names_the_nearest(cli) -> None:  # type: ignore[no-untyped-def]
    result = cli("cancle", "42")
    assert (result.status, result.out) == (2, "")
    assert result.err == "error: there is no command `aiosctl cancle`\nhint: did you mean cancel?\n"
