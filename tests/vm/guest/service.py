"""The service: installed, supervised, drained, restarted, killed, upgraded and removed, while jobs and those who follow them go on."""

import re
import subprocess
import time
from pathlib import Path

from tests.vm.guest.checks import Figures, check
from tests.vm.guest.world import CONFIG, PATIENCE_S, SETTINGS, STATE, World, eventually, sh

UNIT = Path("/etc/systemd/system/aiosd.service")
NEXT = Path("/in/next")  # the wheel of a later version, with a migration
ENOUGH = Path("/var/tmp/enough")
COUNT = 'n=0; while [ ! -e "$1" ]; do n=$((n+1)); echo line $n; sleep 0.5; done'


class Loaded(World):
    """With counting jobs of alice and bob, each followed, and marks of short ones: what a disturbance would break."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.counting: dict[str, str] = {}
        self.disturbances = 0

    def begin(self) -> None:
        """One counting job of each user that goes on until there is ENOUGH, followed by its owner."""
        for user in (self.alice, self.bob):
            job = user.submit(["sh", "-c", COUNT, "count", str(ENOUGH)], cpus=0.5, cwd="/")
            user.say("follower = Follower(job)", job=job)
            self.counting[user.name] = job
        for user in (self.alice, self.bob):
            eventually(lambda: user.say("len(follower.lines)") > 0, f"{user.name} sees lines")  # noqa: B023  called at once

    def disturb(self, how: str, what: str) -> float:
        """Runs a command while short jobs are being submitted; seconds until the daemon answers again."""
        marks = Path("/home/alice/marks")
        self.alice.say(
            "def insist(n):\n"
            "    while True:\n"
            "        try: return client.submit(['sh', '-c', f'echo {tag}-{n} >> {marks}'], cpus=0.25, key=f'{tag}-{n}', cwd='/').id\n"
            "        except aios.errors.Unavailable: time.sleep(1)\n"
            "def flood():\n"
            "    for n in range(count): short.append(insist(n))\n"
            "short = globals().get('short', [])\nimport threading\nflooding = threading.Thread(target=flood, daemon=True); flooding.start()",
            tag=what, count=10, marks=str(marks),
        )  # fmt: skip
        pids = self._counters()
        before, began_s = self.daemon_pid, time.monotonic()
        sh(how, timeout=PATIENCE_S)
        eventually(lambda: self.daemon_pid not in (0, before), f"another daemon after {what}")
        self.await_answer()
        self.carol.say("client.queues(timeout=120.0)")
        took_s = time.monotonic() - began_s
        assert self._counters() == pids, f"{what}: the jobs are not what they were"
        eventually(lambda: not self.alice.say("flooding.is_alive()"), f"every submission around {what} is acknowledged")
        self.disturbances += 1
        return round(took_s, 1)

    def _counters(self) -> dict[str, int]:
        """The shells that count: of each job the oldest process."""
        return {name: min(self.await_running(job)) for name, job in self.counting.items()}


def world() -> Loaded:
    first = sh("aiosctl daemon install --system --dry-run")
    assert not UNIT.exists(), "a dry run has installed something"
    assert "aiosd.service" in first, first
    return Loaded()


@check
def installing_twice_changes_nothing(world: Loaded) -> Figures:
    """`aiosctl daemon install --system` is complete, shows what it would do, and does nothing the second time."""
    before = _tree()
    said = sh("aiosctl daemon install --system")
    assert _tree() == before, said
    assert sh("systemctl is-enabled aiosd", check=False).strip() in ("enabled", "disabled")
    wrong = [line for line in sh("systemd-analyze verify aiosd.service", check=False).splitlines() if "aiosd" in line]
    assert not wrong, wrong
    return {"files": len(before), "second_time": said.strip().splitlines()[-1] if said.strip() else ""}


def _tree() -> dict[str, tuple[float, int]]:
    """What an installation puts in place: every file of ours below /etc and /usr, with its time and inode."""
    found = sh(
        "find /etc /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d /usr/share /usr/local -name '*aios*' -o -path '*/aios/*' 2>/dev/null", check=False
    )
    return {path: (Path(path).lstat().st_mtime, Path(path).lstat().st_ino) for path in found.split()}


@check
def it_runs_as_its_unit_says(world: Loaded) -> Figures:
    """The daemon is notified, watched, delegated, hardened, and less likely to be killed for memory than its jobs."""
    names = "Type WatchdogUSec Delegate KillMode Restart OOMScoreAdjust NoNewPrivileges ProtectSystem ProtectHome ProtectKernelModules RestrictRealtime"
    shown = dict(line.split("=", 1) for line in sh(f"systemctl show aiosd {' '.join(f'-p {name}' for name in names.split())}").splitlines())
    assert (shown["Type"], shown["Delegate"], shown["KillMode"], shown["Restart"]) == ("notify", "yes", "process", "on-failure"), shown
    assert shown["WatchdogUSec"] not in ("0", "infinity"), shown
    record, said = world.alice.run(["cat", "/proc/self/oom_score_adj"])
    assert record["state"] == "succeeded", record
    own = int(Path(f"/proc/{world.daemon_pid}/oom_score_adj").read_text())
    assert own < int(said) and int(said) >= 0, (own, said)
    score = re.search(r"exposure level for aiosd.service: ([\d.]+)", sh("systemd-analyze security aiosd --no-pager", check=False))
    return {"exposure": score[1] if score else "", "oom_score_adj": own, "of_a_job": int(said)} | {k: shown[k] for k in ("WatchdogUSec", "ProtectSystem")}


@check
def a_daemon_that_hangs_is_replaced(world: Loaded) -> Figures:
    """A stopped daemon is killed by systemd's watchdog and started again; jobs and followers go on."""
    world.begin()
    took_s = world.disturb(f"kill -STOP {world.daemon_pid}", "hang")
    journal = sh("journalctl -u aiosd -o cat", check=False)
    assert "Watchdog timeout" in journal, journal[-2000:]
    return {"answers_again_after_s": took_s}


