"""Runs of a daemon of root become their job's owner; nothing that the owner named is touched as root."""

import os
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.clock import SystemClock
from aiosd.host.identities import Identities, Identity
from aiosd.host.launch import Confinement
from aiosd.host.launcher import ShimLauncher
from aiosd.jobs.job import Exit, Job, Owner, ProcessLimit
from tests.contract.launching import Ear, alive, eventually, in_loop, job, out, sh, text

pytestmark = pytest.mark.root

ADA, BOB = Owner(61001, 61001, "ada"), Owner(61002, 61002, "bob")  # without entries: any machine has these numbers free
GROUPS = (61001, 61050, 61051)


def identity_of(owner: Owner) -> Identity:
    """As the machine's directory of users would say it, if they were in it."""
    return Identity(owner.uid, owner.gid, GROUPS if owner == ADA else (owner.gid,), owner.name, "/", "/bin/sh")


class UsersWorld:
    """A state directory that users can pass through, and a place where each has a directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("state", "run"):
            (root / part).mkdir(mode=0o711)
        self.home = self.directory("home", ADA)

    @property
    def state(self) -> Path:
        return self.root / "state"

    def directory(self, name: str, owner: Owner, mode: int = 0o700) -> Path:
        made = self.root / name
        made.mkdir()
        made.chmod(mode)
        os.chown(made, owner.uid, owner.gid)
        return made

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[Ear]:
        confinement = Confinement(switch=True, runtime=str(self.root / "run"))
        launcher = ShimLauncher(self.state, "unix:/nowhere", lambda _: {}, SystemClock(), confinement, Identities(identity_of))
        await launcher.start()
        try:
            yield Ear(launcher)
        finally:
            await launcher.close()

    async def run(self, one: Job) -> tuple[Exit, str]:
        """How it ended, and what it printed."""
        async with self.daemon() as ear:
            ended = await ear.run(one)
            printed = Path(ear.launcher.log_paths(one)[0])
            return ended, printed.read_text() if printed.exists() and not printed.is_symlink() else ""


@pytest.fixture
def world() -> Iterator[UsersWorld]:
    """Not below pytest's own directory, which is closed to other users."""
    with tempfile.TemporaryDirectory(prefix="au-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield UsersWorld(Path(name))


def of(owner: Owner, one: Job) -> Job:
    return replace(one, owner=owner)


def owner_and_mode(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_uid, stat.S_IMODE(found.st_mode)


@in_loop
async def test_a_run_is_its_owner_with_exactly_its_groups_and_nothing_of_root(world: UsersWorld) -> None:
    ended, printed = await world.run(of(ADA, sh("grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs)' /proc/self/status; umask")))
    said = {name: value.split() for name, _, value in (line.partition(":") for line in printed.splitlines())}
    assert ended.exit_code == 0
    assert (said["Uid"], said["Gid"]) == (["61001"] * 4, ["61001"] * 4)
    assert sorted(said["Groups"]) == [str(group) for group in GROUPS]
    assert {int(said[caps][0], 16) for caps in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
    assert said["NoNewPrivs"] == ["1"]
    assert printed.splitlines()[-1] == "0022"


@in_loop
async def test_what_is_kept_of_a_run_is_its_owners_alone(world: UsersWorld) -> None:
    keeper = of(ADA, sh("echo kept; touch $AIOS_CHECKPOINT_DIR/model $AIOS_REPORT_FILE; stat -c '%u %a' $AIOS_SCRATCH"))
    ended, printed = await world.run(keeper)
    assert (ended.exit_code, printed) == (0, "kept\n61001 700\n")
    logs, state = world.state / "logs/0/1", world.state
    assert [owner_and_mode(path) for path in (logs, logs / "job.1.out", logs / "job.1.err", state / "checkpoints/1")] == [
        (61001, 0o700), (61001, 0o600), (61001, 0o600), (61001, 0o700),
    ]  # fmt: skip
    for closed in ("logs", "logs/0", "runs", "scratch", "checkpoints"):
        assert owner_and_mode(state / closed) == (0, 0o711), closed


@in_loop
async def test_another_user_sees_neither_names_nor_content(world: UsersWorld) -> None:
    (await world.run(of(ADA, sh("echo secret; touch $AIOS_CHECKPOINT_DIR/model"))))[0]
    looks = ("ls scratch", "ls runs", "ls checkpoints", "ls logs/0", "ls logs/0/1", "cat logs/0/1/job.1.out", "cat runs/1.-1.1", "ls checkpoints/1")
    spy = of(BOB, sh("; ".join(f"{look} && echo SEEN {look}" for look in looks) + "; true", number=2, cwd=str(world.state)))
    ended, printed = await world.run(spy)
    assert (ended.exit_code, printed) == (0, "")


@in_loop
async def test_the_account_fills_what_the_jobs_environment_leaves_open(world: UsersWorld) -> None:
    ended, printed = await world.run(of(ADA, sh("echo $HOME $USER $LOGNAME $SHELL", env={"HOME": "/elsewhere"})))
    assert (ended.exit_code, printed) == (0, "/elsewhere ada ada /bin/sh\n")


@in_loop
async def test_an_output_file_that_is_a_link_to_roots_file_is_not_written(world: UsersWorld) -> None:
    precious = world.root / "precious"
    precious.write_text("as it was\n")
    precious.chmod(0o600)
    (world.home / "out").symlink_to(precious)
    ended, _ = await world.run(of(ADA, sh("echo overwritten", stdout_path=str(world.home / "out"))))
    assert ended.exit_code == 126
    assert "Permission denied" in ended.error
    assert precious.read_text() == "as it was\n"


@in_loop
async def test_an_output_directory_that_is_swapped_for_a_link_lets_nothing_be_made_as_root(world: UsersWorld) -> None:
    roots = world.root / "roots"
    roots.mkdir(mode=0o755)
    (world.home / "results").symlink_to(roots)
    ended, _ = await world.run(of(ADA, sh("true", stdout_path=str(world.home / "results" / "out"))))
    assert (ended.exit_code, list(roots.iterdir())) == (126, [])


@in_loop
async def test_an_output_file_belongs_to_the_owner_and_follows_its_umask(world: UsersWorld) -> None:
    ended, _ = await world.run(of(ADA, sh("touch made", cwd=str(world.home), stdout_path="out", umask=0o027)))
    assert ended.exit_code == 0
    assert [owner_and_mode(world.home / name) for name in ("out", "made")] == [(61001, 0o640), (61001, 0o640)]


@in_loop
async def test_a_directory_that_the_owner_may_not_enter_is_not_entered_as_root(world: UsersWorld) -> None:
    ended, _ = await world.run(of(BOB, sh("pwd", cwd=str(world.home))))
    assert ended.exit_code == 127
    assert str(world.home) in ended.error
    assert "Permission denied" in ended.error


@in_loop
async def test_a_program_that_only_root_may_run_is_not_run(world: UsersWorld) -> None:
    program = world.root / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o700)
    ended, printed = await world.run(of(ADA, job(str(program))))
    assert (ended.exit_code, printed) == (126, "")


@in_loop
async def test_a_script_can_be_run_by_its_owner_and_read_by_nobody_else(world: UsersWorld) -> None:
    ada = of(ADA, job(script=f"#!/bin/sh\nid -u; cat $0 > /dev/null && echo mine; while [ ! -e {world.home}/done ]; do sleep 0.02; done\n"))
    spy = of(BOB, sh(f"cat {world.state}/runs/1.-1.1.sh", number=2))
    async with world.daemon() as ear:
        ear.launcher.launch(ada)
        await text(Path(ear.launcher.log_paths(ada)[0]), 2)
        assert (await ear.run(spy)).exit_code != 0
        (world.home / "done").touch()
        assert (await ear.exit(ada)).exit_code == 0
        assert (out(ear, ada), out(ear, spy)) == (b"61001\nmine\n", b"")


@in_loop
async def test_open_input_reaches_the_owner_also_by_its_name(world: UsersWorld) -> None:
    reader = of(ADA, sh("exec 3< /dev/stdin; echo opened; cat; id -u", stdin_open=True))
    async with world.daemon() as ear:
        ear.launcher.launch(reader)
        await text(Path(ear.launcher.log_paths(reader)[0]))
        await eventually(lambda: ear.launcher.write_input(reader, b"typed\n") > 0)  # type: ignore[attr-defined]
        ear.launcher.end_input(reader)  # type: ignore[attr-defined]
        assert (await ear.exit(reader)).exit_code == 0
        assert out(ear, reader) == b"opened\ntyped\n61001\n"


@in_loop
async def test_links_in_what_a_run_leaves_are_removed_and_not_what_they_point_to(world: UsersWorld) -> None:
    target = world.root / "target"
    target.mkdir(mode=0o777)
    (target / "file").write_text("kept")
    script = f"mkdir -p $AIOS_SCRATCH/a/b/c; ln -s {target} $AIOS_SCRATCH/link; ln -s {target} $AIOS_SCRATCH/a/b/link; ln -s /etc $AIOS_SCRATCH/a/b/c/etc"
    ended, _ = await world.run(of(ADA, sh(script)))
    assert ended.exit_code == 0
    assert (list((world.state / "scratch").iterdir()), (target / "file").read_text()) == ([], "kept")


@in_loop
async def test_what_escapes_by_a_session_and_a_double_fork_is_gone_at_the_end(world: UsersWorld) -> None:
    escapee = (
        f"(setsid env -i sh -c 'trap \"\" TERM HUP; echo $$ > {world.home}/pid; while :; do sleep 1; done' &); while [ ! -s {world.home}/pid ]; do :; done"
    )
    ended, _ = await world.run(of(ADA, sh(escapee)))
    assert ended.exit_code == 0
    assert not alive(int((world.home / "pid").read_text()))


@in_loop
async def test_limits_are_set_and_cannot_be_raised_over_the_machines(world: UsersWorld) -> None:
    limited = of(ADA, sh("ulimit -S -n; ulimit -H -n; ulimit -c", process_limits=(ProcessLimit("nofile", 64, 128), ProcessLimit("core", 0, 0))))
    assert (await world.run(limited))[1] == "64\n128\n0\n"
    ended, _ = await world.run(of(ADA, sh("true", number=2, process_limits=(ProcessLimit("nofile", -1, -1),))))
    assert ended.exit_code == 126
    assert "nofile" in ended.error


@in_loop
async def test_a_run_of_root_stays_roots(world: UsersWorld) -> None:
    ended, printed = await world.run(sh("id -u"))
    assert (ended.exit_code, printed) == (0, "0\n")


@in_loop
async def test_one_shim_serves_users_after_each_other(world: UsersWorld) -> None:
    """Which shim is free is the spawner's affair: runs go on until one has had two users."""
    had: dict[int, set[int]] = {}
    async with world.daemon() as ear:
        for number in range(1, 30):
            owner = (ADA, BOB)[number % 2]
            one = of(owner, sh("id -u; ls -A $AIOS_SCRATCH", number=number))
            assert (await ear.run(one)).exit_code == 0
            assert out(ear, one) == b"%d\n" % owner.uid
            had.setdefault((await ear.launched(one)).shim_pid, set()).add(owner.uid)
            if any(len(users) == 2 for users in had.values()):
                break
    assert any(len(users) == 2 for users in had.values())


@in_loop
async def test_who_cannot_be_looked_up_does_not_run(world: UsersWorld) -> None:
    def broken(owner: Owner) -> Identity:
        raise OSError(f"no answer about {owner.name}")

    launcher = ShimLauncher(world.state, "unix:/nowhere", lambda _: {}, SystemClock(), Confinement(switch=True), Identities(broken))
    await launcher.start()
    ear = Ear(launcher)
    lost = of(ADA, sh("true"))
    launcher.launch(lost)
    await eventually(lambda: bool(ear.events))
    await launcher.close()
    assert "no answer about ada" in ear.events[0].reason  # type: ignore[union-attr]
