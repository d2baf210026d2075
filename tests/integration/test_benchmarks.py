"""Each benchmark, at a size where its figures mean nothing: it runs, cleans up behind it, and its last line is what a machine can read."""

import json
from pathlib import Path

import pytest

from benchmarks import (
    floors,
    footprint,
    forecast,
    isolation,
    latency,
    machine,
    model_bundles,
    model_transfer,
    model_turns,
    models,
    peers,
    simulation,
    throughput,
)
from benchmarks.report import aligned, seconds

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where every temporary directory of a benchmark is made; the name is short, for the socket's sake. Nothing is waited for to settle."""
    monkeypatch.setattr("tempfile.tempdir", None)
    for pause in ((footprint, "_SETTLE_S"), (isolation, "_SETTLE_S"), (machine, "_LOOK_S"), (model_turns, "_ALONE_S")):
        monkeypatch.setattr(*pause, 0.1)
    return tmp_path


def found(capsys: pytest.CaptureFixture[str], name: str) -> dict[str, dict[str, float]]:
    """The results of the last line, after a table that shows each of them."""
    *table, line = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert told["benchmark"] == name
    assert told["facts"]["cpus"] == machine.cpus()
    assert len(table) == 2 + len(told["results"]) + len(told["notes"])
    results: dict[str, dict[str, float]] = told["results"]
    return results


def test_throughput_counts_every_way_beside_its_floor(capsys: pytest.CaptureFixture[str]) -> None:
    throughput.main(["-n", "10", "-k", "1", "--history", "20", "--queued", "20"])
    results = found(capsys, "throughput")
    plain = {"floor_python", *throughput.WAYS}
    assert plain <= results.keys()
    assert {"array, 20 finished", "array, 20 in a stopped queue", "singles, queue opened at 0 s, 20 behind"} <= results.keys()
    assert all(results[key]["jobs_per_s"] > 0 for key in results)
    assert results["array, 20 finished"]["of_plain"] == pytest.approx(results["array, 20 finished"]["jobs_per_s"] / results["array"]["jobs_per_s"], rel=0.1)
    assert results["array"]["daemon_cpu_ms"] > 0


def test_throughput_refuses_jobs_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "TRUE", "/bin/false")
    with pytest.raises(RuntimeError, match="0 of 3 jobs succeeded"):
        throughput.main(["-n", "3", "-k", "1", "--ways", "array"])


def test_throughput_runs_the_peers_that_are_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(peers, "found", lambda: ({"somebody": lambda count, slots, command: count * 0.5}, ["somebody else is not installed"]))
    throughput.main(["-n", "3", "-k", "1", "--ways", "batch", "--peers"])
    results = found(capsys, "throughput")
    assert results["somebody"]["jobs_per_s"] == 2.0
    assert "array" not in results


def test_latency_tells_every_figure_with_its_floor(capsys: pytest.CaptureFixture[str]) -> None:
    latency.main(["-n", "3", "--commands", "1", "--starts", "1", "--cold", "0"])
    results = found(capsys, "latency")
    for slow, floor in (("first_act", "first_act_floor"), ("submit", "empty_call"), ("ps", "python"), ("known_end", "first_act")):
        assert results[slow]["p99_s"] >= results[slow]["p50_s"] > 0
        assert results[slow]["p99_s"] > results[floor]["least_s"] > 0, slow
    assert results["start"]["n"] == 1


def test_footprint_weighs_each_thing(capsys: pytest.CaptureFixture[str]) -> None:
    footprint.main(["--elements", "100", "--sleepers", "3", "--idle", "0.5", "--history", "20", "--queued", "20", "-k", "1"])
    results = found(capsys, "footprint")
    assert results["idle"]["rss_bytes"] > results["idle"]["private_bytes"] > 0
    assert results["shim"]["private_bytes"] < results["idle"]["private_bytes"]
    assert results["idle_daemon"]["cpu_s_per_minute"] >= 0
    assert {"queued_100", "submit_100", "running_3", "start_history_20", "start_queued_20"} <= results.keys()


