"""Models are found by words and by their tensors: the fake, SQLite's FTS5 and PostgreSQL's text search find the same, whatever is typed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiosd.errors import InvalidArgument
from aiosd.models import searching
from aiosd.models.model import Model
from aiosd.models.ports import ModelChanges, ModelQuery
from aiosd.models.version import Kind
from aiosd.storage import model_text
from aiosd.storage.check import check_database
from aiosd.storage.repair import repair_database
from tests.contract.test_model_store import DATABASES, DIGITS, MANIFEST, Bench, chain, changes, commit, open_kind, to, version
from tests.fakes.models import FakeModelStore

ENCODER = ["encoder.0.weight", "encoder.0.bias", "encoder.11.weight", "pooler"]
TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ab\"'*-+^():.:\\ %_\0 ÅÄßİ١🦊中")), max_size=60)


@pytest.fixture(params=["fake", *DATABASES])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_kind(request.param, request, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_kind(request.param, request, tmp_path)
    yield made
    made.close()


def names(bench: Bench, **query: Any) -> list[str]:
    return [model.name for model in bench.do(bench.store.models(ModelQuery(**query)))]


def named(name: str, description: str = "", kind: Kind = Kind.MODEL) -> Model:
    return replace(DIGITS, name=name, description=description, kind=kind)


def test_words_are_found_wherever_they_stand(bench: Bench) -> None:
    one = version(message="Fewer layers", labels={"team": "vision"}, card="# Sécurité\nTrained on MNIST.", licence="Apache-2.0")
    bench.commit(changes(one, models=[named(DIGITS.name, "Ziffern für 🦊"), named("speech/whisper")], tensors={MANIFEST.digest: ENCODER}))
    for text in ("digits", "DIG", "ziffern", "FUR", "🦊", "layers fewer", "team", "accuracy", "securite", "mnist", "apache", "onnx", "pooler", "enc bias"):
        assert names(bench, text=text) == [DIGITS.name], text
    for text in ("igits", "whisperer", "digits absent", "***", '"', "🐻", "fewerlayers"):
        assert names(bench, text=text) == [], text
    assert names(bench, text="digits", kind=Kind.DATASET) == []
    assert names(bench, text="digits", format="gguf") == []
    assert names(bench, text="digits", format="onnx") == [DIGITS.name]


def test_what_fits_best_comes_first(bench: Bench) -> None:
    found = [named("b", "about vision"), named("vision-base"), named("a", "vision"), named("visionary"), named("z")]
    said = version(model="z", message="better vision")
    bench.commit(ModelChanges(models=found, versions=[(said, said.commit.encode())], manifests={MANIFEST.digest: MANIFEST.encode()}))
    assert names(bench, text="vision") == ["vision-base", "visionary", "a", "b", "z"]
    assert names(bench) == ["a", "b", "vision-base", "visionary", "z"]


def test_the_index_goes_with_what_it_is_about(bench: Bench) -> None:
    one, two = chain(2)
    bench.commit(changes(one, two, tensors={MANIFEST.digest: ENCODER}))
    bench.commit(ModelChanges(models=[named(DIGITS.name, "numerals")]))
    assert names(bench, text="ziffern") == []
    assert names(bench, text="numerals versuch") == [DIGITS.name]
    bench.commit(ModelChanges(models=[named("copy")], versions=[(replace(one, model="copy"), one.commit.encode())]))
    bench.commit(ModelChanges(gone_models=[(Kind.MODEL, DIGITS.name)]))
    assert names(bench, text="versuch") == ["copy"]
    assert names(bench, tensor="pooler") == ["copy"]
    bench.commit(ModelChanges(gone_models=[(Kind.MODEL, "copy")], gone_manifests=[MANIFEST.digest]))
    bench.commit(ModelChanges(gone_manifests=[MANIFEST.digest]))
    assert names(bench, text="versuch") == names(bench, tensor="pooler") == []
    if bench.journal is not None:
        left = bench.do(bench.journal.read(lambda tx: [tx.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar() for t in ("model_text", "tensor_names")]))
        assert left == [0, 0]


def test_tensors_are_found_by_patterns(bench: Bench) -> None:
    one, two = version(1), version(2, manifest="other", metrics={"accuracy": 0.5})
    body = MANIFEST.encode()
    bench.commit(ModelChanges(
        models=[DIGITS], versions=[(each, each.commit.encode()) for each in (one, two)], manifests={MANIFEST.digest: body, "other": body},
        tensors={MANIFEST.digest: ENCODER, "other": ["decoder"]},
    ))  # fmt: skip
    for pattern in ("pooler", "encoder.*.weight", "encoder.?.bias", "*", "encoder.[01]*", "decoder"):
        assert names(bench, tensor=pattern) == [DIGITS.name], pattern
    for pattern in ("pool", "*.pooler", "encoder", "Pooler", "[", "\n", "*" * 200 + "x"):
        assert names(bench, tensor=pattern) == [], pattern
    assert names(bench, tensor="decoder", metrics=(("accuracy", "<", 0.6),)) == [DIGITS.name]  # of one and the same version
    assert names(bench, tensor="pooler", metrics=(("accuracy", "<", 0.6),)) == []


def test_a_hundred_thousand_tensors_take_little_room(database: Bench) -> None:
    many = searching.kept_names([f"model.layers.{at // 100}.block_{at % 100}.self_attention.projection.weight" for at in range(100_000)])
    assert 60_000 < len(many) < 100_000
    database.commit(changes(*chain(3), tensors={MANIFEST.digest: many}))
    assert database.journal is not None
    sizes = database.do(database.journal.read(lambda tx: [tx.exec_driver_sql(f"SELECT sum(length({c})) FROM {t}").scalar() for c, t in _COLUMNS]))
    assert sum(sizes) < 1 << 20
    assert names(database, tensor="*.599.block_99.*") == names(database, text="projection 599") == [DIGITS.name]


_COLUMNS = (("body", "tensor_names"), ("words", "model_text"))


@pytest.mark.parametrize(
    "text", ["a " * 5000, "x" * 10_000, " ".join(map(str, range(20))), "NEAR(a, b)", 'a" OR "b', "a* AND b", "n:a -b ^c", "'':* & !a", "\0"]
)
def test_what_looks_like_a_query_is_words(bench: Bench, text: str) -> None:
    bench.commit(ModelChanges(models=[named("x", text)]))
    assert names(bench, text=text) == (["x"] if text.strip("\0") else [])
    with pytest.raises(InvalidArgument, match="21 words, and 20 are allowed"):
        names(bench, text=" ".join(map(str, range(21))))


def test_all_stores_find_the_same(database: Bench) -> None:
    fake = Bench(FakeModelStore(), database.runner)

    @given(texts=st.lists(TEXTS, min_size=3, max_size=3), asked=TEXTS)
    @example(texts=["ﬃ", "İ", "ß"], asked="FFI")
    @example(texts=["a'b\\c", 'd"e', "🦊中"], asked="🦊")
    @settings(max_examples=20, deadline=None)
    def agree(texts: Sequence[str], asked: str) -> None:
        said = version(model="a", message=texts[1], labels={"label": texts[2].replace("\0", "")})
        made = ModelChanges(models=[named("a", texts[0]), named("b", texts[2])], versions=[(said, said.commit.encode())],
                            manifests={MANIFEST.digest: MANIFEST.encode()}, tensors={MANIFEST.digest: ["a", *texts[1].splitlines()]})  # fmt: skip
        for each in (fake, database):
            each.commit(ModelChanges(gone_models=[(Kind.MODEL, "a"), (Kind.MODEL, "b")], gone_manifests=[MANIFEST.digest]))
            each.commit(ModelChanges(gone_manifests=[MANIFEST.digest]))
            each.commit(made)
        for text in (asked, *texts):
            words = searching.words_of(text)
            if len(words) <= searching.MOST_TERMS and text:
                assert names(database, text=text) == names(fake, text=text)
                assert not words or text == asked or names(database, text=text)

    agree()
    assert check_database(_url(database)) == []


def _url(database: Bench) -> str:
    assert database.journal is not None
    return database.journal._url


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM model_text WHERE version = ''",
        "UPDATE model_text SET words = 'nother' WHERE kind = 'tensors'",
        "INSERT INTO model_text (id, kind, model, version, words) VALUES (99, 'model', 'none', 'none', 'snone')",
        "DELETE FROM model_tensors; DELETE FROM tensor_names",
        "INSERT INTO model_text_index (model_text_index, rowid, words) SELECT 'delete', id, words FROM model_text",
    ],
)
def test_an_index_that_differs_is_found_and_made_anew(database: Bench, damage: str) -> None:
    if "model_text_index" in damage and "sqlite" not in _url(database):
        return  # PostgreSQL keeps it by itself
    database.commit(changes(*chain(2), references=[to("main", commit(1).id)], tensors={MANIFEST.digest: ENCODER}))
    assert check_database(_url(database)) == []
    assert database.journal is not None
    for statement in damage.split(";"):
        database.do(database.journal.write(lambda tx, statement=statement: tx.exec_driver_sql(statement)))
    (found,) = check_database(_url(database))
    assert found.subject == model_text.SUBJECT
    database.do(database.journal.close())
    (did,) = repair_database(_url(database))
    assert (did.repaired, "it was made anew" in did.action) == (True, True)
    assert check_database(_url(database)) == []
    database.journal = None
