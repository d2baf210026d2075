"""Every error that a caller can act on: the class is the caller's decision, the facts say what it is about."""

import re


class AiosError(Exception):
    """The root. `reason` names the class on the wire; `facts` are what a program needs, `hint` what a person needs."""

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.hint = hint
        self.facts = {name: str(value) for name, value in facts.items()}

    @property
    def reason(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).upper()


class InvalidArgument(AiosError):
    """The request itself is wrong; the same request will always be refused."""


class NeverFits(InvalidArgument):
    """The request exceeds the whole machine; waiting will not help."""


class NotFound(AiosError):
    """There is no such thing."""


class AlreadyExists(AiosError):
    """There is one already, and it is different."""


class FailedPrecondition(AiosError):
    """The thing is not in a state that allows this; look at it, then decide."""


class Denied(AiosError):
    """The caller may not do this."""


class Unauthenticated(AiosError):
    """It cannot be told who calls: no credential came, or one that is worth nothing (any more); fetch another."""


class Exhausted(AiosError):
    """A limit or the disk is full; it may work later, or with less."""


class DiskFull(Exhausted):
    """The state directory's disk is full; nothing was changed, and it recovers when there is room."""


class Unavailable(AiosError):
    """The daemon cannot answer now; the same request may be repeated."""


class Conflict(AiosError):
    """Somebody else changed it first."""


class ConfigError(InvalidArgument):
    """The configuration is wrong; the daemon does not start, or keeps the one it has."""


class AlreadyRunning(FailedPrecondition):
    """Another daemon holds the state directory."""


class StorageCorrupt(AiosError):
    """The database is damaged; its file is kept as it is."""


class StorageUnwritable(AiosError):
    """The state directory cannot be written."""


class DataLoss(AiosError):
    """What was stored does not read back as it was; it is set aside, and healed where the same bytes come again."""
