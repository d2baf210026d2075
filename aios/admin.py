"""What comes of looking after the daemon's state: a backup, and what a check has found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backup:
    """A file on the daemon's machine; `jobs` of the database are in it, and the outputs that the daemon keeps. `sha256`: of the file, hex.

    The bytes of models and datasets are in `path`.models: all, those that no other backup there had, and how many files were lost before.
    """

    path: str
    bytes: int
    jobs: int
    took_s: float
    sha256: str
    models_bytes: int = 0
    models_new_bytes: int = 0
    models_lost: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `action`: what was done about it where it is `repaired`, else what to do."""

    subject: str
    problem: str
    repaired: bool
    action: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`checked` counts the rows, files, directories and processes that were looked at."""

    findings: tuple[Finding, ...]
    checked: int

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong (any more)."""
        return all(finding.repaired for finding in self.findings)
