"""Runs of a daemon of root become their job's owner; nothing that the owner named is touched as root."""

from pathlib import Path

import pytest

from aiosd.clock import SystemClock
from aiosd.host.identities import Identities, Identity
from aiosd.host.launch import Confinement
from aiosd.host.launcher import ShimLauncher
from aiosd.jobs.job import Owner, ProcessLimit
from tests.contract.launching import Ear, alive, eventually, in_loop, job, out, sh, text
from tests.contract.users import ADA, BOB, GROUPS, UsersWorld, of, owner_and_mode

pytestmark = pytest.mark.root

LIBRARYS_OWN = 1 << 31 | 1 << 32  # signals 32 and 33: the C library lets nobody set them, so whatever started the tests may have left them as they are


@in_loop
async def test_a_run_is_its_owner_with_exactly_its_groups_and_nothing_of_root(users: UsersWorld) -> None:
    ended, printed = await users.run(of(ADA, sh("grep -E '^(Uid|Gid|Groups|CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs)' /proc/self/status; umask")))
    said = {name: value.split() for name, _, value in (line.partition(":") for line in printed.splitlines())}
    assert ended.exit_code == 0
    assert (said["Uid"], said["Gid"]) == (["61001"] * 4, ["61001"] * 4)
    assert sorted(said["Groups"]) == [str(group) for group in GROUPS]
    assert {int(said[caps][0], 16) for caps in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
    assert said["NoNewPrivs"] == ["1"]
    assert printed.splitlines()[-1] == "0022"


@in_loop
async def test_no_signal_is_ignored_or_blocked_and_no_descriptor_is_left_open(users: UsersWorld) -> None:
    _, printed = await users.run(of(ADA, sh("cat /proc/self/status; ls /proc/self/fd | tr '\\n' ' '")))
    said = {name: value.split() for name, _, value in (line.partition(":") for line in printed.splitlines()[:-1])}
    assert {int(said[kind][0], 16) & ~LIBRARYS_OWN for kind in ("SigIgn", "SigBlk", "SigCgt")} == {0}
    assert printed.splitlines()[-1].split() == ["0", "1", "2", "3"]  # 3 is of ls itself


@in_loop
async def test_a_run_is_not_spared_by_the_oom_killer_as_its_daemon_is(users: UsersWorld) -> None:
    own = Path("/proc/self/oom_score_adj")
    before = own.read_text()
    try:
        own.write_text("-5")
    except OSError:
        own.write_text("7")  # a container that may not lower it: any value that is not the usual one shows the same
    try:
        _, printed = await users.run(of(ADA, sh("cat /proc/self/oom_score_adj")))
    finally:
        try:
            own.write_text(before)
        except OSError:
            pytest.skip("the score cannot be put back here")
    assert printed == "0\n"


@in_loop
async def test_what_is_kept_of_a_run_is_its_owners_alone(users: UsersWorld) -> None:
    keeper = of(ADA, sh("echo kept; touch $AIOS_CHECKPOINT_DIR/model $AIOS_REPORT_FILE; stat -c '%u %a' $AIOS_SCRATCH"))
    ended, printed = await users.run(keeper)
    assert (ended.exit_code, printed) == (0, "kept\n61001 700\n")
    logs, state = users.state / "logs/0/1", users.state
    assert [owner_and_mode(path) for path in (logs, logs / "job.1.out", logs / "job.1.err", state / "checkpoints/1")] == [
        (61001, 0o700), (61001, 0o600), (61001, 0o600), (61001, 0o700),
    ]  # fmt: skip
    for closed in ("logs", "logs/0", "runs", "scratch", "checkpoints"):
        assert owner_and_mode(state / closed) == (0, 0o711), closed


@in_loop
async def test_another_user_sees_neither_names_nor_content(users: UsersWorld) -> None:
    (await users.run(of(ADA, sh("echo secret; touch $AIOS_CHECKPOINT_DIR/model"))))[0]
    looks = ("ls scratch", "ls runs", "ls checkpoints", "ls logs/0", "ls logs/0/1", "cat logs/0/1/job.1.out", "cat runs/1.-1.1", "ls checkpoints/1")
    spy = of(BOB, sh("; ".join(f"{look} && echo SEEN {look}" for look in looks) + "; true", number=2, cwd=str(users.state)))
    ended, printed = await users.run(spy)
    assert (ended.exit_code, printed) == (0, "")


@in_loop
async def test_the_account_fills_what_the_jobs_environment_leaves_open(users: UsersWorld) -> None:
    ended, printed = await users.run(of(ADA, sh("echo $HOME $USER $LOGNAME $SHELL", env={"HOME": "/elsewhere"})))
    assert (ended.exit_code, printed) == (0, "/elsewhere ada ada /bin/sh\n")


@in_loop
async def test_an_output_file_that_is_a_link_to_roots_file_is_not_written(users: UsersWorld) -> None:
    precious = users.root / "precious"
    precious.write_text("as it was\n")
    precious.chmod(0o600)
    (users.home / "out").symlink_to(precious)
    ended, _ = await users.run(of(ADA, sh("echo overwritten", stdout_path=str(users.home / "out"))))
    assert ended.exit_code == 126
    assert "Permission denied" in ended.error
    assert precious.read_text() == "as it was\n"


@in_loop
async def test_an_output_directory_that_is_swapped_for_a_link_lets_nothing_be_made_as_root(users: UsersWorld) -> None:
    roots = users.root / "roots"
    roots.mkdir(mode=0o755)
    (users.home / "results").symlink_to(roots)
    ended, _ = await users.run(of(ADA, sh("true", stdout_path=str(users.home / "results" / "out"))))
    assert (ended.exit_code, list(roots.iterdir())) == (126, [])


@in_loop
async def test_an_output_file_belongs_to_the_owner_and_follows_its_umask(users: UsersWorld) -> None:
    ended, _ = await users.run(of(ADA, sh("touch made", cwd=str(users.home), stdout_path="out", umask=0o027)))
    assert ended.exit_code == 0
    assert [owner_and_mode(users.home / name) for name in ("out", "made")] == [(61001, 0o640), (61001, 0o640)]


@in_loop
async def test_a_directory_that_the_owner_may_not_enter_is_not_entered_as_root(users: UsersWorld) -> None:
    ended, _ = await users.run(of(BOB, sh("pwd", cwd=str(users.home))))
    assert ended.exit_code == 127
    assert str(users.home) in ended.error
    assert "Permission denied" in ended.error


@in_loop
async def test_a_program_that_only_root_may_run_is_not_run(users: UsersWorld) -> None:
    program = users.root / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o700)
    ended, printed = await users.run(of(ADA, job(str(program))))
    assert (ended.exit_code, printed) == (126, "")


