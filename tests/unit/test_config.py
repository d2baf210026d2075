"""The records of the configuration: frozen, and compared by what a running daemon can take over."""

import pytest

from aiosd.config import Config, DaemonConfig, JobsConfig, MonitoringConfig, QueueConfig, RpcConfig, SchedulerConfig
from aiosd.setting import reloadable


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Config().jobs.grace_s = 3.0  # type: ignore[misc]


def test_what_is_left_out_has_a_place_of_its_own() -> None:
    config = Config(daemon=DaemonConfig(state_directory="/s", runtime_directory="/r"))
    assert (config.socket_path, config.database_url) == ("/r/aiosd.sock", "sqlite:////s/aiosd.db")


def test_the_difference_tells_what_is_taken_over_from_what_needs_a_restart() -> None:
    old = Config()
    new = Config(
        daemon=DaemonConfig(log_level="debug", state_directory="/elsewhere"),
        rpc=RpcConfig(socket_path="/tmp/s"),
        scheduler=SchedulerConfig(policy="fifo"),
        jobs=JobsConfig(grace_s=1.0),
    )
    assert old.diff(new) == (["daemon.log_level", "scheduler.policy", "jobs.grace_s"], ["daemon.state_directory", "rpc.socket_path"])
    assert old.diff(old) == ([], [])
    assert old.taking_over(new).diff(new) == ([], ["daemon.state_directory", "rpc.socket_path"])


def test_all_that_jobs_are_told_and_how_they_are_looked_at_is_taken_over() -> None:
    assert all(reloadable(JobsConfig, key) for key in JobsConfig.__struct_fields__)
    assert [key for key in SchedulerConfig.__struct_fields__ if not reloadable(SchedulerConfig, key)] == ["usage_half_life_s"]
    assert reloadable(MonitoringConfig, "period_s")
    assert not any(reloadable(RpcConfig, key) for key in RpcConfig.__struct_fields__)


def test_queues_that_come_go_and_change_are_differences() -> None:
    old = Config(queues={"gpu": QueueConfig(priority=1), "same": QueueConfig()})
    new = Config(queues={"night": QueueConfig(), "same": QueueConfig(open=False)})
    assert old.diff(new) == (["queues.gpu.priority", "queues.night", "queues.same.open"], [])
