"""`daemon install` and `uninstall`: what is put below a root, that twice is as once, and that exactly that goes again."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from aiosctl import install
from aiosctl.install import with_program

PLACED = [
    "etc/aios/aiosd.toml",
    "usr/local/lib/systemd/system/aiosd.service",
    "usr/local/lib/sysusers.d/aios.conf",
    "usr/local/lib/tmpfiles.d/aios.conf",
    "usr/local/share/aios/installed",
    "usr/local/share/bash-completion/completions/aiosctl",
    "usr/local/share/fish/vendor_completions.d/aiosctl.fish",
    "usr/local/share/zsh/site-functions/_aiosctl",
]
LINK = "etc/systemd/system/multi-user.target.wants/aiosd.service"


def files(root: Path) -> dict[str, str]:
    return {str(f.relative_to(root)): f.read_text(encoding="utf-8") for f in sorted(root.rglob("*")) if f.is_file() and not f.is_symlink()}


@pytest.fixture
def system(cli, tmp_path: Path):  # type: ignore[no-untyped-def]
    """`daemon VERB --system --root TMP`; its result."""
    return lambda verb, *words: cli("daemon", verb, "--system", "--root", str(tmp_path), *words)


def test_everything_is_put_in_place_and_names_the_installed_program(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = system("install")
    assert (done.status, sorted(files(tmp_path))) == (0, PLACED)
    unit = files(tmp_path)["usr/local/lib/systemd/system/aiosd.service"]
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    program = start.removeprefix("ExecStart=").removesuffix(" --system").split(" -m ")[0]
    assert os.access(program, os.X_OK), start
    assert f"ExecReload={program}" in unit
    assert tomllib.loads(files(tmp_path)["etc/aios/aiosd.toml"]) == {"access": {"admin_groups": ["aios-admin"], "operator_groups": ["aios-operator"]}}
    assert "_AIOSCTL_COMPLETE" in files(tmp_path)["usr/local/share/zsh/site-functions/_aiosctl"]


def test_twice_is_as_once(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    system("install", "--enable")
    first = files(tmp_path)
    again = system("install", "--enable")
    assert files(tmp_path) == first
    assert os.readlink(tmp_path / LINK) == "/usr/local/lib/systemd/system/aiosd.service"
    assert not [line for line in again.out.splitlines() if line.startswith(("write", "replace", "link"))]


def test_a_dry_run_tells_all_and_does_nothing(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    told = system("install", "--enable", "--dry-run")
    assert files(tmp_path) == {}
    assert all(f"would write {tmp_path / name}\n" in told.out for name in PLACED)
    system("install", "--enable")
    told = system("uninstall", "--purge", "--dry-run")
    assert sorted(files(tmp_path)) == PLACED
    assert f"would remove {tmp_path / 'var/lib/aios'}" in told.out or "var/lib/aios is gone already" in told.out


def test_uninstall_removes_exactly_that_and_may_be_repeated(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    stranger = tmp_path / "usr/local/lib/systemd/system/other.service"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("[Unit]\n")
    system("install", "--enable")
    (tmp_path / "etc/aios/aiosd.toml").write_text('[scheduler]\npolicy = "fifo"\n')
    for _ in range(2):
        assert system("uninstall").status == 0
        assert sorted(files(tmp_path)) == ["etc/aios/aiosd.toml", "usr/local/lib/systemd/system/other.service"]
        assert not (tmp_path / LINK).is_symlink()
        assert not (tmp_path / "usr/local/share/aios").exists()


def test_a_configuration_that_is_there_is_never_written_over(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    mine = tmp_path / "etc/aios/aiosd.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text("# mine\n")
    system("install")
    assert mine.read_text() == "# mine\n"


def test_what_was_changed_since_is_kept_and_named(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    system("install")
    changed = tmp_path / "usr/local/lib/tmpfiles.d/aios.conf"
    changed.write_text("# changed\n")
    assert f"keep {changed}, which was changed" in system("uninstall").out
    assert changed.exists()


def test_what_an_older_version_put_elsewhere_goes_at_an_upgrade(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    system("install")
    record, old = tmp_path / "usr/local/share/aios/installed", tmp_path / "usr/local/lib/old.conf"
    old.write_text("old\n")
    record.write_text(record.read_text() + f"{install.placing.digest_of(old.read_text())}  /usr/local/lib/old.conf\n")
    system("install")
    assert not old.exists()
    assert sorted(files(tmp_path)) == PLACED


def test_purge_removes_state_and_configuration_and_asks_first(system, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    system("install")
    job = tmp_path / "var/lib/aios/logs/0/1/job.1.out"
    job.parent.mkdir(parents=True)
    job.write_text("precious\n")
    refused = system("uninstall", "--purge")
    assert (refused.status, job.exists(), "--yes" in refused.err) == (1, True, True)
    assert system("uninstall", "--purge", "--yes").status == 0
    assert files(tmp_path) == {}


def test_a_supervisor_that_lives_is_found_by_its_run_file(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    (runs / "1.-1.1").write_text(json.dumps({"shim_pid": os.getpid(), "shim_start_ticks": ticks}) + "\n\0\0")
    (runs / "2.-1.1").write_text(json.dumps({"shim_pid": os.getpid(), "shim_start_ticks": ticks + 1}) + "\n")
    (runs / "3.-1.1").write_text('{"void": true}\n')
    assert list(install.living_shims(tmp_path)) == [os.getpid()]
    assert list(install.living_shims(tmp_path / "none")) == []


def test_who_is_not_root_is_told_what_to_do(cli, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused = cli("daemon", "install", "--system")
    assert (refused.status, "sudo" in refused.err, "--user" in refused.err) == (4, True, True)
    assert cli("daemon", "install").status == 2
    assert cli("daemon", "install", "--system", "--now").status == 2


def test_a_program_that_others_can_replace_does_not_become_roots(tmp_path: Path) -> None:
    program = tmp_path / "aiosd"
    program.touch()
    program.chmod(0o777)
    with pytest.raises(install.Refused, match="can be written by others"):
        install._check_owner(program)


def test_the_unit_of_a_user_lies_in_the_home_directory(cli, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(install.Place, "live", False)
    home = Path.home()
    assert cli("daemon", "install", "--user").status == 0
    unit = home / ".local/share/systemd/user/aiosd.service"
    assert "ExecStart=%h" not in unit.read_text()
    assert cli("daemon", "uninstall", "--user").status == 0
    assert not unit.exists()


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("ExecStart=/usr/local/bin/aiosd --system", "ExecStart=/opt/a/bin/aiosd --system"),
        ("ExecStart=%h/.local/bin/aiosd", "ExecStart=/opt/a/bin/aiosd"),
        ("ExecReload=/usr/local/bin/aiosd --check-config", "ExecReload=/opt/a/bin/aiosd --check-config"),
        ("ExecReload=/bin/kill -HUP $MAINPID", "ExecReload=/bin/kill -HUP $MAINPID"),
        ("# ExecStart=/usr/local/bin/aiosd", "# ExecStart=/usr/local/bin/aiosd"),
    ],
)
def test_only_the_daemons_own_commands_are_rewritten(line: str, becomes: str) -> None:
    assert with_program(line + "\n", "/opt/a/bin/aiosd") == becomes + "\n"


@pytest.mark.parametrize(("word", "quoted"), [("/opt/a b/aiosd", '"/opt/a b/aiosd"'), ("/opt/100%/aiosd", "/opt/100%%/aiosd"), ("/a$b", "/a$$b")])
def test_a_strange_path_reaches_systemd_as_it_is(word: str, quoted: str) -> None:
    assert install._quoted(word) == quoted
