"""The module's own functions, `aios.submit` and the like: those of a default client, made when it is first needed."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from aios._job_calls import JobCalls
from aios._node_calls import NodeCalls
from aios._queue_calls import QueueCalls
from aios.client import Client

if TYPE_CHECKING:
    from typing import Concatenate

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


def _of_default(call: "Callable[Concatenate[Client, P], R]") -> "Callable[P, R]":
    def function(*args: P.args, **kwargs: P.kwargs) -> R:
        return call(default_client(), *args, **kwargs)

    function.__name__ = function.__qualname__ = call.__name__
    function.__doc__ = call.__doc__
    return function


submit = _of_default(JobCalls.submit)
submit_many = _of_default(JobCalls.submit_many)
job = _of_default(JobCalls.job)
jobs = _of_default(JobCalls.jobs)
watch = _of_default(JobCalls.watch)
wait = _of_default(JobCalls.wait)
cancel = _of_default(JobCalls.cancel)
why = _of_default(JobCalls.why)
attach = _of_default(JobCalls.attach)
queues = _of_default(QueueCalls.queues)
queue = _of_default(QueueCalls.queue)
policy = _of_default(QueueCalls.policy)
node = _of_default(NodeCalls.node)
