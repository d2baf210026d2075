"""The wiring where it can be looked at without a machine: settings that pass from the configuration to the domains, and errors."""

from dataclasses import replace
from pathlib import Path

import pytest

from aiosd import app, domain_settings, doors
from aiosd.access.limits import UserLimits
from aiosd.errors import ConfigError, StorageCorrupt
from aiosd.jobs.settings import JobsSettings, Rightsize
from aiosd.scheduling.rules import Backfill, QueueSettings, SchedulingRules
from aiosd.settings_file import load

EVERY_JOBS_SETTING = {
    "AIOSD_SCHEDULER__POLICY": "fifo",
    "AIOSD_SCHEDULER__USAGE_HALF_LIFE_S": "60",
    "AIOSD_SCHEDULER__SHARES": "{ann = 3}",
    "AIOSD_SCHEDULER__MAX_STARTS_PER_PASS": "7",
    "AIOSD_JOBS__DEFAULT_CPU_MILLIS": "500",
    "AIOSD_JOBS__DEFAULT_QUEUE": "night",
    "AIOSD_JOBS__GRACE_S": "1",
    "AIOSD_JOBS__RETRY_BACKOFF_S": "2",
    "AIOSD_JOBS__RETRY_BACKOFF_MAX_S": "3",
    "AIOSD_JOBS__OOM_MEMORY_FACTOR": "3.5",
    "AIOSD_JOBS__MAX_ARRAY_ELEMENTS": "4",
    "AIOSD_JOBS__MAX_COMMAND_BYTES": "5000",
    "AIOSD_JOBS__MAX_ENVIRONMENT_BYTES": "6000",
    "AIOSD_JOBS__MAX_JOBS_PER_SUBMIT": "7",
    "AIOSD_JOBS__MAX_QUEUED": "8",
    "AIOSD_QUEUES__NIGHT__PRIORITY": "9",
    "AIOSD_LIMITS__QUEUED_JOBS": "10",
    "AIOSD_LIMITS__RUNNING_JOBS": "11",
    "AIOSD_LIMITS__CPU_MILLIS": "12",
    "AIOSD_LIMITS__MEMORY_BYTES": "13",
    "AIOSD_LIMITS__GPU_MILLIS": "14",
    "AIOSD_LIMITS__GPU_HOURS_PER_DAY": "1.5",
    "AIOSD_LIMITS__MODEL_BYTES": "16",
    "AIOSD_RESOURCES__RIGHTSIZE": "apply",
    "AIOSD_RESOURCES__RIGHTSIZE_MARGIN_PERMILLE": "17",
}


def test_every_setting_of_jobs_reaches_them() -> None:
    settings = domain_settings.jobs_settings(load(None, EVERY_JOBS_SETTING).config)
    assert settings == JobsSettings(
        policy="fifo",
        usage_half_life_s=60.0,
        shares={"ann": 3.0},
        max_starts_per_pass=7,
        scheduling=SchedulingRules(backfill=Backfill.EASY),
        default_cpu_millis=500,
        rightsize=Rightsize.APPLY,
        rightsize_margin_permille=17,
        default_queue="night",
        grace_s=1.0,
        retry_backoff_s=2.0,
        retry_backoff_max_s=3.0,
        oom_memory_factor=3.5,
        max_array_elements=4,
        max_command_bytes=5000,
        max_environment_bytes=6000,
        max_jobs_per_submit=7,
        max_queued=8,
        queues={"night": QueueSettings("night", priority=9), "default": QueueSettings("default")},
        limits=UserLimits(queued_jobs=10, running_jobs=11, cpu_millis=12, memory_bytes=13, gpu_millis=14, gpu_hours_per_day=1.5, model_bytes=16),
    )


def test_there_is_always_a_default_queue() -> None:
    assert domain_settings.jobs_settings(load(None, {}).config).queues == {"default": QueueSettings("default")}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What the root tasks of the daemon end with, in place of a daemon."""
    errors: list[BaseException] = []

    async def serve(*_: object) -> None:
        raise BaseExceptionGroup("roots", [BaseExceptionGroup("inner", errors)])

    monkeypatch.setattr(app, "_serve", serve)
    monkeypatch.setattr(app.logs, "configure", lambda *_: None)
    monkeypatch.setattr(app.os, "umask", lambda _: 0)
    return errors


@pytest.mark.parametrize(
    ("wish", "system", "users", "uid", "switches"),
    [
        ("auto", True, "own", 0, True), ("auto", False, "own", 0, False), ("auto", True, "own", 7, False), ("on", False, "own", 0, True),
        ("off", True, "own", 0, False), ("auto", False, "all", 0, True),
    ],
)  # fmt: skip
def test_users_are_switched_by_the_systems_daemon_of_root_or_as_the_operator_says(
    monkeypatch: pytest.MonkeyPatch, wish: str, system: bool, users: str, uid: int, switches: bool
) -> None:
    monkeypatch.setattr(doors.os, "geteuid", lambda: uid)
    loaded = replace(load(None, {"AIOSD_ISOLATION__RUN_AS_USER": wish, "AIOSD_DAEMON__USERS": users}), system=system)
    assert doors.switches_users(loaded) is switches


def test_users_cannot_be_switched_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors.os, "geteuid", lambda: 7)
    with pytest.raises(ConfigError, match="run_as_user"):
        doors.switches_users(load(None, {"AIOSD_ISOLATION__RUN_AS_USER": "on"}))


def test_a_daemon_of_root_never_runs_everybodys_jobs_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors.os, "geteuid", lambda: 0)
    with pytest.raises(ConfigError, match="everybody's jobs"):
        doors.switches_users(load(None, {"AIOSD_ISOLATION__RUN_AS_USER": "off", "AIOSD_DAEMON__USERS": "all"}))


def test_an_error_that_was_foreseen_comes_out_as_itself(broken: list[BaseException]) -> None:
    broken.append(StorageCorrupt("damaged"))
    loaded = load(None, {})
    with pytest.raises(StorageCorrupt):
        app.run(loaded, lambda: loaded)


def test_a_bug_ends_the_daemon_with_status_1(broken: list[BaseException]) -> None:
    broken.append(ZeroDivisionError())
    loaded = load(Path("/nonexistent.toml"), {})
    assert app.run(loaded, lambda: loaded) == 1


def test_a_daemon_for_everybody_is_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors.os, "geteuid", lambda: 7)
    with pytest.raises(ConfigError, match="is not root"):
        doors.switches_users(load(None, {"AIOSD_DAEMON__USERS": "all"}))
