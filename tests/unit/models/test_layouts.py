"""A hub's card read and written: what is known of a model goes there and comes back, and nothing that is written there does harm."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiosd.errors import InvalidArgument
from aiosd.models.draft import Draft
from aiosd.models.layouts import Form, completed, form_named, read_card, written_card
from aiosd.models.vault_ports import Said
from aiosd.models.version import Commit, Kind

CARD = """---
license: apache-2.0
tags:
- vision
- digits
pipeline_tag: image-classification
language: en
model-index:
- name: digits
  results:
  - task: {type: image-classification}
    dataset: {name: MNIST, type: mnist}
    metrics:
    - {type: accuracy, value: 0.97}
  - dataset: {name: EMNIST}
    metrics:
    - {type: accuracy, value: 0.9}
    - {type: f1, value: not a number}
---

# Digits

They are read.
"""


def commit(**said: object) -> Commit:
    return Commit(kind=Kind.MODEL, manifest="0" * 64, **said)  # type: ignore[arg-type]


def test_what_a_card_says_is_known() -> None:
    said = read_card(CARD)
    assert said == Said(
        "apache-2.0", "# Digits\n\nThey are read.", "", {"pipeline_tag": "image-classification", "tags": "vision, digits"},
        {"accuracy": 0.97, "accuracy (EMNIST)": 0.9},
    )  # fmt: skip


def test_what_is_known_is_said_by_a_card() -> None:
    made = commit(licence="MIT", metrics={"accuracy": 0.5}, labels={"tags": "a, b", "team": "vision"}, card="# Mine")
    text = written_card(made, "vision/digits", CARD)
    front = yaml.safe_load(text.split("---")[1])
    assert (front["license"], front["tags"], front["language"]) == ("MIT", ["a", "b"], "en")
    assert front["model-index"][0]["name"] == "digits"
    assert text.endswith("# Mine\n")
    said = read_card(text)
    assert (said.licence, said.metrics, said.card, said.labels["tags"]) == ("MIT", {"accuracy": 0.5}, "# Mine", "a, b")


def test_a_version_that_says_nothing_keeps_its_own_card() -> None:
    assert read_card(written_card(commit(), "digits", CARD)) == read_card(CARD)
    assert written_card(commit(message="first"), "digits", "") == "# digits\n\nfirst\n"


@pytest.mark.parametrize(
    "text",
    ["", "---", "---\n---\n", "---\nno end", "---\n- a list\n---\nx", "---\n: {[\n---\nx", "---\n1: 2\n---\n", "---\n" + "[" * 5000 + "\n---\n",
     "---\ndate: 2024-99-99\n---\nx", "---\nmodel-index: 5\nlicense: {a: b}\n---\n", "---\nmodel-index: [{results: [{metrics: [{type: a, value: 1" + "0" * 400 + "}]}]}]\n---\n"],
)  # fmt: skip
def test_a_card_that_is_none_is_no_error(text: str) -> None:
    assert not read_card(text).metrics


@given(st.text(alphabet="-\n:[]{}&*!a1 #|>'\"", max_size=200))
def test_whatever_is_written_there_is_read(text: str) -> None:
    read_card(f"---\n{text}\n---\nbody")


def test_references_in_yaml_are_not_spelled_out() -> None:
    """A billion laughs are one list for us."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert read_card("---\n" + "\n".join([*lines, "license: *a39", "tags: *a39"]) + "\n---\n").labels == {}


def test_the_user_goes_before_the_card() -> None:
    draft = completed(Draft(model="digits", licence="MIT", metrics={"accuracy": 1.0}), read_card(CARD))
    assert (draft.licence, draft.metrics["accuracy"], draft.card, draft.labels["tags"]) == ("MIT", 1.0, "# Digits\n\nThey are read.", "vision, digits")
    assert completed(draft, None) is draft


def test_formats_have_names() -> None:
    assert (form_named(""), form_named("oci")) == (Form.BUNDLE, Form.OCI)
    with pytest.raises(InvalidArgument, match="no format 'zip'"):
        form_named("zip")