@check
def a_daemon_that_is_killed_is_replaced(world: Loaded) -> Figures:
    """`kill -9` of the daemon, twice, while jobs are submitted: systemd starts it again, nobody else notices."""
    took = [world.disturb(f"kill -9 {world.daemon_pid}", f"kill{n}") for n in range(2)]
    return {"answers_again_after_s": took, "restarts": int(sh("systemctl show -P NRestarts aiosd"))}


@check
def a_restart_stops_nothing(world: Loaded) -> Figures:
    """`systemctl restart aiosd`, twice, while jobs are submitted."""
    return {"answers_again_after_s": [world.disturb("systemctl restart aiosd", f"restart{n}") for n in range(2)]}


@check
def an_upgrade_stops_nothing(world: Loaded) -> Figures:
    """A later version with a migration is installed over the running one, and the service restarted: jobs and followers go on, a copy of the database is kept."""
    before = world.carol.say("client.node().daemon.version")
    (wheel,) = NEXT.glob("aiosd-*.whl")
    began_s = time.monotonic()
    sh(f"pip --python /opt/aios/bin/python install -q --root-user-action=ignore --no-index --no-deps --upgrade {wheel}")
    installed_s = time.monotonic() - began_s
    took_s = world.disturb("systemctl restart aiosd", "upgrade")
    after = world.carol.say("client.node().daemon.version")
    assert after != before and after in wheel.name, (before, after)
    copies = [str(path) for path in STATE.rglob("*") if path.is_file() and path.name != "aiosd.db" and path.read_bytes()[:15] == b"SQLite format 3"]
    assert copies, sorted(STATE.iterdir())
    found = sh(f"sqlite3 -readonly {STATE}/aiosd.db 'select count(*) from upgrade_proof'").strip()
    assert found == "1", found
    return {"from": before, "to": after, "pip_s": round(installed_s), "answers_again_after_s": took_s, "copies": len(copies)}


@check
def after_all_that_every_line_and_job_is_there_once(world: Loaded) -> Figures:
    """The counting jobs wrote, and their followers saw, every line once and in order; each short job ran once; each has one end."""
    ENOUGH.touch()
    followed = 0
    for user in (world.alice, world.bob):
        job = world.counting[user.name]
        assert user.wait(job, timeout=900.0)["state"] == "succeeded"
        eventually(lambda: user.say("follower.over"), "the follower is at the end")  # noqa: B023  called at once
        assert user.say("follower.over") == "ended"
        lines = user.output(job).splitlines()
        assert lines == [f"line {n}" for n in range(1, len(lines) + 1)]
        assert [line.rstrip("\n") for line in user.say("follower.lines")] == lines, user.say("follower.lines")
        followed += len(lines)
    ids = world.alice.say("short")
    states = {world.alice.wait(job)["state"] for job in ids}
    marks = Path("/home/alice/marks").read_text().split()
    assert states == {"succeeded"}, states
    assert len(marks) == len(set(marks)) == len(ids) == 10 * world.disturbances, (len(marks), len(set(marks)), len(ids))
    return {"disturbances": world.disturbances, "lines_followed": followed, "short_jobs": len(ids)}


