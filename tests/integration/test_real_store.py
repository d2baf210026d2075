"""Every real model through the store: registered, read back, checked out byte for byte, compared, and its second version kept for next to nothing."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiosd.models.version import Kind
from tests import models_cache
from tests.integration.storing import ME, MIB, Place, Store, a_place

pytestmark = [pytest.mark.models, pytest.mark.timeout(900)]  # the first of all may have to fetch
SECOND = "ddddocr-2"  # of ddddocr-1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with a_place(tmp_path_factory.mktemp("store") / "state") as made:
        yield made


def digests(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): hashlib.blake2b(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [name for name in models_cache.PACKAGES if name != SECOND])
def test_it_comes_out_as_it_went_in(place: Place, name: str) -> None:
    source = models_cache.directory(name)

    async def story(store: Store) -> None:
        version = await store.register(source, name, tags=["v1"])
        assert version.commit.schema.format != "other"
        assert version.size == sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        assert version.stored_bytes <= version.size + MIB
        assert digests(await store.checkout(f"{name}:v1")) == digests(source)
        assert (await store.register(source, name)).id == version.id

    place.use(story)


def test_the_second_version_of_a_model_whose_weights_are_the_same_takes_next_to_nothing(place: Place) -> None:
    first, second = models_cache.directory("ddddocr-1"), models_cache.directory(SECOND)

    async def story(store: Store) -> None:
        before = await store.register(first, "ddddocr-1")
        after = await store.register(second, "ddddocr-1", tags=["v2"])
        assert after.commit.parents == (before.id,)
        assert after.stored_bytes < 0.1 * after.size
        assert digests(await store.checkout("ddddocr-1:v2")) == digests(second)
        difference = await store.care.reader.diff(Kind.MODEL, "ddddocr-1~1", "ddddocr-1", ME)
        assert "common.onnx" in {one.path for one in difference.files}

    place.use(story)


def test_all_of_it_reads_back_and_nothing_is_garbage(place: Place) -> None:
    async def story(store: Store) -> None:
        found = await store.verify()
        assert not found.damaged
        assert found.chunks
        assert (await store.collect()).chunks == 0

    place.use(story)
