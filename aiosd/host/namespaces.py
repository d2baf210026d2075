"""A /tmp and a /var/tmp of a run's own: directories below its scratch, bound over the machine's in a mount namespace; imports next to nothing."""

import ctypes
import os

from aiosd.host.prepare import CannotStart

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_SLAVE = 4096, 16384, 1 << 19
_WITHIN = ".tmp"
_PLACES = (("tmp", "/tmp"), ("var-tmp", "/var/tmp"))  # noqa: S108  what is bound over, not where something is put
_OPEN_TO_ALL = 0o1777

_libc = ctypes.CDLL(None, use_errno=True)


def make_places(scratch: str) -> list[int]:
    """The directories that stand for /tmp and /var/tmp, as descriptors. To be called while `scratch` is still ours alone.

    Raises CannotStart, also where they would hide the scratch itself, and the run's outputs with it.
    """
    if any(scratch.startswith(f"{over}/") for _, over in _PLACES):
        raise CannotStart(f"a private /tmp cannot be had: it would hide '{scratch}'; a daemon.state_directory that is not below /tmp is needed")
    places: list[int] = []
    try:
        os.mkdir(f"{scratch}/{_WITHIN}")
        for name, _ in _PLACES:
            place = f"{scratch}/{_WITHIN}/{name}"
            os.mkdir(place)
            os.chmod(place, _OPEN_TO_ALL)
            places.append(os.open(place, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
    except OSError as error:
        raise CannotStart(f"cannot make a private /tmp in '{scratch}': {error.strerror}") from None
    return places


def enter(scratch: str, places: list[int]) -> None:
    """Give this process, and all that come from it, the places as /tmp and /var/tmp. Raises CannotStart."""
    if os.geteuid() == 0:
        _checked(_libc.unshare(_CLONE_NEWNS))
    else:
        _unshare_as_user()
    _checked(_libc.mount(b"none", b"/", None, _MS_REC | _MS_SLAVE, None))  # what is mounted here is not seen outside; the reverse stays
    opened = [_open_again(f"{scratch}/{_WITHIN}/{name}", place) for place, (name, _) in zip(places, _PLACES, strict=True)]
    for again, (_, over) in zip(opened, _PLACES, strict=True):
        _checked(_libc.mount(f"/proc/self/fd/{again}".encode(), over.encode(), None, _MS_BIND, None))
        os.close(again)


def _open_again(path: str, place: int) -> int:
    """The same directory as seen in this namespace, for only that can be bound; by now its user could have put something else there."""
    try:
        again = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise CannotStart(f"cannot have the private /tmp in '{path}': {error.strerror}") from None
    if not os.path.sameopenfile(again, place):
        raise CannotStart("a private /tmp cannot be had: its directory was changed by another process of the user")
    return again


def _unshare_as_user() -> None:
    """Without root: a user namespace in which this user is who it is."""
    uid, gid = os.geteuid(), os.getegid()
    _checked(_libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except OSError as error:
        raise CannotStart(f"a private /tmp cannot be had here: no user namespace of one's own: {error.strerror}") from None


def _checked(result: int) -> None:
    if result:
        raise CannotStart(f"a private /tmp cannot be had here: {os.strerror(ctypes.get_errno())}")