@check
def an_older_version_refuses_the_newer_database(world: Loaded) -> Figures:
    """The version before is installed again: it refuses to start, says why and what to do, and changes nothing; the newer one goes on."""
    (old,) = Path("/in/current").glob("aiosd-*.whl")
    (new,) = NEXT.glob("aiosd-*.whl")
    install = "pip --python /opt/aios/bin/python install -q --root-user-action=ignore --no-index --no-deps --force-reinstall"
    sh("systemctl stop aiosd")
    newer = sh(f"sha256sum < {STATE}/aiosd.db")  # only now: a daemon that ends writes what it still had beside it
    sh(f"{install} {old}")
    done = subprocess.run(["aiosd", "--system"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode != 0, done
    assert "version" in done.stdout + done.stderr and "hint" in done.stdout + done.stderr, done
    assert sh(f"sha256sum < {STATE}/aiosd.db") == newer
    sh(f"{install} {new}")
    sh("systemctl start aiosd", timeout=PATIENCE_S)
    world.await_answer()
    return {"said": (done.stdout + done.stderr).strip().splitlines()[0][:200]}


@check
def a_drained_machine_starts_nothing_new(world: Loaded) -> Figures:
    """After `node drain` what runs ends in peace and nothing starts, over a restart too; after `resume` it does."""
    running = world.alice.submit(["sleep", "40"], cpus=0.5)
    pids = world.await_running(running)
    assert world.carol.cli("node", "drain", "--reason", "new disks").returncode == 0
    waiting = world.bob.submit(["true"], cpus=0.5)
    sh("systemctl restart aiosd", timeout=PATIENCE_S)
    world.await_answer()
    assert world.bob.record(waiting)["state"] == "queued"
    assert "drain" in str(world.bob.say("str(client.why(job))", job=waiting))
    assert world.pids_of(running) == pids
    assert world.alice.wait(running)["state"] == "succeeded"
    assert world.bob.record(waiting)["state"] == "queued"
    assert world.carol.cli("node", "resume").returncode == 0
    assert world.bob.wait(waiting)["state"] == "succeeded"
    return {"ended_in_peace": 1, "waited": 1}


@check
def a_backup_is_taken_and_all_is_well(world: Loaded) -> Figures:
    """`aiosctl admin backup` while jobs run makes a file that only root reads; `admin check` finds nothing wrong."""
    job = world.alice.submit(["sleep", "1000"], cpus=0.5)
    world.await_running(job)
    done = sh("aiosctl admin backup /var/tmp/aios-backup")
    checked = sh("aiosctl admin check")
    backup = Path("/var/tmp/aios-backup")
    assert backup.stat().st_mode & 0o077 == 0, oct(backup.stat().st_mode)
    world.alice.say("client.cancel(job, force=True)", job=job)
    world.await_nothing_of(job)
    return {"bytes": backup.stat().st_size, "said": done.strip().splitlines()[-1], "check": checked.strip().splitlines()[-1]}


@check
def uninstalling_twice_leaves_nothing(world: Loaded) -> Figures:
    """`aiosctl daemon uninstall --system` removes what the installation put there, but neither jobs' records nor the configuration; twice is once."""
    sh("aiosctl daemon uninstall --system --dry-run")
    assert sh("systemctl is-active aiosd", check=False).strip() == "active", "a dry run has stopped it"
    sh("aiosctl daemon uninstall --system", timeout=PATIENCE_S)
    said = sh("aiosctl daemon uninstall --system", timeout=PATIENCE_S)
    assert sh("systemctl is-active aiosd", check=False).strip() in ("inactive", "unknown", "failed")
    left = [path for path in _tree() if not path.startswith(("/etc/aios", "/usr/local/bin", "/usr/local/lib"))]
    assert not left, left
    assert (STATE / "aiosd.db").exists()
    assert CONFIG.exists()
    return {"left": 0, "second_time": said.strip().splitlines()[-1] if said.strip() else ""}
