"""`aiosctl forecast` on a daemon that has run something: its own past, through the child process, as a person sees it."""

import json

import pytest

import aios
from aios.errors import FailedPrecondition, NotFound
from aios.spec import SubmitOptions
from tests.e2e.daemon import Daemon

SMALL = SubmitOptions(cpus=1, memory="16M", env={}, inherit_env=False, cwd="/")
ENOUGH = 31


@pytest.mark.timeout(240)
def test_a_forecast_of_this_machines_own_past(daemon: Daemon) -> None:
    client = daemon.start().client()
    run_some(client, 3)
    with pytest.raises(FailedPrecondition, match="3 jobs with processors have ended; at least 30 are needed"):
        client.forecast(resource="cpu")
    run_some(client, ENOUGH - 3)

    found = client.forecast(servers=1, arrivals=2.0, target_wait="1h")
    assert (found.resource, found.jobs, found.units) == ("cpu", ENOUGH, float(len(client.node().inventory.cpus)))
    assert [one.by for one in found.figures] == ["M/M/c", "G/G/c", "replay", "measured"]
    assert found.policy == client.policy().name
    assert found.what_if is not None
    assert found.what_if.units == found.units + 1
    assert found.target is not None
    assert found.target.by["replay"] == 1  # an hour is more than they all take together
    with pytest.raises(NotFound, match="no job of user nobody has ended here"):
        client.forecast(user="nobody")
    printed = daemon.aiosctl("forecast", "--since", "1d", "-o", "json", patience_s=180.0)
    assert json.loads(printed.stdout)["jobs"] == ENOUGH


def run_some(client: aios.Client, count: int) -> None:
    """One after the other, so that they do not arrive in one instant."""
    for job in [client.submit(["true"], **SMALL) for _ in range(count)]:
        job.wait(timeout=60)
