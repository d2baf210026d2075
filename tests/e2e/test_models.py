"""Models in a daemon for real: killed with SIGKILL at every step of a change, nothing is lost, and no name leads to what is not there."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import aios
from aios import errors
from aios._model_calls import StoreCalls
from aios.versions import Settings
from aiosd.host import faults
from tests.e2e.daemon import LONG, Daemon, eventually

PATIENCE_S = 60.0
REGISTER = tuple(step for step in faults.MODEL_STEPS if step.startswith("register."))
MOVE = tuple(step for step in faults.MODEL_STEPS if step.startswith("move."))
GC = tuple(step for step in faults.MODEL_STEPS if step.startswith("gc."))
STEPS = (*REGISTER, *MOVE, *GC) if LONG else ("register.2-taken", "move.2-committed", "gc.1-versions")  # the others are walked in tests/unit/models, too


@pytest.fixture
def models(daemon: Daemon) -> StoreCalls:
    return daemon.client().models


def written(daemon: Daemon, name: str, content: bytes) -> Path:
    path = daemon.root / name
    path.write_bytes(content)
    return path


def change(models: StoreCalls, step: str, path: Path) -> None:
    if step.startswith("register."):
        models.register("digits", path, tags=["v2"], timeout=PATIENCE_S)
    elif step.startswith("move."):
        models.rollback("digits", timeout=PATIENCE_S)
    else:
        models.collect_garbage(grace=0, timeout=PATIENCE_S)


def killed_by(daemon: Daemon, work: Callable[[StoreCalls], object]) -> None:
    """The daemon dies of this, and is started again."""

    def try_it() -> None:
        with aios.Client(daemon.target, timeout=PATIENCE_S, autostart=False, patience=0.1) as client, suppress(errors.AiosError):
            work(client.models)

    thread = threading.Thread(target=try_it)
    thread.start()
    daemon.running.wait(PATIENCE_S)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    daemon.start()


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_it_goes_on_whole(daemon: Daemon, step: str) -> None:
    first, second = written(daemon, "m", b"1" * 5000), written(daemon, "m2", b"2" * 5000)
    daemon.start(fault=f"{step}:2" if step.startswith("register.") else step)  # the first registration is not yet to be it
    before = daemon.client().models
    one = before.register("digits", first)
    if not step.startswith("register."):
        before.register("digits", second, tags=["v2"])
    if step.startswith("gc."):
        before.rollback("digits")
        before.remove_reference("digits:v2")
        before.update("digits", Settings(keep_for=0))

    killed_by(daemon, lambda models: change(models, step, second))
    models = daemon.client().models
    for reference in models.references("digits"):
        assert Path(models.checkout(f"digits:{reference.name}")).stat().st_size == 5000
    assert models.version(f"digits@{one.id}").id == one.id
    assert ("v2" in {each.name for each in models.references("digits")}) == (step == "register.3-committed" or step.startswith("move."))
    models.collect_garbage(grace=0)
    assert models.verify("", timeout=PATIENCE_S).sound
    assert models.register("digits", second).metrics == {}
    assert Path(models.checkout("digits")).read_bytes() == b"2" * 5000
    assert daemon.client().check().sound


def test_killed_between_two_batches_of_rows_it_goes_on_whole(daemon: Daemon) -> None:
    """So many chunks that their rows do not come in one transaction."""
    many = daemon.root / "many"
    many.mkdir()
    for at in range(1100):
        (many / str(at)).write_bytes(b"%d" % at)
    daemon.start(fault="rows.1-some")
    daemon.client().models.register("digits", written(daemon, "m", b"1" * 5000))

    killed_by(daemon, lambda models: models.register("digits", many, timeout=PATIENCE_S))
    models = daemon.client().models
    assert Path(models.checkout("digits")).read_bytes() == b"1" * 5000
    assert len(list(models.log("digits", all=True))) == 1
    assert models.verify("", timeout=PATIENCE_S).sound
    models.register("digits", many, timeout=PATIENCE_S)
    given = Path(models.checkout("digits"))
    assert all((given / str(at)).read_bytes() == b"%d" % at for at in range(1100))
    assert daemon.client().check().sound


def test_what_nobody_asks_for_is_done_damage_found_and_told_of_and_garbage_removed(daemon: Daemon) -> None:
    """A bit flips on the disk, and a branch is given up: the daemon finds both by itself, and registering again heals."""
    daemon.settings |= {"AIOSD_MODELS__SCRUB_DAYS": "0.00001", "AIOSD_MODELS__GC_EVERY_S": "1", "AIOSD_MODELS__GC_GRACE_S": "0"}
    path = written(daemon, "m", os.urandom(2 << 20))
    client = daemon.start().client()
    models = client.models
    version = models.register("digits", path)
    lost = models.register("digits", written(daemon, "m2", b"2" * 5000), branch="try")
    models.update("digits", Settings(keep_for=0))
    models.remove_reference("digits:try")
    (whole,) = (daemon.state / "models/whole").glob("*/*")
    flip(whole, 1_000_000)
    (warning,) = eventually(lambda: [one for one in client.node().warnings if "damaged" in one], "the damage is told of")
    assert "1 stored version is damaged" in warning
    assert models.version("digits").state == "damaged"
    with pytest.raises(errors.FailedPrecondition, match="is damaged"):
        models.checkout("digits")
    eventually(lambda: str(lost) in daemon.said(), "what went is in the log")
    assert [one.id for one in models.log("digits", all=True)] == [version.id]
    assert models.register("digits", path).state == "registered"
    assert Path(models.checkout("digits")).read_bytes() == path.read_bytes()
    assert not [one for one in client.node().warnings if "damaged" in one]


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))


def test_a_restart_in_the_middle_is_survived_by_the_caller(daemon: Daemon) -> None:
    """Killed when it has committed and not yet answered: the SDK asks again by its key, and nothing is made twice."""
    path = written(daemon, "m", b"1" * 5000)
    daemon.start(fault="register.3-committed")
    made: list[aios.models.Version] = []

    def register() -> None:
        with aios.Client(daemon.target, timeout=PATIENCE_S, autostart=False, patience=PATIENCE_S) as client:
            made.append(client.models.register("digits", path, message="once"))

    thread = threading.Thread(target=register)
    thread.start()
    daemon.running.wait(PATIENCE_S)
    daemon.start()
    thread.join(PATIENCE_S)
    models = daemon.client().models
    (version,) = models.log("digits", all=True)
    assert [each.id for each in made] == [version.id]
    assert made[0].existed
