"""What is looked at inside a machine: checks are functions of a module, run in their order, each told in one line of JSON."""

import importlib
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

MARK = "\x1eCHECK "  # before each verdict, so that it is found among what programs print

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check found. `figures` go into the transcript; `why` is empty when it passed."""

    name: str
    what: str
    took_s: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def passed(self) -> bool:
        return not self.why


@dataclass(frozen=True, slots=True)
class Check:
    """`what` is the function's first line: the sentence that is proven."""

    name: str
    what: str
    look: Callable[[Any], Figures]


_CHECKS: dict[str, list[Check]] = {}


def check(look: Callable[[Any], Figures]) -> Callable[[Any], Figures]:
    """Marks a function of a world; it returns figures, or raises what is wrong."""
    _CHECKS.setdefault(look.__module__, []).append(Check(look.__name__, (look.__doc__ or "").strip().partition("\n")[0], look))
    return look


def checks_of(module: str) -> list[Check]:
    """In the order of the file; `module` is its short name."""
    return _CHECKS[importlib.import_module(f"tests.vm.guest.{module}").__name__]


def run(module: str, world: Callable[[], Any], names: Sequence[str]) -> None:
    """Makes the module's world and runs its checks, those of `names`, or all; a world that cannot be made fails them all."""
    chosen = [one for one in checks_of(module) if not names or one.name in names]
    try:
        made = world()
    except Exception:
        why = traceback.format_exc()
        for one in chosen:
            tell(Verdict(one.name, one.what, why=why))
        return
    for one in chosen:
        tell(_verdict(one, made))


def _verdict(one: Check, world: Any) -> Verdict:
    began_s = time.monotonic()
    try:
        figures = dict(one.look(world))
    except Exception:
        return Verdict(one.name, one.what, round(time.monotonic() - began_s, 1), why=traceback.format_exc())
    return Verdict(one.name, one.what, round(time.monotonic() - began_s, 1), figures)


def tell(verdict: Verdict) -> None:
    print(MARK + json.dumps(asdict(verdict), default=str), flush=True)


def read(line: str) -> Verdict | None:
    """The verdict that a line of output holds."""
    _, mark, text = line.partition(MARK)
    return Verdict(**json.loads(text)) if mark else None


def main() -> None:
    """`python -m tests.vm.guest.checks MODULE [CHECK…]`, as root in the machine."""
    module, *names = sys.argv[1:]
    world = importlib.import_module(f"tests.vm.guest.{module}").world
    # This file runs as __main__ here: the checks registered themselves with its importable twin.
    importlib.import_module("tests.vm.guest.checks").run(module, world, names)


if __name__ == "__main__":
    main()
