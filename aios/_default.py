"""The module's own functions, `aios.submit` and the like: those of a default client, made when it is first needed."""

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aios._job_calls import JobCalls
from aios._node_calls import NodeCalls
from aios._queue_calls import QueueCalls
from aios.client import Client

if TYPE_CHECKING:
    from typing import Concatenate

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")

_lock = threading.Lock()
_clients: list[Client] = []


def default_client() -> Client:
    """The client behind `aios.submit` and the like; it goes by AIOS_TARGET, or finds this machine's daemon."""
    with _lock:
        if not _clients:
            _clients.append(Client())
        return _clients[0]


def calling(call: "Callable[Concatenate[C, P], R]", of: "Callable[[], C]") -> "Callable[P, R]":
    """The method `call` as a function: `of` is asked for its object each time."""

    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return call(of(), *args, **kwargs)

    function.__name__ = function.__qualname__ = call.__name__
    function.__doc__ = call.__doc__
    function.__wrapped__ = partial(call, None)  # type: ignore[attr-defined, arg-type]  # where help() and notebooks find its arguments, without `self`
    return function


submit = calling(JobCalls.submit, default_client)
submit_many = calling(JobCalls.submit_many, default_client)
job = calling(JobCalls.job, default_client)
jobs = calling(JobCalls.jobs, default_client)
watch = calling(JobCalls.watch, default_client)
wait = calling(JobCalls.wait, default_client)
cancel = calling(JobCalls.cancel, default_client)
why = calling(JobCalls.why, default_client)
attach = calling(JobCalls.attach, default_client)
queues = calling(QueueCalls.queues, default_client)
queue = calling(QueueCalls.queue, default_client)
policy = calling(QueueCalls.policy, default_client)
node = calling(NodeCalls.node, default_client)
