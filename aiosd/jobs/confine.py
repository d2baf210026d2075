"""What a caller can get wrong about a job's secrets, umask and process limits. No message ever holds a secret's value."""

import re
from collections.abc import Mapping, Sequence

from aiosd.errors import InvalidArgument
from aiosd.jobs.job import ProcessLimit
from aiosd.units import format_bytes

MOST_SECRETS = 64
MOST_SECRET_BYTES = 1 << 20  # of all of a job's together
LIMITS = ("as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime", "sigpending", "stack")
NO_LIMIT = -1
_LARGEST = (1 << 63) - 1
_SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def check_secrets(secrets: Mapping[str, bytes]) -> tuple[str, ...]:
    """The names, each fit to be a file's, in order."""
    if len(secrets) > MOST_SECRETS:
        raise InvalidArgument(f"a job has at most {MOST_SECRETS} secrets, not {len(secrets)}", given=len(secrets))
    for name in secrets:
        if not _SECRET_NAME.fullmatch(name):
            raise InvalidArgument(
                f"the name of a secret, {name[:100]!r}, is not fit to be a file's",
                hint="use 1 to 100 letters, digits, '_', '.' and '-', with no '.' or '-' first",
            )
    size = sum(len(value) for value in secrets.values())
    if size > MOST_SECRET_BYTES:
        raise InvalidArgument(f"the secrets have {format_bytes(size)}; a job's have at most {format_bytes(MOST_SECRET_BYTES)} together", size=size)
    return tuple(sorted(secrets))


def check_umask(umask: int) -> int:
    if not 0 <= umask <= 0o777:
        raise InvalidArgument(f"umask must be 000 to 777 (octal), not {umask:o}", hint="022 is usual", given=umask)
    return umask


def check_limits(limits: Sequence[tuple[str, int, int]]) -> tuple[ProcessLimit, ...]:
    """Each limit at most once; soft at most hard."""
    found: dict[str, ProcessLimit] = {}
    for name, soft, hard in limits:
        if name not in LIMITS:
            raise InvalidArgument(f"process limit {name[:40]!r} is not known", hint=f"use one of {', '.join(LIMITS)}", given=name[:40])
        if name in found:
            raise InvalidArgument(f"process limit {name} is given twice", hint=f"write it once, as {name}=SOFT:HARD")
        for value in (soft, hard):
            if not NO_LIMIT <= value <= _LARGEST:
                raise InvalidArgument(f"process limit {name} cannot be {value}", hint="give a number from 0, or -1 for no limit", given=value)
        if hard != NO_LIMIT and (soft == NO_LIMIT or soft > hard):
            raise InvalidArgument(f"process limit {name}: the soft limit {soft} is more than the hard limit {hard}", hint=f"write {name}=SOFT:HARD")
        found[name] = ProcessLimit(name, soft, hard)
    return tuple(found.values())
