"""What other houses say of a model beside its files, and how what we know reads there: Hugging Face's card first of all."""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from math import isfinite
from typing import Any

from aiosd.errors import InvalidArgument
from aiosd.models.draft import MOST_CARD, MOST_LABELS, MOST_METRICS, Draft
from aiosd.models.vault_ports import Said
from aiosd.models.version import Commit

README = "README.md"
MOST_FRONT = 256 << 10  # characters of front matter
_FENCE = "---"
_TAGS = "tags"  # the label in which tags of a hub are kept, with commas between
_SINGLE = ("pipeline_tag", "library_name", "base_model")  # what a card says in one word, kept as labels of that name


class Form(StrEnum):
    """How versions lie in a file or directory."""

    BUNDLE = "bundle"  # ours, with all that a version is
    OCI = "oci"  # an image layout with a ModelPack
    HF = "hf"  # the files of a hub's repository, or a snapshot in its cache


def form_named(text: str) -> Form:
    """ "" is a bundle. Raises InvalidArgument."""
    try:
        return Form(text or Form.BUNDLE)
    except ValueError:
        raise InvalidArgument(f"there is no format {text[:40]!r}", hint=f"choose one of {', '.join(Form)}", field="format", given=text[:40]) from None


def completed(draft: Draft, said: Said | None) -> Draft:
    """What the user says goes before what the files say. Raises InvalidArgument, as a draft does."""
    if said is None:
        return draft
    return replace(
        draft, licence=draft.licence or said.licence, card=draft.card or said.card, description=draft.description or said.description,
        labels={**said.labels, **draft.labels}, metrics={**said.metrics, **draft.metrics},
    )  # fmt: skip


# The card of a hub: Markdown behind YAML


def read_card(text: str) -> Said:
    """A README.md. Front matter that is none, or says nothing that we know, is no error: it is kept as a file all the same."""
    front, body = _parted(text)
    given = _mapping(front)
    labels = {name: given[name] for name in _SINGLE if isinstance(given.get(name), str)}
    tags = [tag for tag in _list(given.get(_TAGS)) if isinstance(tag, str)]
    if tags:
        labels[_TAGS] = ", ".join(tags)
    licence = ", ".join(one for one in _list(given.get("license", given.get("licence"))) if isinstance(one, str))
    return Said(licence[:1000], body.strip()[:MOST_CARD], "", dict(list(labels.items())[:MOST_LABELS]), dict(list(_metrics(given).items())[:MOST_METRICS]))


def written_card(commit: Commit, name: str, there: str) -> str:
    """The README.md of a version; `there`: the one among its files, whose words stay where we know nothing better."""
    front, body = _parted(there)
    given = dict(_mapping(front))
    if commit.licence:
        given["license"] = commit.licence
    tags = [tag.strip() for tag in commit.labels.get(_TAGS, "").split(",") if tag.strip()]
    if tags:
        given[_TAGS] = tags
    given |= {key: commit.labels[key] for key in _SINGLE if key in commit.labels}
    if commit.metrics:
        given["model-index"] = [_index(commit, name)]
    import yaml

    text = commit.card or body.strip() or f"# {name}\n\n{commit.message}".strip()
    if not given:
        return text + "\n"
    return f"{_FENCE}\n{yaml.safe_dump(given, sort_keys=False, allow_unicode=True)}{_FENCE}\n\n{text}\n"


def _index(commit: Commit, name: str) -> dict[str, Any]:
    """As the hub has it: metrics belong to a task and a dataset; ours are of neither that we could name."""
    result = {
        "task": {"type": commit.labels.get("pipeline_tag", "other")},
        "dataset": {"name": "unknown", "type": "unknown"},
        "metrics": [{"type": metric, "name": metric, "value": value} for metric, value in sorted(commit.metrics.items())],
    }
    return {"name": name.rpartition("/")[2], "results": [result]}


def _parted(text: str) -> tuple[str, str]:
    """Front matter and body."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.startswith(f"{_FENCE}\n"):
        return "", text
    front, fence, body = text[len(_FENCE) + 1 :].partition(f"\n{_FENCE}\n")
    if not fence:
        front, fence, body = text[len(_FENCE) + 1 :].removesuffix("\n").rpartition(f"\n{_FENCE}")
    return (front, body) if fence else ("", text)


def _mapping(front: str) -> Mapping[str, Any]:
    """Nothing for what is no YAML, or far too much of it."""
    import yaml

    if len(front) > MOST_FRONT:
        return {}
    try:
        given = yaml.safe_load(front)
    except (yaml.YAMLError, RecursionError, ValueError):  # ValueError: a date that is none
        return {}
    return {key: value for key, value in given.items() if isinstance(key, str)} if isinstance(given, dict) else {}


def _metrics(given: Mapping[str, Any]) -> dict[str, float]:
    """Of the model-index: by type, with the dataset's name where two have the same."""
    found: dict[str, float] = {}
    for model in _list(given.get("model-index")):
        for result in _list(_get(model, "results")):
            dataset = _get(_get(result, "dataset"), "name")
            for metric in _list(_get(result, "metrics")):
                name, value = _get(metric, "type"), _get(metric, "value")
                if isinstance(name, str) and name and isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value):
                    found[f"{name} ({dataset})" if name in found else name] = float(value)
    return found


def _is_finite(value: float) -> bool:
    try:
        return isfinite(value)
    except OverflowError:
        return False


def _get(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
