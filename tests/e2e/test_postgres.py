"""The whole daemon on PostgreSQL instead of SQLite: jobs run, and what was acknowledged survives a kill."""

from collections.abc import Iterator

import pytest

import aios
from tests import postgres
from tests.e2e.daemon import a_daemon

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.cluster() as cluster:
        yield cluster.new_database()


def test_jobs_run_and_are_remembered_over_a_kill(url: str) -> None:
    with a_daemon({"AIOSD_STORAGE__URL": url}) as daemon:
        daemon.start()
        with aios.Client(daemon.target, timeout=60.0, autostart=False) as client:
            done = client.submit(["sh", "-c", "echo from postgres"], name="one").wait(60)
            array = client.submit(["true"], array="0-19").wait(60)
            held = client.submit(["true"], hold=True, key="once")
            running = client.submit(["sleep", "60"])
            daemon.kill()
            daemon.start()
            assert client.job(done.id).state is aios.State.SUCCEEDED
            assert client.job(done.id).output() == "from postgres\n"
            assert (client.job(array.id).array or pytest.fail("no array")).succeeded == 20
            assert client.submit(["true"], hold=True, key="once").id == held.id
            assert client.job(running.id).state is aios.State.RUNNING
            client.cancel(running.id, held.id)
            assert client.wait(running.id).state is aios.State.CANCELLED
            assert {job.id for job in client.jobs(include_ended=True)} == {done.id, array.id, held.id, running.id}
