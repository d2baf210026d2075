"""What the kernel holds a job to: its user, processors, memory, processes, disk and devices, while it does its worst and a neighbour computes."""

import os
import time
from pathlib import Path
from typing import Any

from tests.vm.guest.checks import Figures, check
from tests.vm.guest.users import Refused
from tests.vm.guest.world import (
    PATIENCE_S,
    SETTINGS,
    STATE,
    World,
    empty,
    eventually,
    pids_of_aios,
    rate,
    sh,
    stat_of,
)  # fmt: skip

MIB = 1 << 20
PROBES = {"/dev/probe0": (10, 229), "/dev/probe1": (10, 200)}  # numbers of fuse and tun: opened by anyone, were they not denied
OURS = """
[[resources.device]]
kind = "probe"
paths = ["/dev/probe*"]
"""
SPIN = "while True: pass"
ESCAPE = """
import os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
def vanish():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            os.closerange(0, 100)
            while True: time.sleep(1)
        os._exit(0)
for _ in range(5): vanish()
print("escaped", flush=True)
if sys.argv[1] == "stay":
    while True: time.sleep(1)
"""
BOMB = """
import os, time
print("lit", flush=True)
while True:
    try: os.fork()
    except OSError: time.sleep(0.05)
"""
GROW = """
import sys, time
held = []
print("growing", flush=True)
while True: held.append(bytearray(b"x") * (4 << 20))
"""
FILL = """
import os, sys
total, file = 0, open(os.path.join(os.environ["AIOS_SCRATCH"], "full"), "wb", buffering=0)
try:
    while total < 400 << 20:
        total += file.write(b"x" * (1 << 20))
        os.fsync(file.fileno())
except OSError as error:
    print("refused at", total, os.strerror(error.errno), flush=True)
    sys.exit(9)
print("wrote", total, flush=True)
"""


def world() -> World:
    for path, numbers in PROBES.items():
        Path(path).unlink(missing_ok=True)
        os.mknod(path, 0o020666, os.makedev(*numbers))
        os.chmod(path, 0o666)
    sh("modprobe -a fuse tun", check=False)
    return World(SETTINGS + OURS)


@check
def what_is_in_force_is_reported(world: World) -> Figures:
    """`aiosctl node` says that the kernel holds processors, memory, devices and the disk by control groups v2 and quotas."""
    said = {line["resource"]: line for line in world.carol.say("[plain(one) for one in client.node().isolation]")}
    for name in ("cpu", "memory", "processes", "disk traffic", "devices"):
        assert said[name]["state"] == "enforced by cgroup v2", said[name]
    assert "quota" in str(said["disk"]), said["disk"]
    return {name: line["state"] for name, line in said.items()}


@check
def a_job_is_its_user(world: World) -> Figures:
    """A job runs with the uid, the groups, the home and without the privileges of who submitted it; its files are that user's."""
    script = "id -u; id -un; id -Gn; pwd; grep -h NoNewPrivs /proc/self/status; grep -h CapEff /proc/self/status; touch made; stat -c '%U %G %a' made"
    record, said = world.alice.run(["sh", "-c", script], cwd="/home/alice")
    assert record["state"] == "succeeded", (record, said)
    uid, name, groups, where, privileges, capabilities, made = said.splitlines()
    assert (uid, name, where) == (sh("id -u alice").strip(), "alice", "/home/alice"), said
    assert set(groups.split()) == {"alice", "research"}, said
    assert privileges.split()[1] == "1", said
    assert int(capabilities.split()[1], 16) == 0, said
    assert made.split()[:2] == ["alice", "alice"], said
    return {"identity": f"{uid} {name} ({groups})"}


