"""Where control groups are mounted on this machine, as /proc/self/mountinfo tells."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mounts:
    """`v1`: where each controller's hierarchy is; `unified`: where the tree of v2 is, empty where there is none."""

    v1: Mapping[str, str] = field(default_factory=dict)
    unified: str = ""


def mounts() -> Mounts:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse(file.read())


def parse(mountinfo: str) -> Mounts:
    """Of several mounts of one hierarchy the first counts; hierarchies that only have a name are nobody's to limit."""
    v1: dict[str, str] = {}
    unified = ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        place = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
        if kind[0] == "cgroup2":
            unified = unified or place
        elif kind[0] == "cgroup":
            for controller in kind[2].split(","):
                v1.setdefault(controller, place)
    return Mounts(v1, unified)
