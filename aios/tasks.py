"""Functions as jobs: `@aios.task` and `aios.map`; arguments, results and exceptions travel by cloudpickle.

What a task's function returned or raised is kept in a private directory until it is read, and goes then. When a job ended
without leaving a result (killed, out of memory, cancelled), the directory stays, and the error names it.
"""

import functools
import os
import pickle
import sys
from collections.abc import Callable, Iterable
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, cast, overload

import cloudpickle

from aios._exchange import Exchange
from aios._target import python_path
from aios.client import Client
from aios.errors import InvalidArgument, TaskError
from aios.jobs import Job, job_failed
from aios.records import JobRecord, State
from aios.spec import JobSpec, SubmitOptions

P = ParamSpec("P")
R = TypeVar("R")


class RemoteTraceback(Exception):
    """The cause of an exception that a task raised: its traceback in the job, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


class TaskJob(Generic[R]):
    """A call that runs as a job; `job` is that job. Like a Future: `result`, `exception`, `done`, `cancel`."""

    def __init__(self, job: Job, exchange: Exchange, index: int = 0) -> None:
        self.job = job
        self._exchange = exchange
        self._index = index
        self._read: tuple[str, object, str] | None = None

    @property
    def id(self) -> str:
        return self.job.id

    def done(self) -> bool:
        return self._read is not None or self.job.ended or self.job.refresh().ended

    def cancel(self) -> None:
        self.job.cancel(reason="cancelled by its caller")

    def result(self, timeout: float | None = None) -> R:
        """What the function returned, when it has; raises what it raised, with the job's traceback as its cause.

        Raises Timeout after `timeout` seconds, JobFailed when the job ended without a result, TaskError when its
        exception could not travel.
        """
        return cast(R, _unwrap(self._outcome(timeout)))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the function raised; None when it returned."""
        return _error_in(self._outcome(timeout))

    def _outcome(self, timeout: float | None) -> tuple[str, object, str]:
        if self._read is None:
            self.job.wait(timeout)
            self._read = outcome_of(self._exchange, self._index, self.job)
            self._exchange.remove()
        return self._read


