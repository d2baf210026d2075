"""What every test gets: an environment without settings of the person who runs it, and reasons where something is missing."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

_OURS = ("AIOS_", "AIOSD_")
_SESSION = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "SLURM_JOB_ID", "COLUMNS", "NO_COLOR")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No setting leaks in, and nothing that a test starts finds, or leaves traces in, the home of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(_OURS) or name in _SESSION:
            monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("AIOSD_AUTOSTART", "0")  # a test that wants a daemon starts one


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need what this machine lacks are skipped, each with the reason."""
    lacks = {"gpu": _lacks_gpu(), "postgres": _lacks_postgres(), "root": "" if os.geteuid() == 0 else "needs to be root"}
    for item in items:
        for marker, reason in lacks.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def _lacks_gpu() -> str:
    return "" if Path("/dev/nvidiactl").exists() else "needs an NVIDIA GPU; this machine has no /dev/nvidiactl"


def _lacks_postgres() -> str:
    found = shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return "" if found else "needs PostgreSQL's programs: apt-get install postgresql"
