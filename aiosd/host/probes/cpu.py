"""The processors that jobs may have: sockets, NUMA nodes, cores and threads, within this process's own limits."""

from pathlib import Path
from zlib import crc32

from aiosd.errors import ConfigError
from aiosd.host.probes.cgroup import cpu_quota_millis, cpuset_text
from aiosd.host.probes.kernel_files import kilobytes, listing, parse_list, read_int, read_text
from aiosd.resources.inventory import Cpu, NumaNode


def probe_cpus(affinity: frozenset[int], reserved: int = 0, hostname: str = "", root: Path = Path("/")) -> tuple[Cpu, ...]:
    """The processors in `affinity` (of this process) that are online and in its cpuset, cut to its quota, less `reserved`.

    A quota of 2.5 processors shows 2 (never fewer than 1): a promise of a third whole one would not be kept. Which 2 is
    chosen by `hostname`, so that many containers on one machine do not all pin their jobs to the same processors.
    Reserved are the first ones, where the kernel does most of its own work. Raises ConfigError when none would be left.
    """
    cpus = _allowed(affinity, root)
    quota = cpu_quota_millis(root)
    if quota is not None and quota < 1000 * len(cpus):
        cpus = _window(cpus, max(1, quota // 1000), hostname)
    if reserved >= len(cpus):
        raise ConfigError(
            f"resources.cpus_reserved = {reserved} leaves no processor for jobs: this machine has {len(cpus)}",
            hint=f"reserve at most {len(cpus) - 1}",
            cpus_reserved=reserved,
            cpus=len(cpus),
        )
    return tuple(sorted(cpus[reserved:], key=lambda cpu: cpu.id))


def _allowed(affinity: frozenset[int], root: Path) -> list[Cpu]:
    """Those that this process may use, neighbours beside each other."""
    system = root / "sys/devices/system/cpu"
    allowed = affinity
    for text in (read_text(system / "online"), cpuset_text(root)):
        narrower = allowed & parse_list(text) if text else allowed
        allowed = narrower or allowed  # lists that contradict each other: the affinity is what the kernel will do
    nodes = {cpu: node.id for node in probe_numa_nodes(root) for cpu in node.cpus}
    cpus = [_cpu(system / f"cpu{number}" / "topology", number, nodes.get(number, 0)) for number in allowed]
    return sorted(cpus, key=lambda cpu: (cpu.numa_node, cpu.socket, cpu.core, cpu.id))


def _cpu(topology: Path, number: int, node: int) -> Cpu:
    """A machine that hides its topology (some containers) has one core a processor; virtual sockets may be -1."""
    core, socket = read_int(topology / "core_id", number), read_int(topology / "physical_package_id", 0)
    return Cpu(id=number, core=core if core >= 0 else number, socket=max(0, socket), numa_node=node)


def _window(cpus: list[Cpu], count: int, hostname: str) -> list[Cpu]:
    """`count` neighbours; the hostname says from where, in steps of `count`, so that windows do not overlap."""
    start = crc32(hostname.encode()) % (len(cpus) // count) * count
    return cpus[start : start + count]


def probe_numa_nodes(root: Path = Path("/")) -> tuple[NumaNode, ...]:
    """Every NUMA node with all its processors and memory, whoever may use them; empty where the kernel has no NUMA."""
    nodes = []
    for directory in listing(root / "sys/devices/system/node", ["node[0-9]*"]):
        cpus = tuple(sorted(parse_list(read_text(directory / "cpulist"))))
        memory_bytes = kilobytes(read_text(directory / "meminfo"), "MemTotal")
        nodes.append(NumaNode(int(directory.name.removeprefix("node")), cpus, memory_bytes, _distances(read_text(directory / "distance"))))
    return tuple(nodes)


def _distances(text: str) -> tuple[int, ...]:
    """`10 21` to every node in order; none where the firmware tells nonsense."""
    words = text.split()
    return tuple(int(word) for word in words) if all(word.isdecimal() for word in words) else ()


def probe_cpu_model(root: Path = Path("/")) -> str:
    """The processor's name; empty where the kernel does not say (Arm)."""
    for line in read_text(root / "proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""
