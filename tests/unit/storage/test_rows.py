"""Records survive the way into a row and back, field by field."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings

from aiosd.errors import StorageCorrupt
from aiosd.jobs.job import Job
from aiosd.storage import rows
from tests.unit.storage.samples import ARRAY, PLAIN, RICH, any_job, environment, live


def through_rows(job: Job) -> Job:
    spec = rows.spec_of(7, rows.spec_body(job.spec), rows.environment_of(job.spec.environment.digest, rows.variables_text(job.spec.environment)))
    row = rows.job_row(job, 7)
    return rows.job_of(tuple(row[name] for name in rows.READ_COLUMNS), {7: spec})  # type: ignore[literal-required]


@given(any_job)
@settings(max_examples=60, deadline=None)
def test_any_job_comes_back_equal(job: Job) -> None:
    back = through_rows(job)
    assert back == job
    assert dict(back.spec.environment.variables) == dict(job.spec.environment.variables)  # which `==` leaves out
    assert type(back.id) is type(job.id)


def test_the_sample_with_every_field_leaves_none_at_its_default() -> None:
    """Guards the round-trip tests: a field added to Job or JobSpec must be added to the sample."""
    plain = replace(live(1), revision=0)
    for record, default in ((RICH, plain), (RICH.spec, PLAIN)):
        same = [f.name for f in fields(record) if getattr(record, f.name) == getattr(default, f.name)]
        assert same == []
    assert through_rows(RICH) == RICH


def test_equal_specs_have_equal_text_whatever_the_order_of_their_sets_and_maps() -> None:
    one = replace(PLAIN, labels={"a": "1", "b": "2"})
    other = replace(PLAIN, labels={"b": "2", "a": "1"})
    assert rows.spec_body(one) == rows.spec_body(other)


def test_a_spec_row_does_not_repeat_the_environment() -> None:
    assert "SECRET" not in rows.spec_body(replace(PLAIN, environment=environment(SECRET="x")))


def test_the_row_of_an_array_element_stays_small_however_large_its_script() -> None:
    row = rows.job_row(live(1, 5, spec=replace(ARRAY, script="x" * 100_000)), 7)
    assert sum(len(str(value)) for value in row.values()) < 300


@pytest.mark.parametrize("labels", [{"a": "1"}, {"a": "1", "b": "2", "c": "3"}, {"a": "b\nc"}, {"": ""}, {'x"': '"y'}])
def test_a_label_is_found_in_the_text_of_its_job(labels: dict[str, str]) -> None:
    assert all(rows.label_line(k, v) in rows.labels_text(labels) for k, v in labels.items())


@pytest.mark.parametrize("other", [("a", "12"), ("a", ""), ("A", "1"), ("aa", "1"), ("1", "a"), ("", "")])
def test_a_label_the_job_does_not_have_is_not_found(other: tuple[str, str]) -> None:
    assert rows.label_line(*other) not in rows.labels_text({"a": "1", "b": 'a":"12', "c": '\n"a":"12"\n'})


@pytest.mark.parametrize("text", ["", "{", "null", '{"gid":"x"}', '{"gid":1,"run":{"grant":3}}'])
def test_a_row_that_cannot_be_read_says_which(text: str) -> None:
    row = rows.job_row(live(42), 7)
    row["state"] = text
    with pytest.raises(StorageCorrupt, match="job 42 that cannot be read"):
        rows.job_of(tuple(row[name] for name in rows.READ_COLUMNS), {7: PLAIN})  # type: ignore[literal-required]
