"""What one user can see of another, and do to it: everything is tried, counted, and denied."""

import os
import signal
import stat
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.vm.guest.checks import Figures, check
from tests.vm.guest.users import User
from tests.vm.guest.world import SETTINGS, STATE, World, environment_of, eventually, pids_of_aios, sh

MARKER = "xk7-marker-of-alice"  # in her command, environment, input, output, file names and secret: found elsewhere, it has leaked
SECRET = "xk7-secret-of-alice"
TALK = (
    "import os, sys, time; print(sys.argv[1], flush=True); print(os.environ['WORD'], file=sys.stderr, flush=True);"
    "open(os.environ['AIOS_SCRATCH'] + '/' + sys.argv[1], 'w').write(sys.argv[1]); time.sleep(100000)"
)
STEERED = ("cancel", "hold", "release", "suspend", "resume", "requeue")
CALLS = {
    **{verb: f"check_steered(client.{verb}(job))" for verb in STEERED},
    "cancel by force": "check_steered(client.cancel(job, force=True))",
    "update": "client.update(job, priority=5)",
    "logs": "list(client.job(job).logs())",
    "output": "client.job(job).output()",
    "stats": "client.stats(job)",
    "write to its input": "client.write_input(job, [b'x'])",
    "attach": "list(client.attach(job, ['id']))",
    "open a queue": "client.set_queue('default', max_running=0)",
    "drain the node": "client.drain('by bob')",
    "stop the daemon": "client.stop_daemon()",
    "reload": "client.reload()",
    "set the policy": "client.set_policy('fifo')",
}
TRY = """
def check_steered(answers):
    for one in answers:
        if one.error is not None: raise one.error
def shown(job):
    try: return repr(record(job))
    except aios.AiosError as error: return f"{error} {error.hint} {error.facts}"
def tried(call):
    try: eval(call)
    except aios.AiosError as error: return type(error).__name__
    return "done"
"""


class Private(World):
    """Alice has a running job with everything in it that could leak, and one that waits."""

    def __init__(self) -> None:
        super().__init__(SETTINGS)
        self.job = self.alice.submit(
            ["python3", "-c", TALK, MARKER], name="work", env={"WORD": MARKER}, cwd="/home/alice", stdin=True, key="key-of-alice", cpus=1,
            secrets={"TOKEN": SECRET},
        )  # fmt: skip
        self.kept = self.alice.submit(["echo", MARKER], output=f"/home/alice/{MARKER}.txt", cwd="/home/alice")
        self.alice.wait(self.kept)
        eventually(lambda: MARKER in self.alice.output(self.job), "alice's job talks")
        self.bob.say(TRY, job=self.job)


def world() -> Private:
    return Private()


@check
def the_owner_and_the_administrator_see_it(world: Private) -> Figures:
    """Its owner reads command, environment and output; an administrator may read and steer it too: what is hidden below is there."""
    for user in (world.alice, world.carol):
        said = str(user.record(world.job)) + user.output(world.job)
        assert said.count(MARKER) >= 2, (user.name, said)
    return {"owner": "sees", "administrator": "sees"}


@check
def lists_and_records_hide_it(world: Private) -> Figures:
    """No list, record, event or view of the command line shows bob a word of alice's command, environment, files or output."""
    texts = {
        "jobs": world.bob.say("[repr(job) for job in client.jobs(include_ended=True)]"),
        "one": world.bob.say("shown(job)"),
        "ps": world.bob.cli("ps", "--all", "-o", "json").stdout,
        "show -o json": "".join(_said(world.bob, "show", world.job, "-o", "json")),
        "top": "".join(_said(world.bob, "top", "--once")),
        "why": "".join(_said(world.bob, "why", world.job)),
        "node": "".join(_said(world.bob, "node", "-o", "json")),
    }
    leaks = [where for where, text in texts.items() if MARKER in str(text) or SECRET in str(text)]
    assert not leaks, {where: texts[where] for where in leaks}
    return {"views": len(texts), "leaks": 0}


def _said(user: User, *words: str) -> tuple[str, str]:
    done = user.cli(*words)
    return done.stdout, done.stderr


@check
def calls_are_denied(world: Private) -> Figures:
    """Every call of bob's on alice's job, and on what is the administrator's, is denied; the job does not notice."""
    pids = world.pids_of(world.job)
    ends = {name: world.bob.say("tried(call)", call=call) for name, call in CALLS.items()}
    assert world.pids_of(world.job) == pids, "alice's job is not what it was"
    through = {name: end for name, end in ends.items() if end not in ("Denied", "NotFound")}
    assert not through, through
    assert world.alice.record(world.job)["priority"] == 0
    return {"tried": len(ends), "denied": len(ends), "ends": dict(Counter(ends.values()))}


@check
def files_are_denied(world: Private) -> Figures:
    """Of the files that the daemon keeps, and of what /proc shows of it and of alice's job, bob opens none that holds a word of hers."""
    paths = [str(path) for root in (STATE, Path("/run/aios")) for path in root.rglob("*")]
    for pid in [*world.pids_of(world.job), world.daemon_pid]:
        paths += [f"/proc/{pid}/{name}" for name in ("environ", "mem", "maps", "fd", "cwd", "root", "io", "stack", "auxv")]
    world.bob.say(
        "def look(path):\n"
        "    try:\n"
        "        if os.path.isdir(path): return ' '.join(os.listdir(path))\n"
        "        with open(path, 'rb') as file: return file.read(1 << 20).decode('latin-1')\n"
        "    except OSError: return None"
    )
    opened: dict[str, str] = {}
    for first in range(0, len(paths), 200):
        opened |= world.bob.say("{path: text for path in paths if (text := look(path)) is not None}", paths=paths[first : first + 200])
    leaks = [path for path, text in opened.items() if MARKER in text or SECRET in text]
    assert not leaks, leaks
    assert not [path for path in opened if path.endswith((".db", ".db-wal", "/environ", "/mem", "/maps"))], sorted(opened)
    return {"tried": len(paths), "opened": len(opened), "with_a_word_of_hers": 0}


