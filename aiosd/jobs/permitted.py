"""Who may use which queue, QoS and account."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from aiosd.errors import Denied, NotFound
from aiosd.jobs.job import JobSpec

if TYPE_CHECKING:
    from aiosd.jobs.state import State


def check_permitted(state: "State", user: str, groups: Collection[str], specs: Iterable[JobSpec]) -> None:
    """Raises Denied for what the user may not use, NotFound for an account that is not there. `groups`: the Unix groups it is in."""
    for queue, qos, account in {(spec.queue, spec.qos, spec.account): spec for spec in specs}:
        if queue in state.queues:
            _check_listed(f"queue {queue!r}", state.queues[queue].allowed_users, user, groups)
        if qos in state.settings.scheduling.qos:
            _check_listed(f"QoS {qos!r}", state.settings.scheduling.qos[qos].allowed_users, user, groups)
        check_account(state, user, account)


def check_account(state: "State", user: str, name: str) -> None:
    """Where none is configured, any account is a label that one is free to give."""
    accounts = state.settings.scheduling.accounts
    if not accounts or not name:
        return
    account = accounts.get(name)
    if account is None:
        mine = ", ".join(sorted(known for known, each in accounts.items() if not each.users or user in each.users))
        raise NotFound(f"there is no account {name[:70]!r}", hint=f"yours: {mine or 'none'}; `aiosctl share` shows the tree", account=name[:70])
    if account.users and user not in account.users:
        raise Denied(
            f"{user} may not charge account {name!r}",
            hint="leave out --account, or ask for a place in the configuration's [accounts." + name + ".users]",
            user=user,
            account=name,
        )


def _check_listed(what: str, allowed: Collection[str], user: str, groups: Collection[str]) -> None:
    if not allowed or user in allowed or any(f"@{group}" in allowed for group in groups):
        return
    raise Denied(f"{user} may not use {what}: it is for {', '.join(allowed)}", hint="use another, or ask the operator", user=user)


def names_groups(state: "State") -> bool:
    """Whether anything is for a Unix group, so that it must be known in which ones a user is."""
    users = [*(queue.allowed_users for queue in state.queues.values()), *(qos.allowed_users for qos in state.settings.scheduling.qos.values())]
    return any(name.startswith("@") for names in users for name in names)
