"""What docs/scheduling.md shows is so: its configuration is used, its commands are run in their order and print what it shows, numbers aside."""

import re
import shlex
import textwrap
from collections.abc import Iterator

from aiosd.config import PriorityConfig
from tests.arch.source import ROOT
from tests.e2e.conftest import Aiosctl
from tests.e2e.daemon import Daemon, eventually

TEXT = (ROOT / "docs/scheduling.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:^    .*\n|^\n(?=    ))+", TEXT, flags=re.MULTILINE)


def configuration() -> str:
    """The block that is no transcript."""
    (found,) = (textwrap.dedent(block) for block in BLOCKS if not block.strip().startswith("$"))
    return found


def transcripts() -> Iterator[tuple[list[str], list[str]]]:
    """Each command as words, and the lines that are shown below it."""
    lines = [line[4:] for block in BLOCKS if block.strip().startswith("$") for line in block.splitlines() if line.strip()]
    starts = [at for at, line in enumerate(lines) if line.startswith("$ aiosctl ")]
    for at, until in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield shlex.split(lines[at])[2:], lines[at + 1 : until]


def plain(line: str) -> str:
    """Without what differs from run to run: numbers, the user, and how wide a column is."""
    return " ".join("#" if any(c.isdigit() for c in word) else word for word in line.split() if word not in ("root", "#"))


def test_the_commands_of_the_guide_print_what_it_shows(daemon: Daemon, aiosctl: Aiosctl) -> None:
    place = daemon.root / "config" / "aios"
    place.mkdir(parents=True)
    (place / "aiosd.toml").write_text(configuration(), encoding="utf-8")
    daemon.start()
    user = daemon.client().whoami().user
    for words, shown in transcripts():
        done = aiosctl(daemon, *words)
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}"
        printed = [plain(line.replace(f" {user} ", " root ")) for line in done.stdout.decode().splitlines()]
        assert not [line for line in shown if plain(line) not in printed], f"{words} printed {done.stdout.decode()}"
        if "grows" in words and words[0] == "run":
            eventually(lambda: daemon.client().job("grows").state == "running", "the job runs that is to grow")


def test_the_factors_of_the_guide_are_those_that_are_weighed() -> None:
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", TEXT.split("## Backfill")[0], flags=re.MULTILINE))))
    assert told == set(PriorityConfig.__struct_fields__) - {"age_max_s", "favor_small"}


def test_every_document_that_the_guide_names_is_there() -> None:
    for path in re.findall(r"`(docs/[\w./-]+)`", TEXT):
        assert list(ROOT.glob(f"{path}*")), path
