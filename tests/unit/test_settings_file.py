"""The configuration as its sources make it: who wins, what is refused, and in which words."""

from pathlib import Path

import pytest

from aiosd.config import Config, DeviceConfig
from aiosd.errors import ConfigError
from aiosd.settings_file import KNOWN_KEYS, SECTIONS, allowed, load


def written(directory: Path, text: str) -> Path:
    file = directory / "aiosd.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(directory: Path, text: str = "", **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(directory, text), environment)
    assert caught.value.hint
    return str(caught.value)


def test_without_any_source_everything_has_its_default() -> None:
    loaded = load(None, {})
    assert (loaded.config, loaded.file, dict(loaded.origins)) == (Config(), "", {})


def test_later_sources_win_and_each_value_knows_its_origin(tmp_path: Path) -> None:
    file = written(tmp_path, '[scheduler]\npolicy = "fifo"\nmax_starts_per_pass = 7\n[daemon]\nstate_directory = "/a"\n')
    loaded = load(file, {"AIOSD_SCHEDULER__POLICY": "priority"}, {"runtime_directory": "/r"}, {"daemon": {"state_directory": "/b"}})
    assert loaded.config.scheduler.policy == "priority"
    assert loaded.config.scheduler.max_starts_per_pass == 7
    assert loaded.config.daemon.state_directory == "/b"
    assert loaded.config.socket_path == "/r/aiosd.sock"
    assert loaded.origins == {
        "scheduler.policy": "environment variable AIOSD_SCHEDULER__POLICY",
        "scheduler.max_starts_per_pass": str(file),
        "daemon.state_directory": "the command line",
    }


def test_a_file_that_is_not_there_is_no_error_unless_it_was_named(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", {}).file == ""
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "none.toml", {}, must_exist=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[scheduler]\npolcy = 1", "unknown key scheduler.polcy; did you mean scheduler.policy?"),
        ('[daemon]\npolicy = "fair"', "unknown key daemon.policy; did you mean scheduler.policy?"),
        ("[sceduler]", "unknown section [sceduler]; did you mean scheduler?"),
        ("jobs = 3", "jobs = 3 must be a table, [jobs]"),
        ("[queues.gpu]\npriorty = 1", "unknown key queues.gpu.priorty; did you mean queues.gpu.priority?"),
        ('[queues."a b"]', "[queues.a b] has a name that is not allowed"),
        ("[queues]\ngpu = 1", "queues.gpu = 1 must be a table, [queues.gpu]"),
        ("[jobs]\ngrace_s = -1", "jobs.grace_s = -1 is not allowed: it must be a number from 0 to 31_536_000"),
        ("[jobs]\ngrace_s = nan", "jobs.grace_s = nan is not allowed"),
        ("[jobs]\ngrace_s = inf", "jobs.grace_s = inf is not allowed"),
        ('[jobs]\nmax_queued = "many"', "jobs.max_queued = 'many' is not allowed: it must be a whole number from 1 to 100_000_000"),
        ("[jobs]\nmax_queued = true", "jobs.max_queued = True is not allowed"),
        ("[jobs]\nmax_queued = 1.5", "jobs.max_queued = 1.5 is not allowed"),
        ("[jobs]\nmax_queued = 99999999999999999999", "jobs.max_queued = 99999999999999999999 is not allowed"),
        ('[daemon]\nlog_level = "loud"', "it must be one of 'debug', 'info', 'warning', 'error'"),
        ("[scheduler]\nshares = {alice = -1, bob = 2}", "scheduler.shares.alice = -1 is not allowed: it must be a number from 0.001 to 1_000_000"),
        ("[[resources.device]]\ncount = 1", 'resources.device[0] needs a kind, as in kind = "fpga"'),
        ('[[resources.device]]\nkind = "fpga"\ncuont = 1', "unknown key resources.device[0].cuont; did you mean count?"),
        ('[[resources.device]]\nkind = "fpga"\ncount = -1', "resources.device[0].count = -1 is not allowed"),
        ("[scheduler", "is not TOML: "),
    ],
)
def test_what_is_wrong_is_named_with_the_file(tmp_path: Path, text: str, said: str) -> None:
    message = refusal(tmp_path, text)
    assert said in message
    assert str(tmp_path / "aiosd.toml") in message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "[jobs]\ngrace_s = -1\nmax_queued = 0\n", AIOSD_FOO__BAR="1")
    assert message.startswith("the configuration has 3 problems:")
    assert all(part in message for part in ("jobs.grace_s", "jobs.max_queued", "AIOSD_FOO__BAR"))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "aiosd.toml"
    file.write_bytes(b"[jobs]\n\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text: byte 7"):
        load(file, {})


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