def test_isolation_compares_each_variant_with_the_bare_shim(capsys: pytest.CaptureFixture[str]) -> None:
    isolation.main(["-n", "5", "-k", "1", "--variants", "bare", "cell", "tmp", "--running", "3", "--watch", "0.5"])
    results = found(capsys, "isolation")
    chosen, _ = isolation.possible(["bare", "cell", "tmp"])
    assert results.keys() == {*chosen, "watch_cell", "watch_measured"}
    assert results["bare"]["of_bare"] == 1.0
    assert all(results[key]["jobs_per_s"] > 0 for key in chosen)
    assert all(0 <= results[key]["share_of_a_core"] < 1 for key in ("watch_cell", "watch_measured"))


@pytest.mark.parametrize("size", ["0", "-3", "many", "1.5"])
def test_a_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        throughput.main(["-n", size])
    assert exit_.value.code == 2
    assert f"'{size}' is not a whole number from 1" in capsys.readouterr().err


def test_the_first_act_of_a_program_is_after_its_start(tmp_path: Path) -> None:
    program = floors.compiled(floors.FIRST_ACT_C, tmp_path, "first-act")
    command = [str(program)] if program else ["/bin/date", "+%s.%N"]
    assert 0 < floors.first_act_s(command) < 10


def test_without_a_compiler_there_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert floors.compiled(floors.LOOP_C, tmp_path, "loop") is None


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (machine.percentile(values, 50), machine.percentile(values, 99), machine.percentile([7.0], 99)) == (50.0, 99.0, 7.0)
    with pytest.raises(ValueError, match="of nothing"):
        machine.percentile([], 50)


def test_a_table_is_aligned_and_times_have_a_unit() -> None:
    assert aligned([("", "jobs/s"), ("floor", "5"), ("all", "1234")]) == ["       jobs/s", "floor       5", "all      1234"]
    assert [seconds(value) for value in (12.3456, 0.01234, 0.0000567)] == ["12.3 s", "12.3 ms", "57 us"]


def test_a_forecast_is_timed_in_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    forecast.main(["--jobs", "200", "--policy", "fifo"])
    results = found(capsys, "forecast")
    assert results.keys() == {"read", "fit", "theory", "replay", "target"}
    assert all(result["cpu_s"] > 0 for result in results.values())
    assert results["replay"]["jobs"] == 200


def test_simulation_counts_jobs_and_compares_policies(capsys: pytest.CaptureFixture[str]) -> None:
    simulation.main(["--jobs", "40", "--table"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) > 2 + len(simulation.POLICIES)
    simulation.main(["--jobs", "40", "--sample", "20"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["benchmark"] == "simulation"
    assert all(result["jobs_per_s"] > 0 for result in told["results"].values())


def test_models_are_measured_beside_their_floors(capsys: pytest.CaptureFixture[str]) -> None:
    models.main(["--mib", "8", "--files", "20", "-k", "1"])
    results = found(capsys, "models")
    versions = {f"register {name}" for name in models.variants(8 << 20)}
    assert {"cp", "BLAKE3", *versions, "again new", "give new", "small", "turn 0 alone", "turn 0 copy", "turn 0", "turn 1", "memory"} <= results.keys()
    assert results["again new"]["stored_bytes"] == 0
    assert results["register frozen"]["stored_bytes"] < 0.55 * (8 << 20)


def test_bundles_are_measured_beside_a_copy(capsys: pytest.CaptureFixture[str]) -> None:
    model_bundles.main(["--mib", "2", "-k", "1"])
    results = found(capsys, "model_bundles")
    ways = {f"{way} {form}" for way in ("export", "import") for form in ("bundle", "oci", "hf")}
    assert set(results) == {"cp", "memory"} | ways
    assert all(results[way]["took_s"] > 0 for way in ways)


def test_model_transfer_sends_what_is_new_beside_its_floors(capsys: pytest.CaptureFixture[str]) -> None:
    model_transfer.main(["--mib", "16"])
    results = found(capsys, "model_transfer")
    assert {"cp", "bare_stream", "register", "push", "push_again", "push_1_percent", "upload", "download"} == results.keys()
    assert results["push"]["sent_bytes"] >= 16 << 20
    assert results["push_again"]["sent_bytes"] == 0
    assert results["push_1_percent"]["sent_bytes"] < 3 << 20
