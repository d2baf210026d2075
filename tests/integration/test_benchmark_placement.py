"""The benchmark of placement: it runs, and the daemon's choice is what its figures say."""

import json

import pytest

from benchmarks import placement


def test_it_tells_what_a_grant_costs_and_how_well_sets_are_connected(capsys: pytest.CaptureFixture[str]) -> None:
    placement.main(["-n", "20", "--jobs", "200"])
    *table, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)["results"]
    assert len(table) == 2 + len(found) + 2
    for values in found.values():
        assert values.get("p50_s", 1) > 0 and values.get("of_idle_share", 1) > 0
    for box in ("PCIe", "cube mesh"):
        shares = [found[f"{box}, {way}"]["of_idle_share"] for way in ("any", "lowest numbers", "best sum of pairs", "AIOS")]
        assert shares == sorted(shares), box
        assert shares[3] > 0.9