@check
def nothing_is_writable(world: Private) -> Figures:
    """No file or directory of the daemon's can be written by bob, but for sockets, and directories where everybody may."""
    tried = [path for root in (STATE, Path("/run/aios"), Path("/etc/aios"), Path("/opt/aios/bin")) for path in (root, *root.rglob("*"))]
    plain = [str(path) for path in tried if not path.is_symlink() and not stat.S_ISSOCK(path.lstat().st_mode)]
    writable = world.bob.say("[path for path in paths if os.access(path, os.W_OK)]", paths=plain)
    assert not writable, writable
    return {"tried": len(plain), "writable": 0}


@check
def signals_are_denied(world: Private) -> Figures:
    """Bob can signal, trace and stop no process of alice's, of the daemon or of its shims; alice herself cannot touch daemon and shims."""
    hers = world.pids_of(world.job)
    service = pids_of_aios()
    assert set(hers) <= set(service), (hers, service)
    kill = "quietly(lambda: os.kill(pid, number))"
    for pid in service:
        assert world.bob.say(kill, pid=pid, number=int(signal.SIGKILL)) == "PermissionError", pid
    for pid in set(service) - set(hers):
        if os.stat(f"/proc/{pid}").st_uid == 0:
            assert world.alice.say(kill, pid=pid, number=int(signal.SIGKILL)) == "PermissionError", pid
    return {"processes": len(service), "denied": len(service)}


@check
def secrets_are_kept(world: Private) -> Figures:
    """A secret reaches the job by a file that only its user reads; neither the database, nor a log, nor a record holds it."""
    (pid, *_) = world.pids_of(world.job)
    names = [v.decode() for v in environment_of(pid) if b"TOKEN" in v or b"SECRET" in v]
    paths = [p for v in names if (p := Path(v.partition("=")[2])).is_absolute()]
    held = [path for path in _seen_by(pid, paths) if path.is_file() and path.read_text() == SECRET] or [
        file for path in _seen_by(pid, paths) if path.is_dir() for file in path.iterdir() if file.read_text() == SECRET
    ]
    assert held, names
    for file in held:
        found = file.stat()
        assert (found.st_uid, found.st_mode & 0o077) == (int(sh("id -u alice")), 0), (file, oct(found.st_mode))
    assert SECRET not in "".join(names)
    assert SECRET not in str(world.alice.record(world.job)) + str(world.alice.say("str(client.job(job, with_environment=True))", job=world.job))
    holding = sh(f"grep -rlas {SECRET} {STATE} /run/aios /var/log /etc/aios", check=False).split()
    own = {file.name for file in held}
    assert not [path for path in holding if Path(path).name not in own], holding
    assert SECRET not in sh("journalctl -u aiosd", check=False)
    return {"files_with_it": len(held), "elsewhere": 0}


def _seen_by(pid: int, paths: list[Path]) -> list[Path]:
    """The same paths, as the process sees them: its mounts may be its own."""
    return [Path(f"/proc/{pid}/root{path}") for path in paths]


@check
def a_loop_starves_nobody(world: Private) -> Figures:
    """While bob calls as fast as he can from four threads, alice's calls are answered, and her submissions are taken."""
    world.alice.say("pinger = Pinger(0.2); pinger.start()")
    time.sleep(5.0)
    alone = world.alice.say("pinger.end()")
    world.bob.say(
        "import threading\nbusy, calls = True, [0]\n"
        "def hammer():\n"
        "    while busy:\n"
        "        quietly(lambda: client.queues(timeout=60.0)); calls[0] += 1\n"
        "hammers = [threading.Thread(target=hammer, daemon=True) for _ in range(4)]\n"
        "for one in hammers: one.start()"
    )
    world.alice.say("pinger = Pinger(0.2); pinger.start()")
    job = world.alice.submit(["true"])
    time.sleep(20.0)
    beside: dict[str, Any] = world.alice.say("pinger.end()")
    world.bob.say("busy = False")
    assert not beside["errors"], beside
    assert beside["longest_s"] < 30, beside
    assert world.alice.wait(job)["state"] == "succeeded"
    return {"alone": alone, "beside_the_loop": beside, "calls_of_the_loop": world.bob.say("calls[0]")}


@check
def the_trail_tells_all_of_it(world: Private) -> Figures:
    """The audit trail holds bob's denied calls, and verifies; alice's own are there as allowed; bob may not read it."""
    done = world.carol.cli("admin", "audit", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    records = world.carol.say("[plain(one) for one in client.audit(limit=5000)]")
    denied = [one for one in records if one["user"] == "bob" and not one["allowed"]]
    assert len(denied) >= len(CALLS) // 2, Counter((one["user"], one["allowed"]) for one in records)
    assert [one for one in records if one["user"] == "alice" and one["allowed"] and one["method"].endswith("Submit")]
    assert world.bob.cli("admin", "audit").returncode != 0
    assert SECRET not in str(records)
    return {"records": len(records), "denied_of_bob": len(denied)}


@check
def an_administrator_steers(world: Private) -> Figures:
    """Carol cancels alice's job, and it is gone."""
    world.carol.say("client.cancel(job, force=True, reason='by carol')", job=world.job)
    assert world.alice.wait(world.job)["state"] == "cancelled"
    world.await_nothing_of(world.job)
    return {"cancelled": 1}
