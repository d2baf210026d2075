"""The permission table: every RPC has a row, more role never means less, and what is one's own is never harder than what is another's."""

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor import FileDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

import aios.v1
from aiosd.access import permissions
from aiosd.access.permissions import FOR_ANYBODY, RULES, check, may, name_of, needed, sees
from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied
from aiosd.rpc import server
from tests.arch.source import ROOT

methods = st.one_of(st.sampled_from(sorted(RULES)), st.text(max_size=30))
uids = st.integers(0, 5)
principals = st.builds(Principal, uids, st.just(100), st.just("ada"), st.sampled_from(Role))


def files() -> list[FileDescriptor]:
    modules = [importlib.import_module(f"aios.v1.{info.name}") for info in pkgutil.iter_modules(aios.v1.__path__) if info.name.endswith("_pb2")]
    return [module.DESCRIPTOR for module in modules]


def every_method() -> list[str]:
    """Of all services that the protos have, whether this daemon serves them yet or not."""
    return [name_of(f"/{service.full_name}/{method.name}") for file in files() for service in file.services_by_name.values() for method in service.methods]


def test_every_rpc_has_a_row_and_every_row_an_rpc() -> None:
    found = every_method()
    assert len(found) > 40
    assert set(found) | {"grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo", "grpc.health.v1.Health.Watch"} == set(RULES)
    assert {"grpc.health.v1.Health.Check", "grpc.health.v1.Health.List"} == FOR_ANYBODY


def test_every_service_that_is_served_is_in_the_table() -> None:
    for service in server.SERVICES:
        assert any(name.startswith(name_of(f"/{service}/")) for name in {*RULES, *FOR_ANYBODY}), service


@settings(deadline=None)
@given(principals, methods, st.one_of(st.none(), uids))
def test_a_higher_role_may_whatever_a_lower_one_may(principal: Principal, method: str, owner: int | None) -> None:
    higher = [Principal(principal.uid, principal.gid, principal.name, role) for role in Role if role >= principal.role]
    if may(principal, method, owner):
        assert all(may(each, method, owner) for each in higher)
    assert may(higher[-1], method, owner)  # an admin may everything


@settings(deadline=None)
@given(principals, methods, uids)
def test_what_may_be_done_to_others_may_be_done_to_ones_own(principal: Principal, method: str, owner: int) -> None:
    if may(principal, method, owner):
        assert may(principal, method, principal.uid)
        assert may(principal, method)
    if may(principal, method, owner) != may(principal, method, principal.uid):
        assert owner != principal.uid


@settings(deadline=None)
@given(principals, methods, st.one_of(st.none(), uids))
def test_check_raises_exactly_where_it_may_not(principal: Principal, method: str, owner: int | None) -> None:
    if may(principal, method, owner):
        check(principal, method, owner, "job 42")
        return
    with pytest.raises(Denied) as caught:
        check(principal, method, owner, "job 42")
    assert (caught.value.facts["user"], caught.value.facts["role"]) == ("ada", str(principal.role))
    assert Role[caught.value.facts["needed"].upper()] > principal.role
    assert method in str(caught.value)
    assert "whoami" in caught.value.hint


def test_a_denial_says_it_in_words() -> None:
    with pytest.raises(Denied, match=r"^ada may not collect garbage \(Models\.CollectGarbage\): that takes the role operator"):
        check(Principal(7, 7, "ada", Role.USER), "Models.CollectGarbage")


def test_who_may_what_in_short() -> None:
    """The promises of the documents, by hand: the table's own text cannot prove itself."""
    viewer, user, operator, admin = (Principal(7, 7, "u", role) for role in Role)
    own, others = 7, 8
    assert not may(viewer, "Jobs.Submit")
    assert may(user, "Jobs.Submit")
    for method in ("Cancel", "Hold", "Release", "Suspend", "Resume", "Requeue", "Update"):
        assert may(user, f"Jobs.{method}", own)
        assert not may(user, f"Jobs.{method}", others)
        assert may(operator, f"Jobs.{method}", others)
        assert not may(viewer, f"Jobs.{method}", own)
    for method in ("Logs", "Stats"):
        assert may(viewer, f"Jobs.{method}", own)
        assert not may(user, f"Jobs.{method}", others)
        assert may(operator, f"Jobs.{method}", others)
    for method in ("Attach", "WriteInput"):
        assert not may(operator, f"Jobs.{method}", others)
        assert may(admin, f"Jobs.{method}", others)
    assert may(viewer, "Jobs.List", others)
    assert not sees(user, others)
    assert sees(user, own)
    assert sees(operator, others)
    assert may(operator, "Node.Drain")
    assert not may(user, "Node.Drain")
    assert not may(operator, "Node.Stop")
    assert not may(operator, "Access.CreateToken")


def test_a_method_without_a_row_is_the_admins() -> None:
    assert needed("Jobs.Invented", own=True) is Role.ADMIN


def test_what_only_looks_changes_nothing() -> None:
    looking = {
        "Get",
        "List",
        "Watch",
        "Wait",
        "Why",
        "Logs",
        "Stats",
        "GetPolicy",
        "WhoAmI",
        "GetUser",
        "ListUsers",
        "ListTokens",
        "Audit",
        "VerifyAudit",
        "ListQos",
        "Shares",
        "Schedule",
        "Simulate",
        "Forecast",
        "GetVersion",
        "Log",
        "LogReferences",
        "ListReferences",
        "Diff",
        "VerifySignature",
        "Missing",
        "FetchChunks",
        "Uploaded",
        "Checkout",
        "Verify",
        "Usage",
        "Export",
    }
    for name, rule in permissions.RULES.items():
        assert rule.changes != (name.rpartition(".")[2] in looking | {"ServerReflectionInfo"}), name


def test_the_document_says_what_the_table_says() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    told = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 5]
    expected = [
        f"| `{name}` | {rule.own} | {'the same' if rule.own == rule.others else rule.others} | {'yes' if rule.changes else ''} |"
        for name, rule in RULES.items()
    ]
    assert told == expected
