"""Who may do what: for every RPC the least role on one's own things and on those of others; the whole policy is this table.

Methods are named as in the audit trail, "Jobs.Cancel". Where a thing has no owner (a queue, the node) both roles are the same.
A test fails when an RPC of any service has no row here.
"""

import re
from dataclasses import dataclass

from aiosd.access.principal import Principal, Role
from aiosd.errors import Denied

VIEWER, USER, OPERATOR, ADMIN = Role.VIEWER, Role.USER, Role.OPERATOR, Role.ADMIN


@dataclass(frozen=True, slots=True)
class Rule:
    """`own`: the least role that may call it at all, and on its own things; `others`: on other users' things.

    changes  it changes something, so that every call of it is in the audit trail; of the others only the denied ones
    """

    own: Role
    others: Role
    changes: bool = False


RULES: dict[str, Rule] = {
    "Jobs.Submit": Rule(USER, USER, changes=True),
    "Jobs.Get": Rule(VIEWER, VIEWER),  # of others only what SEES_ALL says
    "Jobs.List": Rule(VIEWER, VIEWER),
    "Jobs.Watch": Rule(VIEWER, VIEWER),
    "Jobs.Wait": Rule(VIEWER, VIEWER),
    "Jobs.Why": Rule(VIEWER, VIEWER),
    "Jobs.Logs": Rule(VIEWER, OPERATOR),
    "Jobs.Stats": Rule(VIEWER, OPERATOR),
    "Jobs.Cancel": Rule(USER, OPERATOR, changes=True),
    "Jobs.Hold": Rule(USER, OPERATOR, changes=True),
    "Jobs.Release": Rule(USER, OPERATOR, changes=True),
    "Jobs.Suspend": Rule(USER, OPERATOR, changes=True),
    "Jobs.Resume": Rule(USER, OPERATOR, changes=True),
    "Jobs.Requeue": Rule(USER, OPERATOR, changes=True),
    "Jobs.Update": Rule(USER, OPERATOR, changes=True),
    "Jobs.WriteInput": Rule(USER, ADMIN, changes=True),  # what is typed is run as the job's user: whoever may do this is that user
    "Jobs.Attach": Rule(USER, ADMIN, changes=True),  # the same
    "Queues.List": Rule(VIEWER, VIEWER),
    "Queues.Get": Rule(VIEWER, VIEWER),
    "Queues.Set": Rule(OPERATOR, OPERATOR, changes=True),
    "Queues.GetPolicy": Rule(VIEWER, VIEWER),
    "Queues.SetPolicy": Rule(ADMIN, ADMIN, changes=True),
    "Queues.ListQos": Rule(VIEWER, VIEWER),
    "Queues.Shares": Rule(VIEWER, VIEWER),
    "Queues.Schedule": Rule(VIEWER, VIEWER),
    "Node.Get": Rule(VIEWER, VIEWER),
    "Node.Drain": Rule(OPERATOR, OPERATOR, changes=True),
    "Node.Resume": Rule(OPERATOR, OPERATOR, changes=True),
    "Node.Reserve": Rule(OPERATOR, OPERATOR, changes=True),
    "Node.Unreserve": Rule(OPERATOR, OPERATOR, changes=True),
    "Node.SetDevice": Rule(OPERATOR, OPERATOR, changes=True),
    "Node.Reload": Rule(ADMIN, ADMIN, changes=True),
    "Node.Stop": Rule(ADMIN, ADMIN, changes=True),
    "Models.List": Rule(VIEWER, VIEWER),  # of models, `own` and `others` are not asked: each model says who may do what with it
    "Models.Get": Rule(VIEWER, VIEWER),
    "Models.GetVersion": Rule(VIEWER, VIEWER),
    "Models.Log": Rule(VIEWER, VIEWER),
    "Models.LogReferences": Rule(VIEWER, VIEWER),
    "Models.ListReferences": Rule(VIEWER, VIEWER),
    "Models.Diff": Rule(VIEWER, VIEWER),
    "Models.Scan": Rule(USER, USER, changes=True),  # what it finds is kept
    "Models.VerifySignature": Rule(VIEWER, VIEWER),
    "Models.Missing": Rule(USER, USER),
    "Models.FetchChunks": Rule(USER, USER),
    "Models.Uploaded": Rule(USER, USER),
    "Models.Checkout": Rule(USER, USER),
    "Models.Verify": Rule(USER, USER),
    "Models.Usage": Rule(VIEWER, OPERATOR),
    "Models.Register": Rule(USER, USER, changes=True),
    "Models.RegisterOutputs": Rule(USER, OPERATOR, changes=True),
    "Models.Upload": Rule(USER, USER, changes=True),
    "Models.Set": Rule(USER, USER, changes=True),
    "Models.MoveReference": Rule(USER, USER, changes=True),
    "Models.Merge": Rule(USER, USER, changes=True),
    "Models.Revert": Rule(USER, USER, changes=True),
    "Models.Allow": Rule(OPERATOR, OPERATOR, changes=True),  # and so is Register with allow_flagged
    "Models.Sign": Rule(USER, USER, changes=True),
    "Models.Export": Rule(USER, USER),
    "Models.Import": Rule(USER, USER, changes=True),
    "Models.SendChunks": Rule(USER, USER, changes=True),
    "Models.Receive": Rule(USER, USER, changes=True),
    "Models.CollectGarbage": Rule(OPERATOR, OPERATOR, changes=True),
    "Models.Remove": Rule(USER, USER, changes=True),
    "Models.Optimize": Rule(USER, USER, changes=True),
    "Access.WhoAmI": Rule(VIEWER, VIEWER),
    "Access.GetUser": Rule(VIEWER, OPERATOR),
    "Access.ListUsers": Rule(OPERATOR, OPERATOR),
    "Access.SetUser": Rule(ADMIN, ADMIN, changes=True),
    "Access.CreateToken": Rule(ADMIN, ADMIN, changes=True),
    "Access.ListTokens": Rule(ADMIN, ADMIN),
    "Access.RevokeToken": Rule(ADMIN, ADMIN, changes=True),
    "Access.Audit": Rule(ADMIN, ADMIN),
    "Access.VerifyAudit": Rule(ADMIN, ADMIN),
    "Simulation.Simulate": Rule(USER, USER),  # of others' jobs only what everybody sees: that they were there, and what they held
    "Simulation.Forecast": Rule(USER, USER),  # the same
    "Admin.Backup": Rule(ADMIN, ADMIN, changes=True),
    "Admin.Check": Rule(ADMIN, ADMIN, changes=True),
    "grpc.health.v1.Health.Watch": Rule(VIEWER, VIEWER),  # a stream is held open, and that is a resource
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": Rule(VIEWER, VIEWER),
}

