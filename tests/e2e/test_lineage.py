"""Training for real: a dataset goes in, models come out, and each knows from what; with the daemon killed in between."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import aios
from aios.errors import Exhausted, FailedPrecondition
from aiosd.host import faults
from tests.arch.source import ROOT
from tests.e2e.conftest import Aiosctl
from tests.e2e.daemon import LONG, Daemon, eventually
from tests.e2e.test_access import ADA, BOB, SDK, everybodys
from tests.fakes.other_user import open_directory, run_as

TRAIN = ROOT / "docs" / "examples" / "lineage" / "train.py"
OUTPUTS = tuple(step for step in faults.MODEL_STEPS if step.startswith("outputs."))
STEPS = (*OUTPUTS, "register.2-taken", "register.3-committed") if LONG else ("outputs.2-registered",)  # all: in tests/unit/test_outputs.py


@pytest.fixture
def work(daemon: Daemon) -> Path:
    """The directory of a training: a git checkout, where there is git, with the script and a file of data."""
    made = daemon.root / "work"
    made.mkdir()
    shutil.copy(TRAIN, made)
    rng = np.random.default_rng(0)
    angle, y = rng.uniform(0, np.pi, 400), np.arange(400) % 2
    x = np.stack([np.cos(angle) * (1 - 2 * y) + y, np.sin(angle) * (1 - 2 * y) + y / 2], axis=1) + rng.normal(0, 0.1, (400, 2))
    np.savez(made / "moons.npz", x=x, y=y)
    if shutil.which("git"):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        for words in (("init", "-q", "-b", "trunk"), ("add", "train.py"), (*identity, "commit", "-q", "-m", "first")):
            subprocess.run(["git", *words], cwd=made, env=daemon.environment, check=True)
    return made


def train(client: aios.Client, work: Path, *more: str, **options: object) -> aios.Job:
    return client.submit([sys.executable, "train.py", "two-moons", *more], cwd=work, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", STEPS)
def test_a_training_leaves_models_that_know_where_they_come_from(daemon: Daemon, work: Path, step: str) -> None:
    daemon.start(fault=f"{step}:3" if step.startswith("register.") else step)  # of the registrations the third is that of the output
    client = daemon.client()
    data = client.datasets.register("two-moons", work / "moons.npz")
    job = train(client, work, "by-hand", model_outputs={"moons": "model.npz", "moons:gone": "no/such"}, labels={"team": "vision"})
    daemon.died()
    daemon.start()
    ended = client.wait(job.id)
    assert (ended.state, ended.exit_code) == (aios.State.SUCCEEDED, 0)
    assert ended.reason.startswith("not registered: no/such as moons: there is no ")
    made, inner = client.models.version("moons"), client.models.version("by-hand")
    assert [len(list(client.models.log(name, all=True))) for name in ("moons", "by-hand")] == [1, 1]
    assert made.metrics["accuracy"] > 0.9
    assert dict(made.labels) == {"team": "vision"}
    for version in (made, inner):
        told = version.lineage
        assert (told.job_id, told.command[1:], told.cwd) == (job.id, ("train.py", "two-moons", "by-hand"), str(work))
        assert told.datasets == (f"two-moons@{data.id}",)
        assert told.packages["numpy"] == np.__version__
        assert bool(told.git_commit) == (shutil.which("git") is not None)
    assert client.job(job.id).models_made == (f"by-hand@{inner.id}", f"moons@{made.id}")
    assert client.job(job.id).datasets_read == (f"two-moons@{data.id}",)
    assert set(client.datasets.version("two-moons").used_by) == {str(made), str(inner)}
    assert {model.name for model in client.models.search(job_id=job.id)} == {"moons", "by-hand"}
    (work / "no").mkdir()
    (work / "no" / "such").write_bytes(b"late")
    assert client.models.register_outputs(job.id) == ()
    assert client.wait(job.id).reason == ""
    assert client.check().sound


def test_what_a_job_reads_stays_for_as_long_as_it_runs_also_across_a_restart(daemon: Daemon, work: Path) -> None:
    """Its files too: they were put together into a cache that has no room for others beside them."""
    size = (work / "moons.npz").stat().st_size
    daemon.settings["AIOSD_MODELS__CACHE_BYTES"] = str(size * 3 // 2)
    daemon.start()
    client = daemon.client()
    data = client.datasets.register("two-moons", work / "moons.npz")
    (work / "other").write_bytes(os.urandom(size))
    client.datasets.register("other", work / "other")
    (work / "wait").touch()
    job = train(client, work)
    eventually((work / "model.npz").exists, "the job has read its data")
    daemon.restart()
    with pytest.raises(FailedPrecondition, match=f"job {job.id}"):
        client.datasets.remove("two-moons", force=True)
    with pytest.raises(Exhausted, match="full of what is in use"):
        client.datasets.checkout("other")
    (work / "wait").unlink()
    assert client.wait(job.id).state is aios.State.SUCCEEDED
    assert Path(client.datasets.checkout("other")).stat().st_size == size
    assert client.datasets.remove("two-moons", force=True) == ("two-moons",)
    assert client.job(job.id).datasets_read == (f"two-moons@{data.id}",)  # it is known for good


def test_what_a_job_downloads_stays_and_what_it_does_to_references_names_it(daemon: Daemon, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.start()
    client = daemon.client()
    for content in ("1", "2"):
        (work / "m").write_text(content)
        client.models.register("digits", work / "m", branch="main" if content == "1" else "side", message=content)
    read = client.models.register("base", work / "m")
    (work / "steps.py").write_text(
        "import os, pathlib, time, aios\n"
        "models = aios.Client().models\n"
        "assert pathlib.Path(models.checkout('base', download=True)).read_text() == '2'\n"
        "models.merge('digits', 'side', strategy='theirs')\n"
        "models.revert('digits')\n"
        "models.alias('digits', 'prod', why='reviewed')\n"
        "pathlib.Path('done').touch()\n"
        "while pathlib.Path('wait').exists(): time.sleep(0.05)\n"
    )
    (work / "wait").touch()
    job = client.submit([sys.executable, "steps.py"], cwd=work, env={"XDG_CACHE_HOME": str(work / "cache")})
    eventually((work / "done").exists, "the job has done what it does")
    with pytest.raises(FailedPrecondition, match=f"job {job.id}"):
        client.models.remove("base", force=True)
    (work / "wait").unlink()
    assert client.wait(job.id).state is aios.State.SUCCEEDED
    assert client.models.remove("base", force=True) == ("base",)
    assert client.job(job.id).models_read == (f"base@{read.id}",)
    reverted, merged, *_ = client.models.log("digits")
    for version in (reverted, merged):
        told = client.models.version(str(version)).lineage
        assert (told.job_id, told.command[1:], told.models) == (job.id, ("steps.py",), (f"base@{read.id}",))
    assert {*client.job(job.id).models_made} == {f"digits@{reverted.id}", f"digits@{merged.id}"}
    moves = list(client.models.moves("digits"))
    assert [(move.reference, move.why.partition(" ")[0]) for move in moves if move.who.endswith(f" (job {job.id})")] == [
        ("prod", "reviewed"), ("main", "revert"), ("main", "merge"),
    ]  # fmt: skip


def test_it_reads_well_on_the_command_line(daemon: Daemon, work: Path, aiosctl: Aiosctl) -> None:
    daemon.start()
    assert aiosctl(daemon, "data", "register", "two-moons", "work/moons.npz").returncode == 0
    done = daemon.aiosctl(
        "run", "-C", "work", "--model-output", "moons=model.npz", "--model-output", "other=gone", "--", sys.executable, "train.py", "two-moons"
    )
    assert (done.returncode, done.stdout[:9]) == (0, b"accuracy ")
    assert b"job 1 succeeded: not registered: gone as other: there is no " in done.stderr
    assert aiosctl(daemon, "wait", "1").stdout.startswith(b"1  succeeded  not registered: gone as other")
    job = aiosctl(daemon, "show", "1").stdout.decode()
    assert "two-moons@" in job and "model.npz as moons, gone as other" in job
    shown = aiosctl(daemon, "model", "show", "moons").stdout.decode()
    assert "job 1" in shown and "two-moons@" in shown and "train.py two-moons" in shown
    assert "moons@" in aiosctl(daemon, "data", "show", "two-moons").stdout.decode().partition("used by")[2]
    assert [model["name"] for model in json.loads(aiosctl(daemon, "model", "ls", "--job", "1", "-o", "json").stdout)] == ["moons"]
    (work / "gone").write_text("late")
    again = aiosctl(daemon, "model", "outputs", "1")
    assert (again.returncode, again.stdout) == (0, b"all that job 1 has left is registered\n")
    directives = daemon.root / "job.sh"
    directives.write_text("#!/bin/sh\n#AIOS --model-output scripted=work/model.npz\ntrue\n")
    script = aiosctl(daemon, "submit", str(directives))
    assert script.returncode == 0, script.stderr
    aiosctl(daemon, "wait", "2")
    assert "job 2" in aiosctl(daemon, "model", "show", "scripted").stdout.decode()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="jobs of other users need root")
def test_what_is_left_is_read_as_the_jobs_user_and_is_theirs() -> None:
    code = """
