"""What a check of the daemon's state finds, and what was done about it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where, and what. `action`: what was done about it, or why nothing was, or what to do."""

    subject: str
    problem: str
    repaired: bool = False
    action: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """`checked` counts the rows, files, directories and processes that were looked at."""

    findings: Sequence[Finding] = ()
    checked: int = 0


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that is complete and on the disk. `sha256` is that of the file, hex.

    The bytes of models and datasets lie beside it: all, those that no earlier backup there had, and how many files were lost before.
    """

    path: str
    bytes: int
    jobs: int
    took_s: float
    sha256: str
    models_bytes: int = 0
    models_new_bytes: int = 0
    models_lost: int = 0