FOR_ANYBODY = frozenset({"grpc.health.v1.Health.Check", "grpc.health.v1.Health.List"})
"""Needs no identity: that the daemon is there and serves is told to whoever can connect."""

RECORDED_THERE = frozenset({"Access.SetUser", "Access.CreateToken", "Access.RevokeToken"})
"""Those whose success is in the audit trail by whoever does it, in one commit with what was done."""

SEES_ALL = OPERATOR
"""The least role to which nothing of other users' jobs is hidden: command line, directory, names, labels, outputs, what it reports."""

URGENT = OPERATOR
"""The least role that may ask for more than jobs.max_user_priority, and for less than no niceness."""

UNLIMITED = OPERATOR
"""The least role whose calls are not counted."""

_NOBODYS = Rule(ADMIN, ADMIN, changes=True)  # a method without a row, which the tests do not let pass


def name_of(path: str) -> str:
    """The method as the table has it, from its path on the wire: "/aios.v1.Jobs/Cancel" is "Jobs.Cancel"."""
    return path.removeprefix("/").removeprefix("aios.v1.").replace("/", ".")


def rule_of(method: str) -> Rule:
    return RULES.get(method, _NOBODYS)


def needed(method: str, *, own: bool) -> Role:
    """The least role that may call `method` on its own things, or on those of others."""
    rule = rule_of(method)
    return rule.own if own else max(rule.own, rule.others)


def may(principal: Principal, method: str, owner_uid: int | None = None) -> bool:
    """Whether `principal` may call `method` on a thing of `owner_uid`; None: on something of its own, or without an owner."""
    return principal.role >= needed(method, own=owner_uid is None or owner_uid == principal.uid)


def sees(principal: Principal, owner_uid: int) -> bool:
    """Whether all of a job of `owner_uid` is shown to `principal`."""
    return principal.role >= SEES_ALL or principal.uid == owner_uid


def check(principal: Principal, method: str, owner_uid: int | None = None, thing: str = "") -> None:
    """Raises Denied, with who asked, for what, and the role it takes. `thing` names it: "job 42"."""
    if may(principal, method, owner_uid):
        return
    least = needed(method, own=owner_uid is None or owner_uid == principal.uid)
    others = f" on {thing}, which is another user's" if owner_uid not in (None, principal.uid) and thing else ""
    doing = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", method.rpartition(".")[2]).lower()  # "Models.CollectGarbage" is "collect garbage"
    raise Denied(
        f"{principal.name} may not {doing} ({method}){others}: that takes the role {least}, and {principal.name} has the role {principal.role}",
        hint="`aiosctl whoami` shows your role; an admin gives another by `aiosctl admin user set`, or by a Unix group",
        user=principal.name,
        method=method,
        role=principal.role,
        needed=least,
    )
