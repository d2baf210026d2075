"""Functions as jobs, with a daemon that runs each job at once: results, exceptions, arrays, what is kept and what goes."""

import os
import subprocess
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

import aios
from aios import errors
from aios._exchange import Exchange
from aios.tasks import Task
from aios.v1 import jobs_pb2, jobs_pb2_grpc

Context = grpc.ServicerContext


class RunsAtOnce(jobs_pb2_grpc.JobsServicer):
    """Runs what is submitted before it answers; element by element for an array."""

    def __init__(self) -> None:
        self.specs: list[jobs_pb2.JobSpec] = []
        self.jobs: dict[str, jobs_pb2.Job] = {}

    def Submit(self, request: jobs_pb2.SubmitJobsRequest, context: Context) -> jobs_pb2.SubmitJobsResponse:
        (spec,) = request.specs
        self.specs.append(spec)
        number = str(len(self.specs))
        environment = {one.name: one.value for one in spec.environment or request.environment}
        last = int(spec.array.partition("%")[0].partition("-")[2]) if spec.array else -1
        statuses = []
        for index in range(last + 1) if spec.array else (None,):
            mine = environment if index is None else {**environment, "AIOS_ARRAY_INDEX": str(index)}
            status = subprocess.run(list(spec.command), cwd=spec.cwd, env=mine, stderr=subprocess.DEVNULL).returncode
            statuses.append(status)
            if index is not None:
                self.jobs[f"{number}.{index}"] = self._ended(f"{number}.{index}", spec, status)
        self.jobs[number] = self._ended(number, spec, max(statuses))
        return jobs_pb2.SubmitJobsResponse(jobs=[jobs_pb2.Job(id=number, spec=spec, phase=jobs_pb2.JOB_PHASE_RUNNING)])

    def Get(self, request: jobs_pb2.GetJobRequest, context: Context) -> jobs_pb2.Job:
        return self.jobs[request.id]

    def Wait(self, request: jobs_pb2.WaitJobRequest, context: Context) -> jobs_pb2.Job:
        return self.jobs[request.id]

    def _ended(self, job_id: str, spec: jobs_pb2.JobSpec, status: int) -> jobs_pb2.Job:
        phase = jobs_pb2.JOB_PHASE_FAILED if status else jobs_pb2.JOB_PHASE_SUCCEEDED
        array = jobs_pb2.ArrayProgress() if spec.array and "." not in job_id else None
        return jobs_pb2.Job(id=job_id, spec=spec, phase=phase, outcome=jobs_pb2.Outcome(exit_code=status), array=array)


@pytest.fixture
def fake() -> RunsAtOnce:
    return RunsAtOnce()


