"""Where control groups are mounted, from what the kernel says of mounts."""

from aiosd.host.cells.mounts import Mounts, mounts, parse

HYBRID = r"""24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 24 0:26 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
31 24 0:27 / /sys/fs/cgroup/memory rw,nosuid shared:10 - cgroup cgroup rw,memory
32 24 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 24 0:29 / /sys/fs/cgroup/unified rw shared:11 - cgroup2 cgroup2 rw,nsdelegate
34 24 0:27 / /elsewhere/memory rw - cgroup cgroup rw,memory
"""


def test_a_hybrid_machine() -> None:
    found = parse(HYBRID)
    assert found.unified == "/sys/fs/cgroup/unified"
    assert (found.v1["cpu"], found.v1["cpuacct"], found.v1["memory"]) == ("/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/memory")


def test_a_unified_machine_and_names_with_spaces() -> None:
    assert parse(r"1 0 0:1 / /my\040groups rw - cgroup2 none rw" + "\n") == Mounts({}, "/my groups")


def test_what_is_no_line_of_it_is_passed_over() -> None:
    assert parse("\nrubbish\n1 2 - cgroup\n") == Mounts()


def test_this_machine_can_be_read() -> None:
    assert isinstance(mounts(), Mounts)
