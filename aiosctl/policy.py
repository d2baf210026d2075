"""`policy`: the order in which jobs go."""

from collections.abc import Sequence
from typing import Any

import click

from aios.queues import Policy, PolicyChoice
from aiosctl import session
from aiosctl.failures import WrongUsage
from aiosctl.lazy import Nouns, verb
from aiosctl.options import output_options
from aiosctl.output import Column, Shape, json_text, print_lines, print_rows, section, yaml_text
from aiosctl.queues import WEIGHT

TABLE = {
    "show": ("aiosctl.policy:show", "Show the policy in force, and the others"),
    "set": ("aiosctl.policy:set_policy", "Change the policy, at once"),
}


@click.group(cls=Nouns, table=TABLE)
def policy() -> None:
    """The order in which waiting jobs go."""


@verb("aiosctl policy show", "aiosctl policy show -o wide", "aiosctl policy show -q")
@output_options
def show(shape: Shape) -> None:
    """Show the policy in force (with a *) and what there is to choose from; -o wide adds the rules. -q prints the one in force."""
    with session.connect() as client:
        _print(client.policy(), shape)


@verb(
    "aiosctl policy set fair",
    "aiosctl policy set --backfill conservative --backfill-order shortest",
    "aiosctl policy set priority --weight age=500 --weight size=100",
    "aiosctl policy set --predict",
    name="set",
)
@click.argument("name", metavar="[NAME]", default="")
@click.option("--backfill", type=click.Choice(["off", "easy", "conservative"]), help="Who may start while an earlier job waits.")
@click.option("--backfill-order", type=click.Choice(["arrival", "shortest"]), help="Of those that may: as the policy has them, or the shortest first.")
@click.option("--predict/--no-predict", default=None, help="Among equals those first that are expected to end soonest.")
@click.option("--weight", "weights", type=WEIGHT, multiple=True, help="Of a factor of policy priority; `policy show -o json` lists them.")
@output_options
def set_policy(name: str, weights: tuple[tuple[str, float], ...], shape: Shape, **rules: Any) -> None:
    """Change the policy or its rules: all that waits is ordered by them from now on. It lasts, and goes before the configuration."""
    changes = {field: value for field, value in rules.items() if value is not None}
    if weights:
        changes["weights"] = dict(weights)
    if not name and not changes:
        raise WrongUsage("nothing to set was named", "for example `aiosctl policy set fair`; `aiosctl policy show` lists the names")
    with session.connect() as client:
        choices = client.policy().choices if name else ()
        if choices and name not in {choice.name for choice in choices}:
            raise WrongUsage(f"there is no policy {name!r}", "there are " + "; ".join(f"{choice.name}: {choice.summary.rstrip('.')}" for choice in choices))
        _print(client.set_policy(name, **changes), shape, rules=bool(changes))


def _print(policy: Policy, shape: Shape, *, rules: bool = False) -> None:
    """`rules`: those too, since they were changed."""
    if shape.format in ("json", "yaml"):
        print(json_text(policy) if shape.format == "json" else yaml_text(policy))
        return
    if shape.format == "name":
        print(policy.name)
        return
    print_rows(_choices(policy), _columns(policy.name), lambda choice: choice.name, shape)
    if rules or shape.format == "wide":
        weights = " ".join(f"{name}={weight:g}" for name, weight in sorted(policy.weights.items()))
        order, predict = policy.backfill_order, "yes" if policy.predict else "no"
        print_lines(section("Rules", [("backfill", policy.backfill), ("its order", order), ("predict", predict), ("weights", weights)]))


def _choices(policy: Policy) -> Sequence[PolicyChoice]:
    return policy.choices or (PolicyChoice(policy.name, policy.summary),)


def _columns(current: str) -> list[Column[PolicyChoice]]:
    return [
        Column("", lambda choice: "*" if choice.name == current else ""),
        Column("NAME", lambda choice: choice.name),
        Column("SUMMARY", lambda choice: choice.summary, cut=True),
    ]
