"""What the README shows is what happens: its commands are run, its Python is compiled, its names exist."""

import re

import aios
from tests.arch.source import ROOT
from tests.e2e.daemon import Daemon

README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown() -> list[tuple[list[str], list[str]]]:
    """Each command of the first transcript, as words, with the lines that it prints."""
    found: list[tuple[list[str], list[str]]] = []
    for line in re.findall(r"^    (.*)$", README, flags=re.MULTILINE):
        if line.startswith("$ .venv/bin/aiosctl "):
            found.append((line.removeprefix("$ .venv/bin/aiosctl ").split(), []))
        elif found and len(found) <= 3 and not found[-1][0][0].startswith("protos"):
            found[-1][1].append(line)
    return found[:3]


def printed(daemon: Daemon, command: list[str]) -> list[str]:
    done = daemon.aiosctl(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()


def test_the_first_job_prints_what_the_readme_prints(daemon: Daemon) -> None:
    (daemon.root / "train.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    daemon.start()
    first, second, third = shown()
    smaller = {"--cpus": "1", "--memory": "64M"}  # it is to fit on any machine
    on_any_machine = [smaller.get(before, word) for before, word in zip(["", *second[0]], second[0], strict=False)]
    assert printed(daemon, first[0]) == first[1][:1]
    assert printed(daemon, on_any_machine) == second[1][:1]
    assert printed(daemon, third[0])[0].split() == third[1][0].split()


def test_the_python_of_the_readme_compiles_and_names_what_there_is() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    compile(block, "README.md", "exec")
    for name in set(re.findall(r"\baios\.(\w+)", block)):
        assert hasattr(aios, name), name