@in_loop
async def test_a_script_can_be_run_by_its_owner_and_read_by_nobody_else(users: UsersWorld) -> None:
    ada = of(ADA, job(script=f"#!/bin/sh\nid -u; cat $0 > /dev/null && echo mine; while [ ! -e {users.home}/done ]; do sleep 0.02; done\n"))
    spy = of(BOB, sh(f"cat {users.state}/runs/1.-1.1.sh", number=2))
    async with users.daemon() as ear:
        ear.launcher.launch(ada)
        await text(Path(ear.launcher.log_paths(ada)[0]), 2)
        assert (await ear.run(spy)).exit_code != 0
        (users.home / "done").touch()
        assert (await ear.exit(ada)).exit_code == 0
        assert (out(ear, ada), out(ear, spy)) == (b"61001\nmine\n", b"")


@in_loop
async def test_open_input_reaches_the_owner_also_by_its_name(users: UsersWorld) -> None:
    reader = of(ADA, sh("exec 3< /dev/stdin; echo opened; cat; id -u", stdin_open=True))
    async with users.daemon() as ear:
        ear.launcher.launch(reader)
        await text(Path(ear.launcher.log_paths(reader)[0]))
        await eventually(lambda: ear.launcher.write_input(reader, b"typed\n") > 0)  # type: ignore[attr-defined]
        ear.launcher.end_input(reader)  # type: ignore[attr-defined]
        assert (await ear.exit(reader)).exit_code == 0
        assert out(ear, reader) == b"opened\ntyped\n61001\n"


@in_loop
async def test_links_in_what_a_run_leaves_are_removed_and_not_what_they_point_to(users: UsersWorld) -> None:
    target = users.root / "target"
    target.mkdir(mode=0o777)
    (target / "file").write_text("kept")
    script = f"mkdir -p $AIOS_SCRATCH/a/b/c; ln -s {target} $AIOS_SCRATCH/link; ln -s {target} $AIOS_SCRATCH/a/b/link; ln -s /etc $AIOS_SCRATCH/a/b/c/etc"
    ended, _ = await users.run(of(ADA, sh(script)))
    assert ended.exit_code == 0
    assert (list((users.state / "scratch").iterdir()), (target / "file").read_text()) == ([], "kept")


@in_loop
async def test_what_escapes_by_a_session_and_a_double_fork_is_gone_at_the_end(users: UsersWorld) -> None:
    escapee = (
        f"(setsid env -i sh -c 'trap \"\" TERM HUP; echo $$ > {users.home}/pid; while :; do sleep 1; done' &); while [ ! -s {users.home}/pid ]; do :; done"
    )
    ended, _ = await users.run(of(ADA, sh(escapee)))
    assert ended.exit_code == 0
    assert not alive(int((users.home / "pid").read_text()))


@in_loop
async def test_limits_are_set_and_cannot_be_raised_over_the_machines(users: UsersWorld) -> None:
    limited = of(ADA, sh("ulimit -S -n; ulimit -H -n; ulimit -c", process_limits=(ProcessLimit("nofile", 64, 128), ProcessLimit("core", 0, 0))))
    assert (await users.run(limited))[1] == "64\n128\n0\n"
    ended, _ = await users.run(of(ADA, sh("true", number=2, process_limits=(ProcessLimit("nofile", -1, -1),))))
    assert ended.exit_code == 126
    assert "nofile" in ended.error


@in_loop
async def test_a_run_of_root_stays_roots(users: UsersWorld) -> None:
    ended, printed = await users.run(sh("id -u"))
    assert (ended.exit_code, printed) == (0, "0\n")


@in_loop
async def test_one_shim_serves_users_after_each_other(users: UsersWorld) -> None:
    """Which shim is free is the spawner's affair: runs go on until one has had two users."""
    had: dict[int, set[int]] = {}
    async with users.daemon() as ear:
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
async def test_who_cannot_be_looked_up_does_not_run(users: UsersWorld) -> None:
    def broken(owner: Owner) -> Identity:
        raise OSError(f"no answer about {owner.name}")

    launcher = ShimLauncher(users.state, "unix:/nowhere", lambda _: {}, SystemClock(), Confinement(switch=True), Identities(broken))
    await launcher.start()
    ear = Ear(launcher)
    lost = of(ADA, sh("true"))
    launcher.launch(lost)
    await eventually(lambda: bool(ear.events))
    await launcher.close()
    assert "no answer about ada" in ear.events[0].reason  # type: ignore[union-attr]
