"""Who may do what, in a daemon for real: passes across restarts, two users in one daemon, and one user's loop beside another's calls."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

import aios
from aios.spec import SubmitOptions
from aios.v1 import errors_pb2
from tests.e2e.daemon import PATIENCE_S, Daemon, a_daemon
from tests.fakes.other_user import command, environment, run_as

ADA, BOB = 54321, 54322
SDK = ("aios", "aios.v1", "grpc")
HELD = SubmitOptions(env={}, inherit_env=False, cwd="/", hold=True)


@contextmanager
def everybodys(**settings: str) -> Iterator[Daemon]:
    """A daemon that every user of this machine may use."""
    with a_daemon({"AIOSD_DAEMON__USERS": "all", **settings}) as daemon:
        daemon.root.chmod(0o755)
        (daemon.root / "run").chmod(0o755)
        yield daemon.start()


def raw(daemon: Daemon, *metadata: tuple[str, str]) -> tuple[grpc.StatusCode, str]:
    """The status of a call that carries `metadata`, and the hint in it."""
    with grpc.insecure_channel(daemon.target) as channel:
        try:
            channel.unary_unary("/aios.v1.Queues/List")(b"", timeout=PATIENCE_S, metadata=metadata)
        except grpc.RpcError as error:
            detail = next(value for key, value in error.trailing_metadata() if key == "aios-error-bin")
            return error.code(), errors_pb2.ErrorDetail.FromString(detail).hint
    return grpc.StatusCode.OK, ""


def test_a_call_without_a_good_pass_is_nobodys(shared: Daemon) -> None:
    ((key, good),) = shared.metadata()
    assert raw(shared, (key, good))[0] is grpc.StatusCode.OK
    forged = good.replace("aiosp1.", "aiosp1.1")
    for metadata in ((), ((key, forged),), ((key, good[:-1]),), ((key, "Bearer aios_x_y"),), ((key, "nonsense"),)):
        code, hint = raw(shared, *metadata)
        assert code is grpc.StatusCode.UNAUTHENTICATED, metadata
        assert "whoami --pass" in hint


def test_an_expired_pass_is_worth_nothing_and_the_sdk_never_has_one(daemon: Daemon) -> None:
    client = daemon.start(AIOSD_ACCESS__PASS_LIFETIME_S="3").client()
    ((key, good),) = daemon.metadata()
    ended = time.monotonic() + 4.5
    while time.monotonic() < ended:
        assert client.queues()
    assert raw(daemon, (key, good))[0] is grpc.StatusCode.UNAUTHENTICATED


def test_clients_go_on_across_a_restart_with_every_kind_of_call(daemon: Daemon) -> None:
    """Each has a pass of the daemon before, which the next one refuses."""
    daemon.start()
    first, submits, types, follows, watches = (daemon.client() for _ in range(5))
    job = first.submit(["cat"], stdin=True, env={}, inherit_env=False, cwd="/")
    stale = daemon.metadata()
    watch = watches.watch(include_ended=True, timeout=PATIENCE_S)
    assert next(watch).job is not None
    for each in (submits, types, follows):
        assert each.queues()
    daemon.restart()
    assert raw(daemon, *stale)[0] is grpc.StatusCode.UNAUTHENTICATED
    assert submits.submit(["true"], **HELD).state is aios.State.HELD
    assert types.write_input(job.id, [b"typed"]) == 5
    assert list(follows.log_lines(job.id, follow=True)) == ["typed"]
    assert any(event.job is not None and event.job.id == job.id and event.job.ended for event in watch)
    assert first.cancel(*(each.id for each in first.jobs(states=["held"])))[0].error is None


def test_a_forked_child_is_known_too(shared: Daemon) -> None:
    code = (
        "import os, sys, aios; c = aios.Client(sys.argv[1], autostart=False); c.queues(); pid = os.fork()\n"
        "if not pid: c.queues(); os._exit(7)\n"
        "c.queues(); print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, shared.target], env=shared.environment, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout.strip() == "7"


def test_a_pass_for_other_clients_is_printed(shared: Daemon) -> None:
    done = shared.aiosctl("whoami", "--pass")
    assert done.returncode == 0
    assert raw(shared, ("authorization", f"Bearer {done.stdout.decode().strip()}"))[0] is grpc.StatusCode.OK


def test_the_sockets_of_ones_own_daemon_are_ones_own(daemon: Daemon) -> None:
    daemon.start()
    for name in ("aiosd.sock", "aiosd.cred"):
        assert stat.S_IMODE((daemon.socket.parent / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.socket.parent.stat().st_mode) == 0o700
    assert daemon.stop() == 0
    assert not list(daemon.socket.parent.glob("aiosd.*"))


@pytest.mark.root
def test_another_user_is_not_let_into_ones_own_daemon() -> None:
    """Also where the modes of the files would let them."""
    with a_daemon() as daemon:
        daemon.start()
        for path in (daemon.root, daemon.root / "run", daemon.socket.parent):
            path.chmod(0o755)
        for path in (daemon.socket, daemon.socket.with_suffix(".cred")):
            path.chmod(0o666)
        code = """