@check
def root_writes_nothing_for_a_user(world: World) -> Figures:
    """Output files that a user may not write, by path or by symbolic link, are not written; a working directory that is closed to them is refused."""
    target = Path("/etc/precious")
    target.write_text("untouched\n")
    target.chmod(0o644)
    sh("runuser -u alice -- sh -c 'ln -sf /etc/precious /home/alice/link; ln -sfn /etc /home/alice/dir'")
    ends: dict[str, str] = {}
    for output in ("/etc/precious", "/home/alice/link", "/home/alice/dir/precious", "/etc/new-file"):
        ends[output] = _end_of(world, output=output, cwd="/home/alice")
    ends["cwd /root"] = _end_of(world, cwd="/root")
    assert _end_of(world, output="/home/alice/allowed", cwd="/home/alice") == "succeeded"
    assert "succeeded" not in ends.values(), ends
    assert target.read_text() == "untouched\n"
    assert not Path("/etc/new-file").exists()
    return {"refused": len(ends)}


def _end_of(world: World, **options: Any) -> str:
    try:
        record, _ = world.alice.run(["echo", "written"], **options)
    except Refused as refused:
        return refused.kind
    return str(record["state"])


@check
def processor_time_is_held(world: World) -> Figures:
    """Four spinning processes in a job of one processor get one, in one of half a processor a half."""
    used = {}
    with world.watched() as calm:
        for cpus in (1, 0.5):
            spin = f"import os\nfor _ in range(3): os.fork()\n{SPIN}"
            job = world.alice.submit(["python3", "-c", spin], cpus=cpus, memory="128M")
            file = world.group_of(job) / "cpu.stat"
            used[cpus] = round(rate(lambda: stat_of(file)["usage_usec"], 10.0) / 1e6, 3)  # noqa: B023  called at once
            world.alice.say("client.cancel(job, force=True)", job=job)
            world.await_nothing_of(job)
    assert used[1] < 1.15, used
    assert used[0.5] < 0.6, used
    return {"used_of_1": used[1], "used_of_half": used[0.5]} | calm.figures()


@check
def processors_are_held(world: World) -> Figures:
    """A job runs on the processors of its grant only, and stays there when it asks the kernel for all; its memory comes from their node."""
    ask = "import os; os.sched_setaffinity(0, range(os.cpu_count())); print(sorted(os.sched_getaffinity(0)), os.environ['AIOS_CPUS'])"
    record, said = world.alice.run(["python3", "-c", ask], cpus=1)
    got, _, granted = said.strip().rpartition(" ")
    assert record["state"] == "succeeded", (record, said)
    assert got == str(sorted(int(cpu) for cpu in granted.split(","))), said
    job = world.alice.submit(["sleep", "1000"], cpus=1)
    group = world.group_of(job)
    cpus, nodes = ((group / f"cpuset.{what}.effective").read_text().strip() for what in ("cpus", "mems"))
    world.alice.say("client.cancel(job)", job=job)
    assert Path(f"/sys/devices/system/node/node{nodes}/cpu{cpus}").exists(), (cpus, nodes)
    return {"asked": "all", "got": got, "cpuset": cpus, "memory_node": nodes}


@check
def memory_is_held(world: World) -> Figures:
    """A job that fills its memory is killed alone, with what it forked; it ends as out_of_memory with its peak, and `why` says what to ask for."""
    with world.watched() as calm:
        record, said = world.alice.run(["python3", "-c", GROW], memory="96M", cpus=1)
        forked = f"import os, time\nif os.fork() == 0:\n    exec({GROW!r})\ntime.sleep(1000)"
        whole, _ = world.alice.run(["python3", "-c", forked], memory="96M", cpus=1)
    assert "growing" in said
    peak = record["outcome"]["usage"]["memory_peak_bytes"]
    for end in (record, whole):
        assert end["state"] == "out_of_memory", end
        world.await_nothing_of(end["id"])
    assert 48 * MIB < peak <= 100 * MIB, peak
    assert "memory" in record["outcome"]["reason"], record["outcome"]
    return {"limit_mib": 96, "peak_mib": round(peak / MIB, 1), "reason": record["outcome"]["reason"]} | calm.figures()


