"""The SDK of AIOS: submit work, watch it, run functions as jobs, and know inside a job what it was given.

Importing it is cheap: gRPC and protobuf are loaded at the first call to a daemon, and never by `aios.run()`.
"""

import sys
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False  # as type checkers know it; importing typing for it would cost more than all the rest here

if TYPE_CHECKING:
    from aios import datasets as datasets
    from aios import downloads as downloads
    from aios import errors as errors
    from aios import models as models
    from aios._default import attach as attach
    from aios._default import cancel as cancel
    from aios._default import default_client as default_client
    from aios._default import job as job
    from aios._default import jobs as jobs
    from aios._default import node as node
    from aios._default import policy as policy
    from aios._default import queue as queue
    from aios._default import queues as queues
    from aios._default import submit as submit
    from aios._default import submit_many as submit_many
    from aios._default import wait as wait
    from aios._default import watch as watch
    from aios._default import why as why
    from aios.client import Client as Client
    from aios.errors import AiosError as AiosError
    from aios.errors import JobFailed as JobFailed
    from aios.errors import Preempted as Preempted
    from aios.jobs import Job as Job
    from aios.jobs import JobEvent as JobEvent
    from aios.records import Output as Output
    from aios.records import State as State
    from aios.run import Run as Run
    from aios.run import run as run
    from aios.spec import JobSpec as JobSpec
    from aios.tasks import Task as Task
    from aios.tasks import TaskJob as TaskJob
    from aios.tasks import map as map
    from aios.tasks import task as task

# Where each public name lives; the module is imported when the name is first used (PEP 562).
_HOMES = {
    "aios.errors": ("AiosError", "JobFailed", "Preempted"),
    "aios._default": (
        "attach", "cancel", "default_client", "job", "jobs", "node", "policy", "queue", "queues", "submit", "submit_many", "wait", "watch", "why",
    ),
    "aios.client": ("Client",),
    "aios.jobs": ("Job", "JobEvent"),
    "aios.records": ("Output", "State"),
    "aios.run": ("Run", "run"),
    "aios.spec": ("JobSpec",),
    "aios.tasks": ("Task", "TaskJob", "map", "task"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

_MODULES = ("datasets", "downloads", "errors", "models")

__all__ = [*_MODULES, *_HOME_OF]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"aios.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'aios' has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps `aios.jobs`, `aios.run` and the like the functions they are: importing the module of that name would hide them."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
