"""Fair Tree: the ranks that Slurm and Flux print for published trees, and what it does with trees that make no sense."""

from collections.abc import Mapping
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.resources.pool import Pool
from aiosd.scheduling.fair import fair
from aiosd.scheduling.fairshare import Association
from aiosd.scheduling.fairtree import FairTree, Node, preorder
from aiosd.scheduling.rules import AccountSettings, SchedulingRules
from tests.unit.scheduling.worlds import ask, decide, key, machine, started, waiting

SLURM = (  # account, parent, shares, {user: (shares, usage)}
    ("aA", "", 40, {}),
    ("aAA", "aA", 30, {"uAA1": (1, 20)}),
    ("aAB", "aA", 10, {"uAB1": (1, 25), "uAB2": (1, 0)}),
    ("aB", "", 60, {}),
    ("aBA", "aB", 25, {"uBA1": (1, 25)}),
    ("aBB", "aB", 35, {"uBB1": (1, 0)}),
    ("aC", "", 0, {"uC1": (0, 30)}),
    ("aD", "", 50, {"uD1": (0, 20), "uDA1": (0, 10), "uD2": (40, 20), "uD3": (50, 25), "uDA2": (30, 10), "uDA3": (50, 25)}),
    ("aE", "", 10, {"aE1": (10, 0), "aE2": (10, 0)}),
    ("aF", "", 20, {"uF1": (10, 0), "uF2": (20, 0)}),
    ("aG", "", 8, {"uG1": (10, 10)}),
    ("aGA", "aG", 10, {"uGA1": (20, 4), "uGA2": (20, 6)}),
)
LEVEL_FS = {
    "aA": 1.025641, "aAA": 1.687500, "aAB": 0.450000, "aB": 2.769231, "aBA": 0.416667, "aBB": inf, "aC": 0.0, "aD": 0.524476, "aE": inf, "aF": inf,
    "aG": 0.461538, "aGA": 1.0, "u1": inf, "u2": 1.153846, "uAA1": 1.0, "uAB1": 0.5, "uAB2": inf, "uBA1": 1.0, "uBB1": inf, "uC1": 0.0,
    "uD2": 1.294118, "uD3": 1.294118, "uDA2": 1.941176, "uDA3": 1.294118, "aE1": inf, "aE2": inf, "uF1": inf, "uF2": inf,
    "uG1": 1.0, "uGA1": 1.25, "uGA2": 0.833333,
}  # fmt: skip
FAIRSHARE = {
    "u1": 1.0, "aE1": 1.0, "aE2": 1.0, "uF1": 1.0, "uF2": 1.0, "uBB1": 0.761905, "uBA1": 0.714286, "u2": 0.666667, "uAA1": 0.619048, "uAB2": 0.571429,
    "uAB1": 0.523810, "uG1": 0.190476, "uGA1": 0.190476, "uGA2": 0.095238, "uC1": 0.047619,
}  # fmt: skip


def tree(rows: object, own: Mapping[str, tuple[float, float]]) -> tuple[FairTree, dict[str, Node]]:
    accounts, usage = {}, {Association("", user): used for user, (_, used) in own.items()}
    for name, parent, shares, users in rows:  # type: ignore[attr-defined]
        accounts[name] = AccountSettings(name, parent, shares, {user: due for user, (due, _) in users.items()})
        usage |= {Association(name, user): used for user, (_, used) in users.items()}
    made = FairTree(accounts, {user: due for user, (due, _) in own.items()}, usage)
    return made, {node.name: node for node, _ in preorder(made.root)}


def test_slurms_own_example() -> None:
    """The tree of Slurm's test 24.4 (R. Cox and L. Morrison, 2014), with what its sshare prints.

    uD1 and uDA1 have the shares of their parent there, which we do not have; here they have none, so that what they used counts the
    same, and they are the last of account aD instead of the first. uD2, uD3 and uDA3 are tied where nothing is rounded.
    """
    made, nodes = tree(SLURM, {"u1": (10, 0), "u2": (10, 10)})
    for name, level_fs in LEVEL_FS.items():
        claim = nodes[name].level_claim
        assert (1 / claim if claim else inf) == pytest.approx(level_fs, abs=1e-6), name
    factors = {node.name: standing.factor for node, standing in made.standings().items()}
    assert len(factors) == 21
    for name, factor in FAIRSHARE.items():
        assert factors[name] == pytest.approx(factor, abs=1e-6), name
    assert [round(21 * factors[user]) for user in ("uDA2", "uD2", "uD3", "uDA3", "uD1", "uDA1")] == [10, 9, 9, 9, 6, 6]


def flux(third: tuple[float, Mapping[str, tuple[float, float]]]) -> dict[str, float]:
    ones = {"1.1": (10_000, 100), "1.2": (1_000, 10), "1.3": (100_000, 10)}
    twos = {"2.1": (10_000, 10), "2.2": (1_000, 1), "2.3": (100_000, 1)}
    made, _ = tree((("account1", "", 1000, ones), ("account2", "", 100, twos), ("account3", "", third[0], third[1])), {})
    return {node.name: round(standing.factor, 6) for node, standing in made.standings().items()}


