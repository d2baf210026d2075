"""docs/vm-transcript.md: what the last run in a machine has proven, with its date, its machine and its figures."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.vm.guest.checks import Verdict

_HEAD = """# In a booted Debian

What `make test-vm` has found in a machine that boots Debian with systemd and control groups v2 under qemu's emulation, with the wheel of
this tree installed as an administrator installs it. Written by the run itself. Everything in the machine is 15 to 30 times slower than
outside: times are for comparison within this page.
"""


def text(facts: Mapping[str, str], titles: Mapping[str, str], verdicts: Mapping[str, Sequence[Verdict]]) -> str:
    """The whole page; `titles` and `verdicts` by module."""
    all_of_them = [verdict for module in verdicts.values() for verdict in module]
    held = sum(verdict.passed for verdict in all_of_them)
    lines = [_HEAD, "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]
    lines += [f"| held | {held} of {len(all_of_them)} |"]
    for module, found in verdicts.items():
        lines += ["", f"## {titles[module]}"]
        for verdict in found:
            lines += ["", *_paragraph(verdict)]
    return "\n".join(lines) + "\n"


def write(path: Path, facts: Mapping[str, str], titles: Mapping[str, str], verdicts: Mapping[str, Sequence[Verdict]]) -> None:
    path.write_text(text(facts, titles, verdicts), encoding="utf-8")


def now() -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def _paragraph(verdict: Verdict) -> list[str]:
    """The sentence, whether it held, and its figures."""
    lines = [f"**{'Held' if verdict.passed else 'NOT HELD'}** ({verdict.took_s:.0f} s): {verdict.what}"]
    if verdict.figures:
        lines += ["", "".join(f"- {name.replace('_', ' ')}: {_said(value)}\n" for name, value in verdict.figures.items()).rstrip("\n")]
    if not verdict.passed:
        lines += ["", "    " + verdict.why.strip().splitlines()[-1][:300]]
    return lines


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_said(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_said, value)) or "none"
    return str(value)
