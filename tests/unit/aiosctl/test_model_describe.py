"""How versions read in one cell: metrics, also those that were measured of the version it was made from."""

from aiosctl.model_describe import metric_rows, metrics

MEASURED = {"accuracy": 0.97, "size_bytes": 1024.0, "original.accuracy": 0.98, "original.size_bytes": 4096.0, "original.mood": 1.0}


def test_metrics_in_a_cell_are_those_of_the_version_itself() -> None:
    assert metrics(MEASURED) == "accuracy=0.97 original.mood=1 size_bytes=1KiB"


def test_metrics_in_rows_say_what_they_were() -> None:
    assert metric_rows(MEASURED) == [("accuracy", "0.97  (was 0.98)"), ("original.mood", "1"), ("size_bytes", "1KiB  (was 4KiB)")]
