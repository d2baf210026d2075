"""Habits that a file can be held to: sizes, first sentences, names, and where `async` may stand."""

import ast
from pathlib import Path

import pytest

from tests.arch.source import DOMAINS, ROOT, modules, name_of

MAX_LINES = 400
FORBIDDEN_WORDS = ("Manager", "Handler", "Helper", "Base", "Utils")
PURE_BANS = {"asyncio", "time", "random", "os", "threading", "socket", "logging"}

each_module = pytest.mark.parametrize("file", modules(), ids=name_of)
each_domain_module = pytest.mark.parametrize(
    "file", [f for f in modules("aiosd") if f.relative_to(ROOT).parts[1] in DOMAINS and not f.name.endswith(("service.py", "ports.py"))], ids=name_of
)


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


@each_module
def test_a_file_is_short_enough_to_be_read_at_once(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@each_module
def test_a_file_opens_with_a_sentence_that_says_what_lives_there(file: Path) -> None:
    first = (ast.get_docstring(tree_of(file)) or "").partition("\n\n")[0]
    assert first.endswith((".", "?", "!")), "the first paragraph of the docstring must be a sentence"


@each_module
def test_names_say_what_a_thing_is(file: Path) -> None:
    assert not any(word in file.stem for word in ("utils", "helpers", "misc", "common"))
    names = [node.name for node in ast.walk(tree_of(file)) if isinstance(node, ast.ClassDef)]
    assert not [name for name in names if name.endswith(FORBIDDEN_WORDS)]


@each_module
def test_nothing_is_left_half_done(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not [word for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X ", "INTERFACE" + " FIRST") if word in text]


@each_domain_module
def test_only_services_and_ports_are_asynchronous(file: Path) -> None:
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in ast.walk(tree_of(file)) if isinstance(node, waiting)]


@each_domain_module
def test_the_pure_parts_import_nothing_of_the_world(file: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert not imported & PURE_BANS


@each_module
def test_no_task_is_started_and_forgotten(file: Path) -> None:
    """Only a task group may own a task that nobody keeps: a bare one can vanish, or fail unheard."""
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
            call = node.value.func
            owner = ast.unparse(call.value)
            bare = owner in ("asyncio", "loop") or owner.endswith(("_loop", "get_running_loop()"))
            assert not (call.attr in ("create_task", "ensure_future") and bare), f"line {node.lineno}"
