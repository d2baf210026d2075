"""What the scanner finds in the files of a model: why whoever loads it should look first."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    DANGER = "danger"  # it would do what runs code, or is built to mislead whoever looks at it
    UNKNOWN = "unknown"  # it would import what is not on the list of harmless names
    BROKEN = "broken"  # it cannot be followed to its end


@dataclass(frozen=True, slots=True)
class ScanFinding:
    """`file`: the path of the file, and of the member in it, with "!" between; "": all of them."""

    file: str
    severity: Severity
    what: str

    def __str__(self) -> str:
        return f"{self.file or 'all of it'}: {self.what} ({self.severity})"
