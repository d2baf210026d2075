"""`policy`: the order in which jobs go."""

from collections.abc import Sequence

import click

from aios.queues import Policy, PolicyChoice
from aiosctl import session
from aiosctl.failures import WrongUsage
from aiosctl.lazy import Nouns, verb
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, json_text, print_rows, yaml_text

TABLE = {
    "show": ("aiosctl.policy:show", "Show the policy in force, and the others"),
    "set": ("aiosctl.policy:set_policy", "Change the policy, at once"),
}


@click.group(cls=Nouns, table=TABLE)
def policy() -> None:
    """The order in which waiting jobs go."""


@verb("aiosctl policy show", "aiosctl policy show -q")
@output_options
def show(shape: Shape) -> None:
    """Show the policy in force (with a *) and what there is to choose from. -q prints the one in force."""
    with session.connect() as client:
        _print(client.policy(), shape)


@verb("aiosctl policy set fair", name="set")
@click.argument("name", metavar="NAME")
@output_options
def set_policy(name: str, shape: Shape) -> None:
    """Change the policy: it orders all that waits from now on. `aiosctl policy show` lists the names."""
    with session.connect() as client:
        choices = client.policy().choices
        if choices and name not in {choice.name for choice in choices}:
            raise WrongUsage(f"there is no policy {name!r}", "there are " + "; ".join(f"{choice.name}: {choice.summary.rstrip('.')}" for choice in choices))
        _print(client.set_policy(name), shape)


def _print(policy: Policy, shape: Shape) -> None:
    if shape.format in ("json", "yaml"):
        print(json_text(policy) if shape.format == "json" else yaml_text(policy))
        return
    if shape.format == "name":
        print(policy.name)
        return
    print_rows(_choices(policy), _columns(policy.name), lambda choice: choice.name, shape)


def _choices(policy: Policy) -> Sequence[PolicyChoice]:
    return policy.choices or (PolicyChoice(policy.name, policy.summary),)


def _columns(current: str) -> list[Column[PolicyChoice]]:
    return [
        Column("", lambda choice: "*" if choice.name == current else ""),
        Column("NAME", lambda choice: choice.name),
        Column("SUMMARY", lambda choice: choice.summary, cut=True),
    ]