import aios, shutil, subprocess
client = aios.Client(sys.argv[3], timeout=60.0, autostart=False)
os.chdir(sys.argv[4])
if shutil.which("git"):
    subprocess.run("git init -q . && touch x && git add x && git -c user.name=a -c user.email=a@b commit -q -m 1", shell=True, check=True)
job = client.submit("echo weights > mine", env={"PATH": os.environ["PATH"]}, inherit_env=False, model_outputs={"mine": "mine", "secret": "/etc/shadow"})
print(json.dumps([job.id, client.wait(job.id).reason, client.models.version("mine").author, client.models.version("mine").lineage.git_branch]))
"""
    with everybodys() as daemon, open_directory() as directory:
        os.chown(directory, ADA, ADA)
        job, reason, author, branch = json.loads(run_as(ADA, code, daemon.target, str(directory), modules=SDK))
        assert reason.startswith("not registered: /etc/shadow as secret: ")
        assert "may not read" in reason
        assert author == str(ADA)
        assert bool(branch) == (shutil.which("git") is not None)
        refused = f"""
import aios
client = aios.Client(sys.argv[3], timeout=60.0, autostart=False)
for call in (lambda: client.models.register_outputs({job!r}), lambda: client.models.version("mine")):
    try:
        call()
    except (aios.errors.Denied, aios.errors.NotFound) as error:
        print(type(error).__name__)
"""
        assert run_as(BOB, refused, daemon.target, modules=SDK).split() == ["Denied", "NotFound"]
