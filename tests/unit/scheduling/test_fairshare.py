"""Shares of a machine, and usage that fades."""

import json
from math import inf, log, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosd.resources.pool import Pool
from aiosd.resources.request import DeviceRequest, Request
from aiosd.scheduling.fairshare import NOMINAL_S, Association, UsageLedger, dominant_share
from tests.unit.scheduling.worlds import GIB, ask, machine

ADA, BOB = Association("lab", "ada"), Association("", "bob")


def test_the_dominant_share_is_the_largest_fraction() -> None:
    box = machine(cpus=10, gpus=4, memory_gib=100)
    assert dominant_share(ask(1), box) == pytest.approx(0.1)
    assert dominant_share(ask(1, memory_gib=30), box) == pytest.approx(0.3)
    assert dominant_share(ask(1, gpus=2), box) == pytest.approx(0.5)
    assert dominant_share(ask(1, gpus=0.5), box) == pytest.approx(0.125)
    assert dominant_share(Request(100, GIB, (DeviceRequest("gpu", 1000), DeviceRequest("gpu", 2000))), box) == pytest.approx(0.75)
    assert dominant_share(Request(100, 0, exclusive=True), box) == 1.0
    assert dominant_share(Request(100, 0, (DeviceRequest("fpga", 1000),)), box) == pytest.approx(0.01)  # no such thing here


def test_a_grant_weighs_as_much_as_its_request() -> None:
    box = machine(cpus=10, gpus=4)
    grant = Pool(box).take(ask(3, gpus=2, memory_gib=1))
    assert grant is not None
    assert dominant_share(grant, box) == dominant_share(ask(3, gpus=2, memory_gib=1), box)


def test_usage_halves_in_a_half_life() -> None:
    ledger = UsageLedger(half_life_s=100.0)
    ledger.charge(ADA, 0.5, 0.0, 1.0)
    assert ledger.value(ADA, 101.0) == pytest.approx(ledger.value(ADA, 1.0) / 2)
    assert ledger.value(ADA, 1.0) == pytest.approx(0.5, rel=0.01)
    assert ledger.value(BOB, 1.0) == 0.0


def test_a_share_held_forever_tends_to_a_limit() -> None:
    ledger = UsageLedger(half_life_s=100.0)
    ledger.begin(ADA, 0.25, 0.0)
    assert ledger.value(ADA, 1e6) == pytest.approx(0.25 * 100 / log(2))


spans = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 500), st.floats(0, 500)), max_size=8)


@given(spans=spans)
def test_begin_and_finish_amount_to_a_charge(spans: list[tuple[float, float, float]]) -> None:
    live, booked = UsageLedger(200.0), UsageLedger(200.0)
    moments = sorted([(begin, 0, n) for n, (_, begin, _) in enumerate(spans)] + [(begin + length, 1, n) for n, (_, begin, length) in enumerate(spans)])
    for at, what, n in moments:
        share, begin, length = spans[n]
        if what == 0:
            live.begin(ADA, share, at)
        else:
            live.finish(ADA, share, begin, at)
            booked.charge(ADA, share, begin, begin + length)
    assert live.value(ADA, 2000.0) == pytest.approx(booked.value(ADA, 2000.0), rel=1e-6, abs=1e-6)


def test_what_goes_on_counts_a_nominal_hour_more() -> None:
    ledger = UsageLedger()
    ledger.begin(ADA, 0.5, 1000.0)
    assert ledger.usage(1000.0) == {ADA: pytest.approx(0.5 * NOMINAL_S)}
    ledger.finish(ADA, 0.5, 1000.0, 1001.0)
    assert ledger.usage(1001.0)[ADA] == pytest.approx(0.5, rel=0.01)


def test_a_run_readopted_late_counts_from_its_beginning() -> None:
    early, late = UsageLedger(100.0), UsageLedger(100.0)
    early.begin(ADA, 1.0, 0.0)
    late.charge(ADA, 0.0, 0.0, 50.0)  # its account stands at 50 already
    late.begin(ADA, 1.0, 0.0)
    assert late.value(ADA, 80.0) == pytest.approx(early.value(ADA, 80.0))


def test_a_clock_that_went_back_neither_charges_nor_fades() -> None:
    ledger = UsageLedger(100.0)
    ledger.charge(ADA, 1.0, 0.0, 10.0)
    before = ledger.value(ADA, 10.0)
    ledger.charge(ADA, 1.0, 10.0, 5.0)
    assert ledger.value(ADA, 3.0) == pytest.approx(before)


def test_it_is_stored_as_plain_json() -> None:
    ledger = UsageLedger(100.0)
    ledger.charge(ADA, 0.5, 0.0, 60.0)
    again = UsageLedger.from_dict(json.loads(json.dumps(ledger.to_dict())), 100.0)
    assert again.value(ADA, 90.0) == pytest.approx(ledger.value(ADA, 90.0))


def test_what_was_stored_wrongly_is_left_out() -> None:
    stored = {"a": [1.0], "b": "x", "c": [nan, 1], "d": [1, inf], "e": [-1, 1], "f": None, "good": [2, 0]}
    assert UsageLedger.from_dict(stored, 100.0).usage(0.0) == {Association("", "good"): 2.0}


def test_a_half_life_must_be_positive() -> None:
    with pytest.raises(ValueError, match="half-life"):
        UsageLedger(0.0)
