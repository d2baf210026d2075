"""The control groups that this process is in, and what limits they and their parents set; version 1 and 2."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from aiosd.host.probes.kernel_files import read_text


def own_groups(root: Path, controller: str) -> list[Path]:
    """The directories of this process's group and its parents, nearest first, in every hierarchy that can limit `controller`.

    Inside a container the path in /proc/self/cgroup may not exist below the mount: then only the parents that do are given,
    of which the mount itself is the container's own group.
    """
    paths = dict(_memberships(root))
    directories: list[Path] = []
    for mount, top, controllers in _mounts(root):
        if controllers and controller not in controllers:
            continue
        path = paths.get(controller if controllers else "")
        if path is None:
            continue
        inner = _below(path, top)
        directories += [where for part in (inner, *inner.parents) if (where := root / mount.lstrip("/") / part).is_dir()]
    return directories


def _memberships(root: Path) -> Iterator[tuple[str, str]]:
    """(controller, path) of each line of /proc/self/cgroup; the controller of version 2 is ""."""
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            yield controller, path


def _mounts(root: Path) -> Iterator[tuple[str, str, frozenset[str]]]:
    """(where, which group lies there, its controllers) of every mounted hierarchy; version 2 has no controllers here."""
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            yield fields[4], fields[3], frozenset()
        elif kind[0] == "cgroup":
            yield fields[4], fields[3], frozenset(kind[2].split(","))


def _below(path: str, top: str) -> PurePosixPath:
    """`path` relative to `top`; what lies outside of our view of the hierarchy counts as its top."""
    inner, outer = PurePosixPath(path), PurePosixPath(top)
    if ".." in inner.parts:
        return PurePosixPath()
    if inner.is_relative_to(outer):
        return inner.relative_to(outer)
    return inner.relative_to("/") if inner.is_absolute() else PurePosixPath()


def memory_limit_bytes(root: Path) -> int | None:
    """The tightest limit on memory from this process's group upwards; None where there is none."""
    limits = []
    for group in own_groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = read_text(group / name)
            if text.isdigit():
                limits.append(int(text))
    return min(limits, default=None)


def cpu_quota_millis(root: Path) -> int | None:
    """The tightest quota of processor time, in thousandths of a processor; None where there is none."""
    quotas = [quota for group in own_groups(root, "cpu") if (quota := _quota(group)) is not None]
    return min(quotas, default=None)


def _quota(group: Path) -> int | None:
    words = read_text(group / "cpu.max").split() or [read_text(group / "cpu.cfs_quota_us"), read_text(group / "cpu.cfs_period_us")]
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:  # "max", "-1": no quota
        return None
    return int(words[0]) * 1000 // int(words[1])


def cpuset_text(root: Path) -> str:
    """The list of processors that the nearest group with a cpuset allows; empty where none says."""
    for group in own_groups(root, "cpuset"):
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            text = read_text(group / name)
            if text:
                return text
    return ""