def test_tied_accounts_are_merged() -> None:
    """The trees small_tie and small_tie_all of flux-accounting, with the fair shares that it prints."""
    assert flux((10, {"3.1": (100, 0), "3.2": (10, 1)})) == {
        "1.1": 0.5, "1.2": 0.5, "1.3": 0.75, "2.1": 0.5, "2.2": 0.5, "2.3": 0.75, "3.1": 1.0, "3.2": 0.875,
    }  # fmt: skip
    all_tied = flux((10_000, {"3.1": (10_000, 1000), "3.2": (1_000, 100), "3.3": (100_000, 100)}))
    assert all_tied == {f"{a}.{u}": (1.0 if u == 3 else 0.666667) for a in (1, 2, 3) for u in (1, 2, 3)}


def test_without_ties() -> None:
    """The tree small_no_tie of flux-accounting."""
    rows = (
        ("account1", "", 1000, {"1.1": (10_000, 100), "1.2": (1_000, 11), "1.3": (100_000, 10)}),
        ("account2", "", 100, {"2.1": (100_000, 8), "2.2": (10_000, 3)}),
        ("account3", "", 10, {"3.1": (100, 0), "3.2": (10, 1)}),
    )
    made, _ = tree(rows, {})
    factors = {node.name: round(standing.factor * 7) for node, standing in made.standings().items()}
    assert factors == {"1.1": 2, "1.2": 1, "1.3": 3, "2.1": 5, "2.2": 4, "3.1": 7, "3.2": 6}


def test_accounts_that_make_no_sense_are_the_roots() -> None:
    accounts = {
        "ring": AccountSettings("ring", "round"),
        "round": AccountSettings("round", "ring"),
        "self": AccountSettings("self", "self"),
        "lost": AccountSettings("lost", "nowhere", nan, {"ada": -1.0}),
    }
    usage = {Association("ring", "bob"): nan, Association("self", "bob"): inf, Association("lost", "ada"): 5.0, Association("gone", "eve"): 2.0}
    made = FairTree(accounts, {}, usage)
    assert {node.name for node, depth in preorder(made.root) if not node.is_user} == set(accounts)
    assert made.leaf(Association("gone", "eve")) is made.leaf(Association("", "eve"))
    assert made.root.usage == 7.0
    assert made.standings()[made.leaf(Association("lost", "ada"))].rank == 4, "an account without shares goes last"


def test_nobody_and_nothing() -> None:
    assert FairTree({}, {}, {}).standings() == {}
    zero = FairTree({}, {"ada": 0.0, "bob": 0.0}, {Association("", "ada"): 1.0, Association("", "bob"): 0.0})
    assert {standing.rank for standing in zero.standings().values()} == {1}, "shares of nothing are equal"


amounts = st.sampled_from([0.0, 1.0, 2.0, 3.0, 10.0])
LEAVES = [Association(account, user) for account in ("a", "ab", "c", "") for user in ("ada", "bob", "eve")]


@given(shares=st.lists(amounts, min_size=3, max_size=3), usage=st.dictionaries(st.sampled_from(LEAVES), amounts))
def test_whoever_goes_first_takes_all_below_with_it(shares: list[float], usage: dict[Association, float]) -> None:
    """The property that gives Fair Tree its name: of two sibling accounts that are not tied, all of one go before all of the other."""
    accounts = {"a": AccountSettings("a", "", shares[0]), "ab": AccountSettings("ab", "a", shares[1]), "c": AccountSettings("c", "", shares[2])}
    made = FairTree(accounts, {}, usage)
    standings = made.standings()
    for parent in (made.root, *(node for node, _ in preorder(made.root))):
        siblings = [node for node in parent.accounts.values() if any(child.is_user for child, _ in preorder(node))]
        for one in siblings:
            for other in siblings:
                if one.level_claim < other.level_claim:
                    worst = max(standings[node].rank for node, _ in preorder(one) if node.is_user)
                    assert worst < min(standings[node].rank for node, _ in preorder(other) if node.is_user)


@given(usage=st.dictionaries(st.sampled_from(LEAVES), amounts), jobs=st.lists(st.sampled_from(LEAVES), min_size=1, max_size=12))
def test_the_policy_starts_by_rank_and_charges_each_start(usage: dict[Association, float], jobs: list[Association]) -> None:
    """Against the definition: before every start, the ranks anew. Where a user is tied with an account, either may be next."""
    accounts = {"a": AccountSettings("a", "", 2.0), "ab": AccountSettings("ab", "a"), "c": AccountSettings("c", "", 3.0)}
    classes: dict[Association, list[int]] = {}
    for number, whose in enumerate(jobs):
        classes.setdefault(whose, []).append(number)
    shown = [waiting(key(ask(1), user=whose.user, account=whose.account), *numbers) for whose, numbers in classes.items()]
    plan = decide(fair, Pool(machine(cpus=8)), shown, usage=usage, rules=SchedulingRules(accounts=accounts))
    made = FairTree(accounts, {}, usage)
    for whose in classes:
        made.leaf(whose)
    for number in started(plan):
        whose = jobs[number]
        ranks = {made.leaf(other): made.standings()[made.leaf(other)].rank for other, numbers in classes.items() if numbers}
        assert ranks[made.leaf(whose)] == min(ranks.values())
        assert classes[whose].pop(0) == number
        made.charge(made.leaf(whose), 3600.0 / 8)
    assert len(plan.starts) == min(8, len(jobs))
