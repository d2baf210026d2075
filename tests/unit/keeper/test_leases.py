"""What is in use is in use until the last one lets go, and for a sweep until the sweep is over."""

from aiosd.keeper.leases import Leases


def test_two_may_hold_the_same() -> None:
    leases = Leases()
    with leases.held() as first:
        with leases.held() as second:
            first.add({"a", "b"})
            second.add(["a", "a"])
            second.add(["a"])
        assert "a" in leases
        assert "c" not in leases
    assert "a" not in leases


def test_a_sweep_remembers_what_was_held_while_it_ran() -> None:
    leases = Leases()
    with leases.held() as before:
        before.add({"before"})
    with leases.remembering():
        with leases.held() as meanwhile:
            meanwhile.add({"meanwhile"})
        assert "meanwhile" in leases
        assert "before" not in leases
    assert "meanwhile" not in leases