@check
def a_fork_bomb_is_held(world: World) -> Figures:
    """A fork bomb reaches the number of processes of its job and no more, and is gone at once when it is cancelled."""
    with world.watched() as calm:
        job = world.alice.submit(["python3", "-c", BOMB], cpus=1, memory="512M")
        group = world.group_of(job)
        most = (group / "pids.max").read_text().strip()
        assert most.isdigit(), f"pids.max is {most}"
        events = group / "pids.events"
        eventually(lambda: stat_of(events)["max"] > 0 or not group.exists(), "the bomb meets its limit")
        time.sleep(5.0)
        reached = int((group / "pids.current").read_text())
        began_s = time.monotonic()
        world.alice.say("client.cancel(job, force=True)", job=job)
        record = world.alice.wait(job)
        world.await_nothing_of(job)
        took_s = time.monotonic() - began_s
    assert reached <= int(most), (reached, most)
    assert record["state"] == "cancelled", record
    return {"pids_max": int(most), "processes": reached, "gone_after_s": round(took_s, 1)} | calm.figures()


@check
def nothing_escapes(world: World) -> Figures:
    """Processes that fork twice, take sessions of their own and ignore every signal end with their job, whether it ends or is cancelled."""
    took = {}
    with world.watched() as calm:
        for way in ("leave", "stay"):
            job = world.alice.submit(["python3", "-c", ESCAPE, way], cpus=1, memory="128M", grace="2s")
            if way == "stay":
                eventually(lambda: "escaped" in world.alice.output(job), "it has escaped")  # noqa: B023  called at once
                assert len(world.pids_of(job)) >= 6
                began_s = time.monotonic()
                world.alice.say("client.cancel(job)", job=job)
            record = world.alice.wait(job)
            took[way] = round(time.monotonic() - began_s, 1) if way == "stay" else 0.0
            assert record["state"] == ("cancelled" if way == "stay" else "succeeded"), record
            world.await_nothing_of(job)
    return {"escapees": 10, "left": 0, "cancelled_in_s": took["stay"]} | calm.figures()


@check
def disk_speed_is_held(world: World) -> Figures:
    """A job that may write 4 MiB/s to each disk takes as long as that for 24 MiB."""
    write = (
        "import mmap, os, time\nfile = os.open(os.environ['AIOS_SCRATCH'] + '/data', os.O_CREAT | os.O_WRONLY | os.O_DIRECT)\n"
        "page, began_s = mmap.mmap(-1, 1 << 20), time.monotonic()\nfor _ in range(24): os.write(file, page)\nprint(time.monotonic() - began_s)"
    )
    took = {}
    for limit in (None, "4M"):
        record, said = world.alice.run(["python3", "-c", write], cpus=1, **({"io_write": limit} if limit else {}))
        assert record["state"] == "succeeded", (record, said)
        took[limit] = float(said)
    assert took["4M"] > 4.0, took
    assert took["4M"] > 2 * (took[None] or 0.0), took
    return {"free_mib_per_s": round(24 / (took[None] or 1.0), 1), "held_mib_per_s": round(24 / took["4M"], 1)}


@check
def devices_are_held(world: World) -> Figures:
    """A job opens the device that it was granted and no other, whatever the file's mode; one without any opens none."""
    ask = (
        "import os\nfor path in ('/dev/probe0', '/dev/probe1', '/dev/null', '/dev/zero', '/dev/urandom'):\n"
        "    try: os.close(os.open(path, os.O_RDONLY)); print(path, 'open')\n"
        "    except OSError as error: print(path, error.strerror)\n"
        "print('granted', os.environ.get('AIOS_PROBE_DEVICES', ''))"
    )
    with world.watched(2.0) as calm:
        record, said = world.alice.run(["python3", "-c", ask], gres="probe=1", cpus=1)
        none, bare = world.alice.run(["python3", "-c", ask], cpus=1)
    assert record["state"] == none["state"] == "succeeded", (record, none)
    with_one, without = (dict(line.split(" ", 1) for line in text.splitlines()) for text in (said, bare))
    granted = with_one["granted"]
    (other,) = PROBES.keys() - {granted}
    assert (with_one[granted], with_one[other]) == ("open", "Operation not permitted"), said
    assert {without[path] for path in PROBES} == {"Operation not permitted"}, bare
    for text in (with_one, without):
        assert text["/dev/null"] == text["/dev/zero"] == text["/dev/urandom"] == "open", text
    return {"granted": granted, "denied": other} | calm.figures()


