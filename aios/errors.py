"""Every error of the SDK: the class is the caller's decision, `str(e)` the sentence, `hint` what to do, `facts` the details."""

import re
from collections.abc import Mapping


class AiosError(Exception):
    """The root. `reason` names the class as it travels on the wire; `facts` are what a program needs, `hint` what a person needs."""

    def __init__(self, message: str, *, hint: str = "", facts: Mapping[str, str] | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.facts: dict[str, str] = dict(facts or {})
        if hint:
            self.add_note(f"hint: {hint}")  # a traceback, too, says what to do
        self.reason = reason or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).upper()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), str(self), self.hint, self.facts, self.reason)


def _rebuild(cls: type[AiosError], message: str, hint: str, facts: Mapping[str, str], reason: str) -> AiosError:
    return cls(message, hint=hint, facts=facts, reason=reason)


class InvalidArgument(AiosError, ValueError):
    """The request itself is wrong; the same request will always be refused."""


class NeverFits(InvalidArgument):
    """The request exceeds the whole machine; waiting will not help."""


class ConfigError(InvalidArgument):
    """The daemon's configuration is wrong."""


class NotFound(AiosError, LookupError):
    """There is no such thing."""


class AlreadyExists(AiosError):
    """There is one already, and it is different."""


class FailedPrecondition(AiosError):
    """The thing is not in a state that allows this; look at it, then decide."""


class AlreadyRunning(FailedPrecondition):
    """Another daemon holds the state directory."""


class Denied(AiosError):
    """The caller may not do this."""


class Unauthenticated(Denied):
    """The daemon cannot tell who calls: a token is missing, or is worth nothing (any more)."""


class Exhausted(AiosError):
    """A limit or the disk is full; it may work later, or with less."""


class DiskFull(Exhausted):
    """The daemon's disk is full; nothing was changed, and it recovers when there is room."""


class Conflict(AiosError):
    """Somebody else changed it first."""


class StorageCorrupt(AiosError):
    """The daemon's database is damaged; its file is kept as it is."""


class DataLoss(AiosError):
    """What was stored does not read back as it was; registering the same files again heals it."""


class StorageUnwritable(AiosError):
    """The daemon's state directory cannot be written."""


class Unsupported(AiosError):
    """The daemon does not know this call: it is older or newer than this SDK, or leaves it out."""


class Internal(AiosError):
    """The daemon failed in a way it did not foresee; its log says more."""


class Unavailable(AiosError):
    """The daemon cannot answer now; the same request may be repeated."""


class DaemonUnreachable(Unavailable, ConnectionError):
    """No daemon answers at the target, and none could be started."""


class Timeout(AiosError, TimeoutError):
    """The time the caller allowed is over; what was asked for may still happen."""


class JobFailed(AiosError):
    """A job ended, and not in success; `facts` has its id, its state and its exit status."""


class TaskError(AiosError):
    """A task's function raised something that could not be brought back as it was; the text holds its traceback."""


class Preempted(AiosError):
    """Raised by a job's own code, inside `with aios.run()`, when it has saved its work and gives its place up."""

    def __init__(
        self, message: str = "the work was saved; the job may be requeued", *, hint: str = "", facts: Mapping[str, str] | None = None, reason: str = ""
    ) -> None:
        super().__init__(message, hint=hint, facts=facts, reason=reason)


BY_REASON: dict[str, type[AiosError]] = {
    "INVALID_ARGUMENT": InvalidArgument,
    "NEVER_FITS": NeverFits,
    "CONFIG_ERROR": ConfigError,
    "NOT_FOUND": NotFound,
    "ALREADY_EXISTS": AlreadyExists,
    "FAILED_PRECONDITION": FailedPrecondition,
    "ALREADY_RUNNING": AlreadyRunning,
    "DENIED": Denied,
    "UNAUTHENTICATED": Unauthenticated,
    "EXHAUSTED": Exhausted,
    "DISK_FULL": DiskFull,
    "UNAVAILABLE": Unavailable,
    "CONFLICT": Conflict,
    "STORAGE_CORRUPT": StorageCorrupt,
    "STORAGE_UNWRITABLE": StorageUnwritable,
    "DATA_LOSS": DataLoss,
}
"""The classes of the daemon's own errors, by the reason on the wire."""
