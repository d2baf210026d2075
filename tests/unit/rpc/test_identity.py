"""Who calls, from every kind of credential: nobody is more than what the kernel, a record or the configuration says."""

import asyncio
import time

import pytest

from aiosd.access.passes import PREFIX, Bearer, Passes
from aiosd.access.person import Person
from aiosd.access.principal import Principal, Role
from aiosd.errors import AiosError, Denied, Unauthenticated
from aiosd.rpc.identity import Callers

PEOPLE = {0: "root", 1000: "ada", 1001: "bob", 999: "aios"}
CI = Principal(1001, 1001, "bob", Role.VIEWER, "token ci")


class Directory:
    """Knows PEOPLE, and remembers nobody."""

    def remembered(self, uid: int) -> Person | None:
        return None

    def person(self, uid: int, gid: int) -> Person:
        return Person(uid, gid, PEOPLE.get(uid, str(uid)), frozenset(), uid in PEOPLE)

    def named(self, name: str) -> Person | None:
        return next((self.person(uid, uid) for uid, known in PEOPLE.items() if known == name), None)


class Access:
    """Ada is an operator, root is (wrongly) a viewer, and one token is known."""

    def role_of(self, uid: int, gid: int, name: str) -> Role:
        return {"ada": Role.OPERATOR, "root": Role.VIEWER}.get(name, Role.USER)

    def token(self, secret: str) -> Principal | None:
        return CI if secret == "aios_secret" else None

    def record(self, principal: Principal | None, method: str, object_: str, allowed: bool, detail: str = "") -> None:
        raise AssertionError


class Context:
    def __init__(self, authorization: str | None = None, peer: str = "unix:", certificate: str = "") -> None:
        self._metadata = (("other", "x"), ("authorization", authorization)) if authorization is not None else ()
        self._peer, self._certificate = peer, certificate

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._metadata

    def peer(self) -> str:
        return self._peer

    def auth_context(self) -> dict[str, list[bytes]]:
        name = self._certificate.encode()
        return {"x509_common_name": [name], "x509_pem_cert": [b"pem"]} if name else {}


PASSES = Passes(b"k" * 32, 60.0)
NETWORK = "ipv4:10.0.0.9:999"


def who(context: Context, *, everyone: bool = True, own: int = 999, certificate_role: Role = Role.USER) -> Principal:
    callers = Callers(PASSES, Directory(), Access(), Person(own, own, PEOPLE[own], frozenset()), everyone, certificate_role)
    return asyncio.run(callers.principal(context))  # type: ignore[arg-type]


def pass_of(uid: int) -> str:
    return "Bearer " + PASSES.make(Bearer(uid, uid, 7), time.monotonic())


def refused(context: Context, kind: type[AiosError], **options: bool) -> AiosError:
    with pytest.raises(kind) as caught:
        who(context, **options)  # type: ignore[arg-type]
    assert caught.value.hint
    return caught.value


def test_a_pass_is_whom_the_kernel_saw() -> None:
    assert who(Context(pass_of(1000))) == Principal(1000, 1000, "ada", Role.OPERATOR, "socket", "pid 7", 7)
    assert who(Context(pass_of(1001))).role is Role.USER
    assert who(Context(pass_of(4242))).name == "4242"


def test_root_and_the_daemons_own_user_are_admins() -> None:
    assert who(Context(pass_of(0))).role is who(Context(pass_of(999))).role is Role.ADMIN
    assert who(Context(pass_of(0)), everyone=False).role is who(Context(pass_of(1000)), everyone=False, own=1000).role is Role.ADMIN


def test_a_daemon_of_one_user_is_nobody_elses() -> None:
    refused(Context(pass_of(1001)), Denied, everyone=False)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Basic eA==", "Bearer x", f"Bearer {PREFIX}0.0.1.99999999999999.00", "Bearer " + "x" * 5000, "\0"]
)
def test_no_credential_or_a_worthless_one_is_nobody(authorization: str | None) -> None:
    for peer in ("unix:", NETWORK):
        refused(Context(authorization, peer), Unauthenticated)


def test_a_pass_is_worth_nothing_over_the_network() -> None:
    refused(Context(pass_of(0), NETWORK), Unauthenticated)


def test_a_token_is_what_its_record_says() -> None:
    found = who(Context("bearer aios_secret", NETWORK))
    assert (found.name, found.role, found.origin, found.peer) == ("bob", Role.VIEWER, "token ci", NETWORK)
    assert who(Context("Bearer aios_secret")).role is Role.VIEWER


def test_a_certificate_is_its_user_and_never_more_than_configured() -> None:
    for certificate_role, role in ((Role.VIEWER, Role.VIEWER), (Role.USER, Role.USER), (Role.ADMIN, Role.OPERATOR)):
        found = who(Context(None, NETWORK, "ada"), certificate_role=certificate_role)
        assert (found.uid, found.role, found.origin) == (1000, role, "certificate ada")
    assert who(Context(None, NETWORK, "aios"), certificate_role=Role.USER).role is Role.USER  # the daemon's own user neither


def test_a_certificate_made_out_to_root_is_nobody() -> None:
    for name in ("root",):
        assert "cannot stand for root" in str(refused(Context(None, NETWORK, name), Denied))
    assert "not a user of this machine" in str(refused(Context(None, NETWORK, "eve"), Unauthenticated))


def test_in_a_daemon_of_one_user_a_certificate_is_of_that_user_only() -> None:
    assert who(Context(None, NETWORK, "ada"), everyone=False, own=1000).role is Role.USER
    refused(Context(None, NETWORK, "bob"), Denied, everyone=False)