@pytest.fixture
def client(fake: RunsAtOnce, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[aios.Client]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    server = grpc.server(futures.ThreadPoolExecutor(2))
    jobs_pb2_grpc.add_JobsServicer_to_server(fake, server)
    server.add_insecure_port(f"unix:{tmp_path}/s")
    server.start()
    with aios.Client(f"{tmp_path}/s") as made:
        yield made
    server.stop(0).wait()


def kept(tmp_path: Path) -> list[str]:
    return os.listdir(tmp_path / "state" / "aios" / "tasks")


def task_of(client: aios.Client, function: object) -> "Task[..., object]":
    return Task(function, {"cpus": 2, "memory": "4G"}, client)  # type: ignore[arg-type]


def test_a_call_is_a_job_and_gives_its_result(client: aios.Client, fake: RunsAtOnce, tmp_path: Path) -> None:
    offset = 10

    def fit(lr: float, *, steps: int = 1) -> dict[str, float]:
        return {"pid": os.getpid(), "loss": lr * steps + offset}

    task = task_of(client, fit)
    first = task.submit(0.5, steps=4)
    assert first.result(timeout=60) == first.result() and first.result()["loss"] == 12  # type: ignore[index]
    assert first.result()["pid"] != os.getpid() and first.exception() is None and first.done()  # type: ignore[index]
    assert fake.specs[0].name == "fit" and fake.specs[0].request.cpu_millis == 2000 and fake.specs[0].request.memory_bytes == 4 << 30
    assert task.local(1.0) == {"pid": os.getpid(), "loss": 11.0}
    assert kept(tmp_path) == []


def test_an_exception_comes_back_as_raised_with_its_traceback(client: aios.Client, tmp_path: Path) -> None:
    def fit() -> None:
        raise KeyError("no such column")

    job = task_of(client, fit).submit()
    with pytest.raises(KeyError, match="no such column") as caught:
        job.result()
    assert "in fit" in str(caught.value.__cause__) and isinstance(job.exception(), KeyError)
    assert kept(tmp_path) == []


def test_an_exception_that_cannot_travel_comes_as_text(client: aios.Client) -> None:
    class Odd(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"{a} and {b}")  # cannot be rebuilt from its one argument

    def fit() -> None:
        raise Odd(1, 2)

    with pytest.raises(errors.TaskError, match="1 and 2"):
        task_of(client, fit)()


def test_a_job_that_left_nothing_is_told_and_its_arguments_are_kept(client: aios.Client, tmp_path: Path) -> None:
    def fit() -> None:
        os._exit(9)

    with pytest.raises(errors.JobFailed, match="status 9") as caught:
        task_of(client, fit)()
    assert caught.value.facts["directory"].endswith(kept(tmp_path)[0])


def test_preempted_inside_a_task_ends_with_75(client: aios.Client) -> None:
    def fit() -> None:
        import aios

        with aios.run():
            raise aios.Preempted

    with pytest.raises(errors.JobFailed, match="status 75"):
        task_of(client, fit)()


def test_map_is_one_array_and_keeps_the_order(client: aios.Client, fake: RunsAtOnce, tmp_path: Path) -> None:
    def add(a: int, b: int) -> int:
        if a == 2:
            raise ValueError("two")
        return a + b

    task = task_of(client, add)
    assert aios.map(task, [3, 1], [10, 20, 30], limit=2, timeout=60) == [13, 21]
    assert [spec.array for spec in fake.specs] == ["0-1%2"]
    with pytest.raises(ValueError, match="two"):
        task.map([1, 2], [0, 0])
    good, bad = task.map([1, 2], [0, 0], return_exceptions=True)
    assert good == 1 and isinstance(bad, ValueError)
    assert aios.map(task, []) == [] and kept(tmp_path) == []


def test_what_cannot_be_pickled_is_refused(client: aios.Client, fake: RunsAtOnce) -> None:
    import threading

    with pytest.raises(errors.InvalidArgument, match="cannot be pickled"):
        task_of(client, lambda lock: lock).submit(threading.Lock())
    with pytest.raises(errors.InvalidArgument, match="needs a task"):
        aios.map(len, [1])  # type: ignore[arg-type]
    assert fake.specs == []


def test_the_decorator_with_and_without_options() -> None:
    @aios.task
    def plain(x: int) -> int:
        """Doc."""
        return x

    @aios.task(cpus=2, memory="4G")
    def given(x: int) -> int:
        return x

    assert plain.local(1) == given.local(1) == 1 and plain.__doc__ == "Doc." and given.options == {"cpus": 2, "memory": "4G"}
    assert given.using(cpus=4).options == {"cpus": 4, "memory": "4G"}
    with pytest.raises(errors.InvalidArgument):
        aios.task(array="0-9")(len)


def test_only_a_private_directory_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    exchange = Exchange.create(b"function", [b"one", b"", b"three"])
    assert [exchange.call(index) for index in range(3)] == [b"one", b"", b"three"] and exchange.result(0) is None
    exchange.write_result(0, b"r")
    assert exchange.result(0) == b"r" and exchange.path.stat().st_mode & 0o777 == 0o700
    (exchange.path / "result.1").symlink_to(exchange.path / "result.0")
    with pytest.raises(errors.Denied):
        exchange.result(1)
    (exchange.path / "result.0").chmod(0o666)
    with pytest.raises(errors.Denied):
        exchange.result(0)
    exchange.path.chmod(0o750)
    with pytest.raises(errors.Denied, match="private"):
        exchange.function()
