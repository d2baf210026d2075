"""The way in as the configuration has it: settings reach the gate, a reload too, and what is missing for TLS is named."""

import stat
from pathlib import Path

import pytest

from aiosd.access.principal import Principal, Role
from aiosd.config import Config
from aiosd.domain_settings import allowance, group_roles
from aiosd.entrance import Entrance, listening, socket_mode
from aiosd.errors import ConfigError
from aiosd.host.certificates import make_authority
from aiosd.host.paths import SYSTEM, prepare_directory, user_places
from aiosd.host.people import People
from aiosd.rpc.identity import Callers
from aiosd.settings_file import load

EVERY_ACCESS_SETTING = {
    "AIOSD_ACCESS__ADMIN_GROUPS": '["wheel"]',
    "AIOSD_ACCESS__OPERATOR_GROUPS": '["ops"]',
    "AIOSD_ACCESS__USER_GROUPS": '["lab"]',
    "AIOSD_ACCESS__VIEWER_GROUPS": '["guests"]',
    "AIOSD_ACCESS__DEFAULT_ROLE": "viewer",
    "AIOSD_ACCESS__CERTIFICATE_ROLE": "operator",
    "AIOSD_ACCESS__PASS_LIFETIME_S": "7",
    "AIOSD_ACCESS__CALLS_PER_S": "3",
    "AIOSD_ACCESS__BURST": "4",
    "AIOSD_ACCESS__LOOP_SHARE": "0.5",
    "AIOSD_ACCESS__OPEN_CALLS": "6",
    "AIOSD_ACCESS__JOBS_PER_CALL": "8",
}


class Strangers:
    """Nobody has anything set."""

    def role_of(self, uid: int, gid: int, name: str) -> Role:
        return Role.USER

    def token(self, secret: str) -> Principal | None:
        return None

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
        return None


def config(**variables: str) -> Config:
    return load(None, variables).config


def test_every_setting_of_access_reaches_the_gate() -> None:
    chosen = config(**EVERY_ACCESS_SETTING, AIOSD_DAEMON__USERS="all")
    assert {f"AIOSD_ACCESS__{key.upper()}" for key in type(chosen.access).__struct_fields__} == set(EVERY_ACCESS_SETTING)
    roles = group_roles(chosen)
    assert [roles.role_of({group})[0] for group in ("wheel", "ops", "lab", "guests", "x")] == [Role.ADMIN, Role.OPERATOR, Role.USER, Role.VIEWER, Role.VIEWER]
    allowed = allowance(chosen)
    assert (allowed.calls_per_s, allowed.burst, allowed.loop_share, allowed.open_calls, allowed.jobs_per_call) == (3.0, 4, 0.5, 6, 8)
    entrance = Entrance.of(chosen, People(), Strangers())
    callers = entrance.gate.authenticator
    assert isinstance(callers, Callers)
    assert (callers.everyone, callers.certificate_role, callers.passes.lifetime_s) == (True, Role.OPERATOR, 7.0)
    assert entrance.gate.rates is not None
    assert entrance.gate.rates.allowance == allowed


def test_a_reload_reaches_it_too() -> None:
    entrance = Entrance.of(Config(), People(), Strangers())
    new = config(**EVERY_ACCESS_SETTING)
    entrance.use(new)
    assert entrance.gate.rates is not None
    assert entrance.gate.rates.allowance == allowance(new)


def test_the_machines_daemon_is_open_to_all_and_ones_own_is_not(tmp_path: Path) -> None:
    system = load(None, {}, SYSTEM.defaults()).config
    own = load(None, {}, user_places({}, 1000, "/home/ada").defaults()).config
    assert (socket_mode(system), socket_mode(own)) == (0o666, 0o600)
    assert (listening(system).socket_mode, listening(own).socket_mode) == (0o666, 0o600)
    prepare_directory(str(tmp_path / "run"), 0o755)
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755


def test_nothing_listens_on_the_network_until_it_is_configured_and_what_lacks_then_is_named(tmp_path: Path) -> None:
    assert listening(Config()).secure == ()
    wanted = {"AIOSD_RPC__LISTEN": "localhost:7443", "AIOSD_RPC__LISTEN_CERTIFICATES": "[::1]:7444", "AIOSD_DAEMON__STATE_DIRECTORY": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"rpc\.tls_key: .*server\.key cannot be read") as caught:
        listening(config(**wanted))
    assert "admin tls init" in caught.value.hint
    make_authority(tmp_path / "tls", ["localhost"])
    tokens, certificates = listening(config(**wanted)).secure
    assert (tokens.address, tokens.client_authority) == ("localhost:7443", None)
    assert (certificates.address, certificates.client_authority) == ("[::1]:7444", (tmp_path / "tls" / "ca.pem").read_bytes())


@pytest.mark.parametrize(
    "wrong",
    [
        {"AIOSD_RPC__LISTEN": "localhost"},
        {"AIOSD_RPC__LISTEN": "localhost:0"},
        {"AIOSD_RPC__LISTEN": "localhost:70000"},
        {"AIOSD_RPC__LISTEN": "a b:1"},
        {"AIOSD_RPC__LISTEN": "x:1", "AIOSD_RPC__LISTEN_CERTIFICATES": "x:1"},
        {"AIOSD_RPC__TLS_KEY": "server.key"},
        {"AIOSD_ACCESS__DEFAULT_ROLE": "root"},
        {"AIOSD_ACCESS__LOOP_SHARE": "1.5"},
        {"AIOSD_DAEMON__USERS": "some"},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, wrong)
    assert "__".join(next(iter(wrong)).split("__")[1:]).lower() in str(caught.value).lower().replace(".", "__")


def test_no_short_key_and_no_two_alike() -> None:
    first, second = (Entrance.of(Config(), People(), Strangers()).gate.authenticator for _ in range(2))
    assert isinstance(first, Callers)
    assert isinstance(second, Callers)
    assert first.passes._key != second.passes._key