import aios
try:
    print(aios.Client(sys.argv[3], autostart=False).queues())
except aios.errors.Denied as error:
    print("denied", error)
"""
        said = run_as(ADA, code, daemon.target, modules=SDK)
        assert said.startswith(f"denied this is the daemon of user root, and user {ADA} may not use it")


TWO = """
import aios
client = aios.Client(sys.argv[3], autostart=False)
refs = sys.argv[4:]
found = {"seen": [], "denied": {}}
if not refs:
    job = client.submit(["secret-program", "--token", "hush"], name="hidden", labels={"l": "hush"}, env={"A": "hush"}, inherit_env=False, cwd="/", hold=True)
    found["id"] = job.id
for ref in refs:
    calls = {
        "cancel": lambda: client.cancel(ref)[0], "hold": lambda: client.hold(ref)[0], "update": lambda: client.update(ref, priority=5),
        "logs": lambda: list(client.log_chunks(ref)), "stats": lambda: client.stats(ref), "input": lambda: client.write_input(ref, [b"x"]),
        "attach": lambda: list(client.attach(ref)), "drain": lambda: client.drain(), "stop": lambda: client.stop_daemon(),
    }
    for name, call in calls.items():
        try:
            error = getattr(call(), "error", None)
        except aios.errors.AiosError as raised:
            error = raised
        found["denied"][name] = type(error).__name__
    found["one"] = repr(client.job(ref, with_environment=True)) + repr(client.why(ref))
    try:
        client.job("hidden")
    except aios.errors.AiosError as error:
        found["by_name"] = type(error).__name__
found["seen"] = [[job.id, job.user, job.state.value, job.name, list(job.command), job.redacted] for job in client.jobs()]
found["search"] = [job.id for job in client.jobs(labels={"l": "hush"})] + [job.id for job in client.jobs(name="hidden")]
print(json.dumps(found))
"""


@pytest.mark.root
def test_users_of_one_daemon_see_that_others_have_jobs_and_nothing_else() -> None:
    with everybodys() as daemon:
        for name in ("aiosd.sock", "aiosd.cred"):
            assert stat.S_IMODE((daemon.socket.parent / name).stat().st_mode) == 0o666
        ada = json.loads(run_as(ADA, TWO, daemon.target, modules=SDK))
        assert ada["seen"] == [[ada["id"], str(ADA), "held", "hidden", ["secret-program", "--token", "hush"], False]]
        assert ada["search"] == [ada["id"], ada["id"]]
        bob = json.loads(run_as(BOB, TWO, daemon.target, ada["id"], modules=SDK))
        assert bob["seen"] == [[ada["id"], str(ADA), "held", "", [], True]]
        assert bob["denied"] == dict.fromkeys(bob["denied"], "Denied")
        assert len(bob["denied"]) == 9
        assert (bob["by_name"], bob["search"]) == ("NotFound", [])
        assert "hush" not in bob["one"]
        assert "secret-program" not in bob["one"]
        job = daemon.client().job(ada["id"], with_environment=True)  # root sees all, and nothing has changed
        assert (job.state, job.priority, job.command[0], job.environment["A"], job.uid) == (aios.State.HELD, 0, "secret-program", "hush", ADA)


FLOOD = """
import grpc, aios
client = aios.Client(sys.argv[3], autostart=False, timeout=60)
rate = {"served": 0, "refused": 0}
began = time.monotonic()
def loop():
    while not os.path.exists(sys.argv[4]):
        try:
            list(client.jobs())
            rate["served"] += 1
        except aios.errors.Exhausted:
            rate["refused"] += 1
threads = [threading.Thread(target=loop) for _ in range(16)]
[t.start() for t in threads]
print("going", flush=True)
[t.join() for t in threads]
print(json.dumps({**rate, "took_s": time.monotonic() - began}))
"""


@pytest.mark.root
def test_one_users_loop_does_not_starve_anothers_calls() -> None:
    with everybodys(AIOSD_ACCESS__CALLS_PER_S="20", AIOSD_ACCESS__BURST="20") as daemon:
        root = daemon.client()
        root.submit_many([aios.JobSpec(["true"], **HELD) for _ in range(50)])
        stop = daemon.root / "stop"
        words = command(ADA, FLOOD, daemon.target, str(stop), modules=SDK)
        flood = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            assert flood.stdout is not None
            assert flood.stdout.readline() == "going\n"
            calls = "import aios\nc = aios.Client(sys.argv[3], autostart=False, timeout=60)\nprint(sum(len(list(c.jobs())) for _ in range(15)))"
            assert int(run_as(BOB, calls, daemon.target, modules=SDK)) == 15 * 50
            for _ in range(50):
                assert root.queues()
            stop.touch()
            said = json.loads(flood.communicate(timeout=PATIENCE_S)[0])
        finally:
            if flood.poll() is None:
                os.killpg(flood.pid, signal.SIGKILL)
                flood.wait()
        assert 0 < said["served"] <= 20 + 20 * said["took_s"] + 16  # a burst, the rate, and who was let in last