def test_the_environment_sets_values_of_every_type() -> None:
    config = load(
        None,
        {
            "AIOSD_JOBS__GRACE_S": "4.5",
            "AIOSD_JOBS__MAX_QUEUED": "12",
            "AIOSD_DAEMON__LOG_LEVEL": "debug",
            "AIOSD_SCHEDULER__SHARES": "{alice = 2}",
            "AIOSD_QUEUES__GPU__OPEN": "false",
            "AIOSD_RESOURCES__DEVICE": '[{kind = "fpga", count = 2}]',
        },
    ).config
    assert (config.jobs.grace_s, config.jobs.max_queued, config.daemon.log_level) == (4.5, 12, "debug")
    assert config.scheduler.shares == {"alice": 2.0}
    assert config.queues["gpu"].open is False
    assert config.resources.device == (DeviceConfig(kind="fpga", count=2),)


def test_variables_that_are_no_settings_are_left_alone_but_slips_are_not(tmp_path: Path) -> None:
    assert load(None, {"AIOSD_AUTOSTART": "0", "AIOS_TARGET": "x", "PATH": "/bin"}).config == Config()
    assert "write AIOSD_SCHEDULER__POLICY, with two underscores" in refusal(tmp_path, AIOSD_SCHEDULER_POLICY="fifo")
    assert "'x' cannot be read; write it as TOML" in refusal(tmp_path, AIOSD_SCHEDULER__SHARES="x")
    assert "jobs.max_queued = '1.5' is not allowed" in refusal(tmp_path, AIOSD_JOBS__MAX_QUEUED="1.5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[daemon]\nstate_directory = "here"', "daemon.state_directory = 'here' is not allowed: it must be an absolute path"),
        (f'[rpc]\nsocket_path = "/{"x" * 107}"', "longer than the 107 bytes"),
        ('[storage]\nurl = "mysql://root:secret@h/d"', "storage.url begins with 'mysql:'"),
        ("[jobs]\nretry_backoff_s = 700", "jobs.retry_backoff_s = 700 is more than jobs.retry_backoff_max_s = 600"),
        ('[jobs]\ndefault_queue = "gpu"', "names a queue that is not there"),
        ("[queues.gpu]\ndefault_time_limit_s = 9\nmax_time_limit_s = 3", "queues.gpu.default_time_limit_s = 9 is more than"),
        ("[queues.gpu.weights]\nluck = 1", "queues.gpu.weights.luck is not known: weights are age, fair_share"),
        ('[queues.day]\npreempts = ["default", "nihgt"]', "queues.day.preempts names a queue that is not there, 'nihgt': add a section [queues.nihgt]"),
        ('[qos.urgent]\npreempts = ["slow"]', "qos.urgent.preempts names a quality of service that is not there, 'slow'"),
        ('[accounts.a]\nparent = "b"', "accounts.a.parent = 'b' names an account that is not there"),
        ('[accounts.a]\nparent = "b"\n[accounts.b]\nparent = "a"', "accounts.b is below itself"),
        ('[accounts.a]\nparent = "b"\n[accounts.b]\nparent = "c"\n[accounts.c]\nparent = "b"', "accounts.c is below itself"),
        ("[accounts.a0]\n" + "".join(f'[accounts.a{n + 1}]\nparent = "a{n}"\n' for n in range(64)), "accounts.a64 has too many accounts above it: at most 63"),
        ('[accounts.a]\nusers = {"" = 1}', "accounts.a.users has '', which is nobody's name"),
        ('[queues.a]\nallowed_users = ["ada", "@"]', "queues.a.allowed_users has '@', which is nobody's name"),
        ('[qos.a]\nallowed_users = ["a\\u0000b"]', "qos.a.allowed_users has 'a\\x00b', which is nobody's name"),
        ('[queues.a]\npreempts = ["default", "night"]', "queues.a.preempts names 'night', which is not there: add a section [queues.night]"),
        ('[qos.a]\npreempts = ["default"]', "qos.a.preempts names 'default', which is not there"),
        ('[queues.a]\npreempts = ["a"]', "queues.a.preempts comes back to 'a'"),
        ('[qos.a]\npreempts = ["b"]\n[qos.b]\npreempts = ["c"]\n[qos.c]\npreempts = ["a"]', "qos.b.preempts comes back to 'b'"),
        ('[[resources.device]]\nkind = "cpu"\ncount = 1', "resources.device[0] (cpu) has a kind that is taken"),
        ('[[resources.device]]\nkind = "fpga"', "resources.device[0] (fpga) must have either a count or paths"),
        ('[resources]\nmps_directory = "mps"', "resources.mps_directory = 'mps' is not allowed: it must be an absolute path"),
        ('[[resources.device]]\nkind = "fpga"\npaths = ["dev/x"]', "has a path 'dev/x' that is not absolute"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, text: str, said: str) -> None:
    message = refusal(tmp_path, text)
    assert said in message
    assert "secret" not in message


def test_every_setting_has_help_that_ends_with_its_unit() -> None:
    units = {"_s": "second", "_bytes": "bytes", "_millis": "thousandths"}
    for key in KNOWN_KEYS:
        section, _, name = key.partition(".")
        annotation = SECTIONS[section].__annotations__[name]
        help_text = annotation.__metadata__[0].description
        assert help_text, key
        assert allowed(annotation), key
        assert all(word in help_text for suffix, word in units.items() if name.endswith(suffix)), key