class Task(Generic[P, R]):
    """A function that runs as a job when it is called, made by `@aios.task`."""

    def __init__(self, function: Callable[P, R], options: SubmitOptions, client: Client | None = None) -> None:
        if options.get("array"):
            raise InvalidArgument("a task takes no array=", hint="aios.map(task, values) makes one")
        self.function = function
        self.options = options
        self._client = client
        functools.update_wrapper(cast(Callable[..., Any], self), function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it as a job and wait for its result."""
        return self.submit(*args, **kwargs).result()

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> TaskJob[R]:
        """Run it as a job, and go on."""
        exchange = self._exchange([(args, kwargs)])
        return TaskJob(self._submit(exchange, ""), exchange)

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now, as the plain function it is."""
        return self.function(*args, **kwargs)

    def using(self, client: Client | None = None, **options: Unpack[SubmitOptions]) -> "Task[P, R]":
        """The same task with other options, or by another client."""
        return Task(self.function, cast(SubmitOptions, {**self.options, **options}), client or self._client)

    def map(self, *iterables: Iterable[Any], limit: int | None = None, timeout: float | None = None, return_exceptions: bool = False) -> list[R]:
        """See `aios.map`."""
        return map(self, *iterables, limit=limit, timeout=timeout, return_exceptions=return_exceptions)

    def _array(self, calls: list[tuple[Any, ...]], limit: int | None) -> tuple[Job, Exchange]:
        exchange = self._exchange([(args, {}) for args in calls])
        return self._submit(exchange, f"0-{len(calls) - 1}" + (f"%{limit}" if limit else "")), exchange

    def _exchange(self, calls: list[tuple[Any, Any]]) -> Exchange:
        try:
            function = pickle.dumps((sys.path, cloudpickle.dumps(self.function)))
            return Exchange.create(function, [cloudpickle.dumps(call) for call in calls])
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            name = getattr(self.function, "__qualname__", "the function")
            raise InvalidArgument(f"{name} or its arguments cannot be pickled: {error}", hint="open files, locks and connections cannot travel") from error

    def _submit(self, exchange: Exchange, array: str) -> Job:
        from aios._default import default_client

        client = self._client or default_client()
        options = {"name": getattr(self.function, "__name__", "task"), **self.options, "array": array}
        given = dict(self.options.get("env") or {})
        options["env"] = {**given, "PYTHONPATH": python_path(__file__, given.get("PYTHONPATH", os.environ.get("PYTHONPATH", "")))}
        try:
            return client.submit_many([JobSpec([sys.executable, "-m", "aios._task", str(exchange.path)], **cast(SubmitOptions, options))])[0]
        except Exception:
            exchange.remove()
            raise


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(**options: Unpack[SubmitOptions]) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(function: Callable[P, R] | None = None, /, **options: Unpack[SubmitOptions]) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a task: `@aios.task` or `@aios.task(cpus=2, memory="4G")`, with the options of `aios.submit`."""
    if function is not None:
        return Task(function, options)
    return lambda given: Task(given, options)


def map(task: Task[..., R], *iterables: Iterable[Any], limit: int | None = None, timeout: float | None = None, return_exceptions: bool = False) -> list[R]:
    """The results of a task over values, in their order, like the built-in map; one job array underneath.

    limit               at most so many at once
    return_exceptions   put what a call raised in its place; else the first one, by order, is raised when all have ended
    """
    if not isinstance(task, Task):
        raise InvalidArgument(f"aios.map needs a task, not {task!r}", hint="decorate the function with @aios.task")
    if not iterables:
        raise InvalidArgument("aios.map needs values to call the task with", hint="for example aios.map(fit, [0.1, 0.01])")
    calls = list(zip(*iterables, strict=False))
    if not calls:
        return []
    job, exchange = task._array(calls, limit)
    job.wait(timeout)
    outcomes = [_gathered(exchange, index, job) for index in range(len(calls))]
    if all(isinstance(one, tuple) for one in outcomes):
        exchange.remove()
    return [cast(R, _unwrap_or(one, return_exceptions)) for one in outcomes]


def outcome_of(exchange: Exchange, index: int, job: JobRecord) -> tuple[str, object, str]:
    """What one call left: how it went, the value or exception, the traceback's text. Raises JobFailed when it left nothing."""
    packed = exchange.result(index)
    if packed is None:
        error = job_failed(job) if job.state is not State.SUCCEEDED else TaskError(f"job {job.id} succeeded, but left no result")
        error.facts["directory"] = str(exchange.path)
        error.hint = f"see what it printed: aiosctl logs {job.id}; its arguments are kept in {exchange.path}"
        raise error
    try:
        return cast(tuple[str, object, str], pickle.loads(packed))
    except Exception as error:  # unpickling runs the classes' own code
        raise TaskError(f"the result of job {job.id} cannot be unpickled here: {error}", hint=f"it is kept in {exchange.path}") from error


def _gathered(exchange: Exchange, index: int, job: Job) -> tuple[str, object, str] | Exception:
    """The outcome of one element, or the error that stands for it; the element is asked about only when it left nothing."""
    known: JobRecord = job
    try:
        if exchange.result(index) is None:
            known = job[index]
        return outcome_of(exchange, index, known)
    except Exception as error:
        return error


def _unwrap_or(outcome: tuple[str, object, str] | Exception, return_exceptions: bool) -> object:
    error = outcome if isinstance(outcome, Exception) else _error_in(outcome)
    if error is None:
        return _unwrap(cast(tuple[str, object, str], outcome))
    if return_exceptions:
        return error
    raise error


def _unwrap(outcome: tuple[str, object, str]) -> object:
    error = _error_in(outcome)
    if error is not None:
        raise error
    return outcome[1]


def _error_in(outcome: tuple[str, object, str]) -> BaseException | None:
    how, value, text = outcome
    if how == "returned":
        return None
    error = value if isinstance(value, BaseException) else TaskError(f"a task raised an exception that cannot be brought back: {value}")
    error.__cause__ = RemoteTraceback(text)
    return error
