"""Who may preempt whom, whatever an operator has written down."""

from hypothesis import given
from hypothesis import strategies as st

from aiosd.scheduling.policy import ClassKey
from aiosd.scheduling.rights import Rights
from aiosd.scheduling.rules import QosSettings, QueueSettings, SchedulingRules
from tests.unit.scheduling.worlds import ask

NAMES = "abcde"
NAME_SETS = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
KEYS = st.builds(
    lambda queue, qos, priority, preemptible: ClassKey(queue, "u", "", priority, ask(), qos=qos, preemptible=preemptible),
    st.sampled_from(NAMES),
    st.sampled_from(["", *NAMES]),
    st.integers(-2, 2),
    st.booleans(),
)


def key(queue: str = "a", *, qos: str = "", priority: int = 0, preemptible: bool = False) -> ClassKey:
    return ClassKey(queue, "u", "", priority, ask(), qos=qos, preemptible=preemptible)


def rights(queues: dict[str, tuple[str, ...]] | None = None, qos: dict[str, tuple[str, ...]] | None = None, **priorities: int) -> Rights:
    known = {name: QueueSettings(name, priority=priorities.get(name, 0), preempts=(queues or {}).get(name, ())) for name in NAMES}
    return Rights(known, SchedulingRules(qos={name: QosSettings(name, preempts=names) for name, names in (qos or {}).items()}))


def test_a_queue_preempts_those_it_names() -> None:
    found = rights({"a": ("b",), "b": ("c",)})
    assert found.over(key("a"), key("b")) and found.over(key("b"), key("c"))
    assert not found.over(key("b"), key("a")) and not found.over(key("a"), key("a"))
    assert not found.over(key("a"), key("c")), "only those it names"


def test_queues_that_preempt_each_other_in_a_circle_do_not() -> None:
    found = rights({"a": ("b", "d"), "b": ("c",), "c": ("a",)})
    assert not any(found.over(key(one), key(other)) for one in "abc" for other in "abc")
    assert found.over(key("a"), key("d")) and not found.over(key("d"), key("a"))


def test_a_quality_of_service_preempts_across_queues_but_not_upwards() -> None:
    found = rights({"a": ("b",)}, {"urgent": ("scavenger",)})
    assert found.over(key("b", qos="urgent"), key("b", qos="scavenger")) and found.over(key("c", qos="urgent"), key("d", qos="scavenger"))
    assert not found.over(key("b", qos="urgent"), key("a", qos="scavenger")), "its queue stands higher"
    assert not found.over(key("a"), key("b", qos="urgent")), "its quality of service stands higher"


def test_who_is_preemptible_makes_room_for_any_higher_priority() -> None:
    found = rights(b=5)
    assert found.over(key(priority=1), key(preemptible=True)) and not found.over(key(), key(preemptible=True))
    assert found.over(key("b"), key("a", priority=4, preemptible=True)) and not found.over(key("b"), key("a", priority=5, preemptible=True))
    assert not found.over(key(priority=9), key())


@given(
    queues=st.dictionaries(st.sampled_from(NAMES), NAME_SETS),
    qos=st.dictionaries(st.sampled_from(NAMES), NAME_SETS),
    keys=st.lists(KEYS, min_size=2, max_size=6),
    priority=st.integers(-2, 2),
)
def test_whoever_preempts_stands_higher(queues: dict[str, tuple[str, ...]], qos: dict[str, tuple[str, ...]], keys: list[ClassKey], priority: int) -> None:
    """And so no chain of preemptions comes back to where it began."""
    found = rights(queues, qos, b=priority)
    for one in keys:
        for other in keys:
            assert not found.over(one, other) or found.standing(one) > found.standing(other)
