"""What a run has for itself alone: secrets, a /tmp of its own, the variables of a login; with and without root's power to switch users."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from aiosd.clock import SystemClock
from aiosd.host.identities import Identities, Identity
from aiosd.host.launch import VAULT, Confinement
from aiosd.host.launcher import ShimLauncher
from aiosd.host.records import read_run
from aiosd.host.terminal import PtyTerminals
from aiosd.host.vault import FileVault
from aiosd.jobs.job import Job, Phase, ProcessLimit
from tests.contract.launching import Ear, RealWorld, eventually, in_loop, out, sh, text
from tests.contract.users import ADA, BOB, UsersWorld, identity_of, of, owner_and_mode


async def with_secrets(state: Path, one: Job, values: Mapping[str, bytes]) -> Job:
    vault = FileVault(state / VAULT)
    place = await vault.keep(values)
    vault.close()
    return replace(one, spec=replace(one.spec, secrets=tuple(sorted(values)), secrets_at=place))


def main_pid(run_file: Path) -> int:
    record = read_run(run_file)
    return record.main_pid if record is not None else 0


@pytest.mark.root
@in_loop
async def test_a_secret_is_a_file_that_its_user_alone_reads_and_that_is_gone_at_the_end(users: UsersWorld) -> None:
    script = f"cd $AIOS_SECRETS && stat -c '%u %a' . TOKEN && cat TOKEN; pwd > {users.home}/where; while [ ! -e {users.home}/done ]; do sleep 0.02; done"
    ada = await with_secrets(users.state, of(ADA, sh(script)), {"TOKEN": b"hush"})
    async with users.daemon() as ear:
        ear.launcher.launch(ada)
        (where,) = await text(users.home / "where")
        spy = of(BOB, sh(f"cat {where}/TOKEN; ls {where}; ls {os.path.dirname(where)}; ls {users.state}/{VAULT}; cat {users.state}/{VAULT}/*/*", number=2))
        assert (await ear.run(spy)).exit_code != 0
        assert out(ear, spy) == b""
        (users.home / "done").touch()
        assert (await ear.exit(ada)).exit_code == 0
        assert out(ear, ada) == b"61001 700\n61001 400\nhush"
        assert not Path(where).exists()


@in_loop
async def test_each_attempt_has_the_secrets_and_a_lost_one_is_said(real: RealWorld) -> None:
    one = await with_secrets(real.state, sh('cat "$AIOS_SECRETS/TOKEN"'), {"TOKEN": b"hush"})
    async with real.daemon() as ear:
        for attempt in (1, 2):
            again = replace(one, attempt=attempt)
            assert (await ear.run(again)).exit_code == 0
            assert out(ear, again) == b"hush"
            ear.events.clear()
        FileVault(real.state / VAULT).sweep([])
        await eventually(lambda: not list((real.state / VAULT).iterdir()))
        lost = await ear.run(replace(one, attempt=3))
        assert (lost.exit_code, "TOKEN" in lost.error, "hush" in lost.error) == (126, True, False)


@in_loop
async def test_no_secret_is_left_in_what_is_kept_of_a_run_or_seen_of_its_processes(real: RealWorld, tmp_path: Path) -> None:
    value = b"a-very-rare-value-0815"
    one = await with_secrets(real.state, sh(f"touch {tmp_path}/up; while [ ! -e {tmp_path}/done ]; do sleep 0.02; done"), {"TOKEN": value})
    async with real.daemon() as ear:
        ear.launcher.launch(one)
        await eventually((tmp_path / "up").exists)
        main = (await ear.launched(one)).shim_pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        for pid in [str(main), *children]:
            assert value not in Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        (tmp_path / "done").touch()
        assert (await ear.exit(one)).exit_code == 0
    found = [path for path in real.state.rglob("*") if path.is_file() and value in path.read_bytes()]
    assert [path.relative_to(real.state).parts[0] for path in found] == [VAULT]


@pytest.mark.root
@in_loop
async def test_a_private_tmp_is_seen_by_its_run_alone_and_gone_at_its_end(users: UsersWorld) -> None:
    script = f"echo mine > /tmp/made && echo too > /var/tmp/made && stat -c '%a' /tmp; while [ ! -e {users.home}/done ]; do sleep 0.02; done; ls /tmp /var/tmp"
    ada = of(ADA, sh(script, private_tmp=True, cwd="/"))
    async with users.daemon() as ear:
        ear.launcher.launch(ada)
        await text(Path(ear.launcher.log_paths(ada)[0]))
        assert not Path("/tmp/made").exists()
        other = of(ADA, sh("ls -A /tmp /var/tmp", number=2, private_tmp=True))
        assert (await ear.run(other)).exit_code == 0
        assert out(ear, other) == b"/tmp:\n\n/var/tmp:\n"
        assert owner_and_mode(users.state / "scratch/1.-1.1") == (61001, 0o700)
        (ada_done := users.home / "done").touch()
        assert (await ear.exit(ada)).exit_code == 0, ada_done
        assert out(ear, ada) == b"1777\n/tmp:\nmade\n\n/var/tmp:\nmade\n"
        assert list((users.state / "scratch").iterdir()) == []


@in_loop
async def test_what_a_killed_shim_has_handed_out_is_taken_back_by_who_finds_that(real: RealWorld) -> None:
    one = await with_secrets(real.state, sh("echo up; exec sleep 1000"), {"TOKEN": b"hush"})
    handed_out = real.state / "handed-out" / one.run_key
    async with real.daemon() as ear:
        ear.launcher.launch(one)
        await text(Path(ear.launcher.log_paths(one)[0]))
        assert (handed_out / "TOKEN").exists()
        os.kill((await ear.launched(one)).shim_pid, signal.SIGKILL)
        assert (await ear.ended(one)).exit is None
        assert not handed_out.exists()


@pytest.mark.root
@in_loop
async def test_a_terminal_beside_a_run_with_a_tmp_of_its_own_is_in_that_tmp(users: UsersWorld) -> None:
    ada = of(ADA, sh("echo mine > /tmp/made; echo up; exec sleep 1000", private_tmp=True))
    async with users.daemon() as ear:
        ear.launcher.launch(ada)
        await text(Path(ear.launcher.log_paths(ada)[0]))
        await eventually(lambda: main_pid(users.state / "runs" / ada.run_key) > 0)
        pid = (await ear.launched(ada)).shim_pid
        running = replace(ada, phase=Phase.RUNNING, run=replace(ada.run, shim_pid=pid))  # type: ignore[type-var]  # it has one
        terminals = PtyTerminals(lambda key: str(users.state / "runs" / key), Identities(identity_of))
        terminal = await terminals.open(running, ["/bin/sh", "-c", "id -u; cat /tmp/made"], 0, 0)
        try:
            said = b"".join([piece async for piece in terminal.output()])
        finally:
            await terminal.close()
        assert said.split() == [b"61001", b"mine"]
        ear.launcher.signal(ada, "KILL")
        await ear.exit(ada)


@pytest.mark.root
@in_loop
async def test_the_variables_of_a_login_are_those_of_the_users_shell_under_the_jobs_own(users: UsersWorld) -> None:
    shell = users.root / "shell"
    shell.write_text(
        '#!/bin/sh\necho chatter; sleep 60 & [ "$(id -u)" = 61001 ] && export FROM_PROFILE=1 OVERRIDDEN=profile GREETING="two words"\nexec /bin/sh "$@"\n'
    )
    shell.chmod(0o755)
    confinement = Confinement(switch=True, runtime=str(users.root / "run"))
    identities = Identities(lambda owner: Identity(owner.uid, owner.gid, (owner.gid,), "ada", str(users.home), str(shell)))
    launcher = ShimLauncher(users.state, "unix:/nowhere", lambda _: {}, SystemClock(), confinement, identities)
    await launcher.start()
    ear = Ear(launcher)
    one = of(ADA, sh("echo $FROM_PROFILE $OVERRIDDEN $GREETING $HOME", login_environment=True, env={"OVERRIDDEN": "job"}))
    ended = await ear.run(one)
    await launcher.close()
    assert (ended.error, out(ear, one)) == ("", f"1 job two words {users.home}\n".encode())


@pytest.mark.root
@in_loop
async def test_a_login_shell_that_tells_nothing_ends_the_run_with_a_sentence(users: UsersWorld) -> None:
    identities = Identities(lambda owner: Identity(owner.uid, owner.gid, (owner.gid,), "ada", "/", "/bin/false"))
    launcher = ShimLauncher(users.state, "unix:/nowhere", lambda _: {}, SystemClock(), Confinement(switch=True), identities)
    await launcher.start()
    ended = await Ear(launcher).run(of(ADA, sh("true", login_environment=True)))
    await launcher.close()
    assert (ended.exit_code, "/bin/false" in ended.error) == (126, True)


@in_loop
async def test_limits_and_a_umask_hold_without_a_switch_of_users(real: RealWorld, tmp_path: Path) -> None:
    limited = sh("ulimit -S -n; ulimit -H -n; umask; touch made", cwd=str(tmp_path), umask=0o077, process_limits=(ProcessLimit("nofile", 64, 128),))
    async with real.daemon() as ear:
        assert (await ear.run(limited)).error == ""
        assert out(ear, limited) == b"64\n128\n0077\n"
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600
