"""What a reload of the configuration means to the services: each takes over what is its own, roles by groups too."""

import os
from types import SimpleNamespace

from aiosd.access.principal import Role
from aiosd.domain_settings import group_roles
from aiosd.services import Services
from aiosd.settings_file import load


def test_a_reload_reaches_every_service() -> None:
    told: dict[str, object] = {}

    def named(name: str) -> SimpleNamespace:
        return SimpleNamespace(use=lambda value, *_: told.update({name: value}))

    access = SimpleNamespace(rules=None)
    services = Services(named("jobs"), access, named("monitor"), named("devices"), named("bounds"), None, None, None, named("pressure"), None, None, None, None)  # type: ignore[arg-type]
    variables = {"AIOSD_ACCESS__ADMIN_GROUPS": '["wheel"]', "AIOSD_MONITORING__PERIOD_S": "2", "AIOSD_ISOLATION__WATCHDOG_PERIOD_S": "3"}
    new = load(None, variables).config
    services.use(new)
    assert set(told) == {"jobs", "monitor", "devices", "bounds", "pressure"}
    assert (told["monitor"], told["bounds"]) == (2.0, 3.0)
    assert access.rules.by_groups == group_roles(new)
    assert access.rules.by_groups.role_of({"wheel"}) == (Role.ADMIN, "group wheel")
    assert access.rules.admins == {0, os.getuid()}
