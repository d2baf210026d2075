"""The environments of late, each kept once: jobs that share one share its memory."""

from collections.abc import Mapping
from hashlib import sha256

from aiosd.jobs.job import Environment

MOST_REMEMBERED = 256


class Environments:
    """The oldest is forgotten first; who has it keeps it."""

    def __init__(self) -> None:
        self._known: dict[str, Environment] = {}

    def adopt(self, environment: Environment) -> None:
        """One that jobs were loaded with."""
        self._known.setdefault(environment.digest, environment)

    def of(self, variables: Mapping[str, str]) -> Environment:
        """The one record for these variables."""
        text = "\0".join(f"{name}={value}" for name, value in sorted(variables.items()))
        digest = sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        known = self._known.get(digest)
        if known is None or known.variables != variables:  # a NUL in a value can make two look alike; it is refused later
            if len(self._known) >= MOST_REMEMBERED:
                del self._known[next(iter(self._known))]
            known = self._known[digest] = Environment(digest, dict(variables))
        return known