@check
def a_private_tmp_is_private(world: World) -> Figures:
    """Two jobs of one user with a private /tmp see neither each other's files nor the machine's, and leave nothing behind."""
    Path("/tmp/of-the-machine").write_text("x")
    script = "ls -A /tmp /var/tmp; echo mine > /tmp/mine; sleep 15; ls -A /tmp"
    jobs = [world.alice.submit(["sh", "-c", script], private_tmp=True, cpus=0.5) for _ in range(2)]
    for job in jobs:
        record = world.alice.wait(job)
        said = world.alice.output(job).split()
        assert record["state"] == "succeeded", record
        assert (said.count("mine"), "of-the-machine" in said) == (1, False), said
        world.await_nothing_of(job)
    assert not Path("/tmp/mine").exists()
    return {"jobs": len(jobs)}


@check
def a_full_scratch_is_refused_by_quota(world: World) -> Figures:
    """A job that fills its disk is refused by the project quota at its size, and the state directory keeps its room."""
    before = os.statvfs(STATE).f_bavail
    with world.watched() as calm:
        record, said = world.alice.run(["python3", "-c", FILL], disk="48M", cpus=1)
    wrote = int(said.split()[2]) / MIB if said.startswith("refused") else 0.0
    assert said.startswith("refused"), (record, said)
    assert 24 <= wrote <= 49, said
    world.await_nothing_of(record["id"])
    after = eventually(lambda: os.statvfs(STATE).f_bavail >= before - 4096 and os.statvfs(STATE).f_bavail, "the room is free again")
    return {"limit_mib": 48, "wrote_mib": round(wrote), "freed": after >= before - 4096, "said": said.strip()} | calm.figures()


@check
def limits_of_a_process_are_set(world: World) -> Figures:
    """Limits of a process and the umask that a job asks for are what its processes have."""
    options = {"limits": {"nofile": 321, "core": 0}, "umask": 0o027}
    record, said = world.alice.run(["sh", "-c", "ulimit -Sn; ulimit -Sc; umask"], **options)
    assert record["state"] == "succeeded", record
    assert said.split() == ["321", "0", "0027"], said
    return {"limits": said.split()}


@check
def after_all_that_nothing_is_left(world: World) -> Figures:
    """No process, group or scratch of any of alice's jobs is left, and the daemon never died."""
    uid = int(sh("id -u alice"))
    eventually(lambda: not pids_of_aios(uid), "no process of alice's runs in the service")
    live = world.carol.say("[job.id for job in client.jobs()]")
    eventually(lambda: len(list((STATE / "scratch").iterdir())) <= len(live), "no scratch is left, when idle shims have given up their empty ones")
    assert sh("systemctl show -P NRestarts aiosd").strip() == "0"
    assert world.carol.say("client.node().drained") is False
    return {"jobs_run": len(world.carol.say("[job.id for job in client.jobs(include_ended=True)]")), "daemon_restarts": 0}


@check
def a_full_scratch_is_stopped_where_there_are_no_quotas(world: World) -> Figures:
    """On a file system without project quotas the job is stopped soon after it went over its size, with a reason, and nobody else is."""
    world.carol.say("[job.cancel(force=True).wait(120) for job in client.jobs()]")
    sh(f"systemctl stop aiosd; umount -l {STATE}")
    empty(STATE)
    sh("systemctl start aiosd", timeout=PATIENCE_S)
    fresh = World(SETTINGS + OURS, quota=False)
    slowly = FILL.replace("os.fsync(file.fileno())", "import time; time.sleep(0.2)")
    with fresh.watched() as calm:
        record, said = fresh.alice.run(["python3", "-c", slowly], disk="16M", cpus=1)
    assert record["state"] == "failed", (record, said)
    assert "wrote" not in said, said
    assert "scratch" in record["outcome"]["reason"], record
    fresh.await_nothing_of(record["id"])
    return {"limit_mib": 16, "reason": record["outcome"]["reason"]} | calm.figures()
