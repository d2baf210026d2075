"""The keeper of bytes with its children at work: what goes in comes out, once stored, and what nobody needs goes."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from aiosd.errors import AlreadyExists, ConfigError, DataLoss, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models.manifest import Manifest, digest_of
from aiosd.models.vault_ports import Looked, Progress, Stored, Taken
from aiosd.storage.blobs.layout import STAMP_NS
from tests.e2e.daemon import LONG
from tests.integration.keeping import MIB, World, opened, safetensors, stored_bytes


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with opened(tmp_path) as made:
        yield made


def test_a_large_file_stays_whole_and_is_handed_out_as_it_lies(world: World) -> None:
    data = world.random(3 * MIB)
    path = world.write("model.bin", data)

    async def story() -> None:
        taken = await world.take(path)
        (entry,) = taken.manifest.files
        assert taken.manifest.single
        assert (entry.path, entry.size, entry.digest) == ("model.bin", 3 * MIB, digest_of(data))
        given = await world.give(taken.manifest)
        assert given.name == "model.bin"
        assert given.read_bytes() == data
        found = given.stat()
        assert found.st_ino == world.vault.layout.path(f"whole/{entry.digest}").stat().st_ino
        assert (found.st_mode & 0o777, found.st_mtime_ns) == (0o444, STAMP_NS)
        assert await world.give(taken.manifest) == given
        rest = [(at, part) async for _, at, part in world.vault.chunks([(chunk, 2 * MIB + 5) for chunk in entry.chunks])]
        assert rest[0][0] == 2 * MIB + 5
        assert b"".join(part for _, part in rest) == data[2 * MIB + 5 :]
        again = await world.take(path, taken.manifest)
        assert again.manifest == taken.manifest
        assert not again.chunks

    asyncio.run(story())


def test_a_directory_comes_back_as_it_was(world: World) -> None:
    names = {
        "config.json": b"{}",
        "a/b/весы 😀.bin": world.random(300_000),
        "empty": b"",
        "a/same": b"{}",
        " leading and trailing ": b"x",
        ".hidden": b".",
        "...": b"dots",
        "a\nb\t\\'\"$(x)`;*?": b"quoted",
        "e\u0301 \u00e9 \u202e": b"both forms",
        "😀" * 63: b"252 bytes",
        "/".join(["d" * 199] * 5) + "/" + "f" * 255: b"over 1,000 characters",
        "big": world.random(2 * MIB),
    }
    for name, data in names.items():
        world.write(f"model/{name}", data)
    tool = world.write("model/run.sh", b"#!/bin/sh\n")
    tool.chmod(0o755)
    (world.files / "model/nothing/here").mkdir(parents=True)
    os.symlink("../config.json", world.files / "model/a/link.json")
    os.link(world.files / "model/big", world.files / "model/a/second name of big")
    names["a/second name of big"] = names["big"]

    async def story() -> None:
        taken = await world.take(world.files / "model")
        assert taken.manifest.empty_directories == ("nothing/here",)
        for given in (await world.give(taken.manifest), await world.give(taken.manifest, world.files / "copy")):
            for name, data in names.items():
                assert (given / name).read_bytes() == data
            assert (given / "a/link.json").read_bytes() == b"{}"
            assert os.access(given / "run.sh", os.X_OK)
            assert not (given / "config.json").stat().st_mode & 0o111
            assert (given / "nothing/here").is_dir()
        (world.files / "copy/config.json").write_bytes(b"changed")
        with pytest.raises(AlreadyExists):
            await world.give(taken.manifest, world.files / "copy")
        assert await world.read(taken.manifest, "config.json") == b"{}"

    asyncio.run(story())


def test_what_is_there_is_not_stored_again(world: World) -> None:
    data = bytearray(world.random(16 * MIB))
    first = world.write("first", bytes(data))
    moved = world.write("moved", world.random(MIB) + data)
    data[5 * MIB : 5 * MIB + len(data) // 100] = world.random(len(data) // 100)
    changed = world.write("changed", bytes(data))

    async def story() -> None:
        parent = await world.take(first)
        assert stored_bytes(parent) == len(data)
        in_place = await world.take(changed, parent.manifest)
        assert stored_bytes(in_place) < 2 * MIB
        shifted = await world.take(moved, parent.manifest)
        assert stored_bytes(shifted) < 3 * MIB
        for taken, path in ((in_place, changed), (shifted, moved)):
            assert (await world.give(taken.manifest)).read_bytes() == path.read_bytes()
        assert not await world.verify(parent.manifest, in_place.manifest, shifted.manifest)

    asyncio.run(story())


def test_a_fine_tune_stores_what_it_changed(world: World) -> None:
    tensors = {f"layer.{at}": world.random(MIB) for at in range(8)}
    first = world.write("first.safetensors", safetensors(tensors))
    frozen = world.write("frozen.safetensors", safetensors({name: data if at % 2 else world.random(MIB) for at, (name, data) in enumerate(tensors.items())}))
    scattered = {}
    for name, data in tensors.items():
        new = bytearray(data)
        for at in world.chance.sample(range(MIB), MIB // 100):
            new[at] ^= 1 + world.chance.randrange(255)
        scattered[name] = bytes(new)
    moved = world.write("moved.safetensors", safetensors(scattered))

    async def story() -> None:
        parent = await world.take(first)
        half = await world.take(frozen, parent.manifest)
        assert stored_bytes(half) < 0.51 * half.manifest.size
        tuned = await world.take(moved, parent.manifest)
        assert stored_bytes(tuned) < 0.05 * tuned.manifest.size
        assert {one.encoding for one in tuned.chunks} == {"delta"}
        again = await world.take(moved, tuned.manifest)
        assert again.manifest == tuned.manifest
        assert not again.chunks
        assert not await world.verify(tuned.manifest)
        for taken, path in ((half, frozen), (tuned, moved)):
            assert (await world.give(taken.manifest)).read_bytes() == path.read_bytes()

    asyncio.run(story())


def test_a_file_that_is_a_part_of_another_comes_back_as_itself(world: World) -> None:
    """It is stored as nothing but a place within the other, and is not to be taken for all of that."""
    data = world.random(3 * MIB)
    large = world.write("large", data)

    async def story() -> None:
        first = await world.take(large)
        part = max((one for one in world.index.rows.values() if one.digest != first.manifest.files[0].digest), key=lambda one: one.size)
        small = world.write("small", data[part.offset : part.offset + part.size])
        second = await world.take(small)
        assert not second.chunks
        assert (await world.give(second.manifest)).read_bytes() == small.read_bytes()
        await world.sweep(second.manifest)
        assert (await world.give(second.manifest, world.files / "copy")).read_bytes() == small.read_bytes()

    asyncio.run(story())


def test_the_sweep_removes_what_no_version_needs(world: World) -> None:
    tensors = {f"layer.{at}": world.random(MIB) for at in range(4)}
    first = world.write("first.safetensors", safetensors(tensors))
    tuned = world.write("tuned.safetensors", safetensors({name: data[:1000][::-1] + data[1000:] for name, data in tensors.items()}))
    other = world.write("other", world.random(2 * MIB))

    async def story() -> None:
        parent, unneeded = await world.take(first), await world.take(other)
        child = await world.take(tuned, parent.manifest)
        assert {one.encoding for one in child.chunks} == {"delta"}
        chunks, freed, _ = await world.sweep(child.manifest, dry_run=True)
        assert chunks
        assert freed >= 2 * MIB
        assert await world.sweep(child.manifest, grace_s=3600.0) == (0, 0, 0)
        assert (await world.sweep(child.manifest))[1] >= 2 * MIB
        assert await world.vault.missing(unneeded.manifest)
        assert (await world.give(child.manifest, world.files / "copy")).read_bytes() == tuned.read_bytes()  # the parent's tensors are its bases
        await world.sweep()
        assert not world.index.rows
        assert not list(world.vault.layout.places())

    asyncio.run(story())


def test_a_pack_that_is_mostly_dead_is_written_anew(world: World) -> None:
    for at in range(10):
        world.write(f"all/{at}", world.random(100_000))
    os.makedirs(world.files / "one")
    os.link(world.files / "all/3", world.files / "one/3")

    async def story() -> None:
        await world.take(world.files / "all")
        one = await world.take(world.files / "one")
        (old,) = world.vault.layout.places()
        _, freed, _ = await world.sweep(one.manifest)
        (new,) = world.vault.layout.places()
        assert new != old
        assert freed > 850_000
        assert world.vault.layout.path(new).stat().st_size < 110_000
        assert await world.read(one.manifest, "3") == (world.files / "one/3").read_bytes()

    asyncio.run(story())


def test_a_sweep_beside_a_registration_leaves_what_it_found_there(world: World) -> None:
    path = world.write("model", world.random(2 * MIB))

    async def story() -> None:
        await world.take(path)  # of no version any more
        again = await world.take(path, meanwhile=world.sweep)
        assert not again.chunks
        assert not await world.vault.missing(again.manifest)
        assert (await world.give(again.manifest)).read_bytes() == path.read_bytes()

    asyncio.run(story())


def _remember(alive: dict[int, Manifest], who: int, taken: Taken) -> None:
    alive[who] = taken.manifest


def test_sweeps_beside_registrations_of_the_same_bytes_lose_nothing(world: World) -> None:
    """Three at once take what is being swept, again and again; whatever one has committed is there until it is dropped."""
    paths = [world.write(f"model{at}", world.random(MIB + MIB // 2)) for at in range(2)]
    alive: dict[int, Manifest] = {}

    async def keep_taking(who: int) -> None:
        for turn in range(10 if LONG else 2):
            alive.pop(who, None)
            pause, remember = partial(asyncio.sleep, world.chance.random() / 20), partial(_remember, alive, who)
            taken = await world.take(paths[(who + turn) % 2], meanwhile=pause, committed=remember)
            assert not await world.vault.missing(taken.manifest)

    async def live() -> AsyncIterator[Collection[str]]:
        for manifest in list(alive.values()):
            yield [chunk.digest for chunk in manifest.chunks()]

    async def story() -> None:
        work = asyncio.gather(*(keep_taking(who) for who in range(3)))
        while not work.done():
            await world.vault.sweep(live(), 0.0, dry_run=False)
            await asyncio.sleep(0.01)
        await work
        await world.sweep(*alive.values())
        assert not await world.verify(*alive.values())

    asyncio.run(story())


def test_a_file_that_was_touched_is_read_once_and_stays_open_nowhere(world: World) -> None:
    path = world.write("whole", world.random(2 * MIB))

    async def story() -> None:
        taken = await world.take(path)
        stored = world.vault.layout.path(f"whole/{taken.manifest.files[0].digest}")
        os.utime(stored, (5, 5))
        assert (await world.give(taken.manifest)).read_bytes() == path.read_bytes()
        assert stored.stat().st_mtime_ns == STAMP_NS
        held = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
        assert str(stored) not in held

    asyncio.run(story())


def test_damage_is_found_set_aside_and_healed(world: World) -> None:
    whole, small = world.write("whole", world.random(2 * MIB)), world.write("small/a", world.random(50_000))

    async def story() -> None:
        first, second = await world.take(whole), await world.take(small.parent)
        for taken in (first, second):
            (chunk,) = taken.manifest.chunks()
            stored = world.index.rows[chunk.digest]
            path = world.vault.layout.path(stored.place)
            path.chmod(0o600)
            with path.open("r+b") as file:
                file.seek(stored.offset + 1000)
                file.write(bytes([file.read(1)[0] ^ 1]))
        with pytest.raises(DataLoss):
            await world.read(second.manifest, "a")
        with pytest.raises(DataLoss):
            await world.give(first.manifest)
        damaged = await world.verify(first.manifest, second.manifest)
        assert len(damaged) == 3  # and the part of the whole file, which another version may have as a chunk
        assert {chunk.digest for taken in (first, second) for chunk in taken.manifest.chunks()} < set(damaged)
        assert sorted(path.name for path in world.vault.layout.quarantine.iterdir()) == damaged
        assert await world.vault.missing(first.manifest)
        assert (await world.take(whole)).manifest == first.manifest
        assert (await world.take(small.parent)).manifest == second.manifest
        assert not await world.verify(first.manifest, second.manifest)
        assert (await world.give(first.manifest)).read_bytes() == whole.read_bytes()
        assert not list(world.vault.layout.quarantine.iterdir())

    asyncio.run(story())


def test_what_is_refused_leaves_nothing(world: World) -> None:
    """All that is refused, and why, is in tests/unit/host/test_sources.py."""
    world.write("model/file", b"x")
    os.symlink("/etc/shadow", world.files / "model/link")

    async def story() -> None:
        with pytest.raises(InvalidArgument, match="'link' is a link that leads out of it, or nowhere"):
            await world.take(world.files / "model")
        with pytest.raises(NotFound):
            await world.take(world.files / "nothing")

    asyncio.run(story())
    assert not list(world.vault.layout.incoming.iterdir())


def test_a_file_that_grows_while_it_is_read_is_not_registered(world: World) -> None:
    """The child is slow enough here: it is told of a file that another process never stops writing to."""
    path = world.write("model", world.random(16 * MIB))

    async def story() -> None:
        writing = True

        async def write() -> None:
            with path.open("ab") as file:
                while writing:
                    file.write(b"more")
                    file.flush()
                    await asyncio.sleep(0.001)

        writer = asyncio.create_task(write())
        with pytest.raises(FailedPrecondition, match="changed while it was read"):
            await world.take(path)
        writing = False
        await writer

    asyncio.run(story())
    assert not world.index.rows


def test_an_encrypted_store_keeps_nothing_that_can_be_read(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("0f" * 32)
    key.chmod(0o600)
    secret = World(tmp_path, key_file=str(key))
    data = b"a secret that is compressed " * 1000 + secret.random(2 * MIB)
    path = secret.write("model", data)

    async def story() -> None:
        taken = await secret.take(path)
        assert {one.encoding.partition("+")[2] for one in taken.chunks} == {"aes"}
        assert b"a secret" not in b"".join(secret.vault.layout.path(place).read_bytes() for place in secret.vault.layout.places())
        assert (await secret.give(taken.manifest, tmp_path / "copy")).read_bytes() == data
        key.write_text("f0" * 32)
        for work in (secret.read(taken.manifest, "model"), secret.take(path), secret.verify(taken.manifest)):
            with pytest.raises(ConfigError, match="is not the one that the store of models in"):
                await work
        key.write_text("0f" * 32)
        assert await secret.read(taken.manifest, "model") == data  # and nothing was taken for damaged

    asyncio.run(story())
    for settings, why in (({"key_file": ""}, "is encrypted, and no key is configured"), ({"key_file": str(tmp_path / "gone")}, "cannot be read: No such file")):
        with pytest.raises(ConfigError, match=why):
            World(tmp_path, **settings)
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        secret.vault.start(passable=False)


def test_all_is_verified_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs of 100,000 files, of which there may be hundreds: what is known of the chunks of one is 30 MB."""
    monkeypatch.setattr("aiosd.keeper.checking._TOGETHER", 50)
    for number in range(160):
        world.write(f"{number // 40}/{number}", world.random(100))

    async def story() -> None:
        packs = [await world.take(world.files / str(number)) for number in range(4)]
        steps = [step async for step in world.vault.verify_all(1000)]
        assert [step for step in steps if isinstance(step, Looked)] == [Looked(80, [])] * 2
        done = [step.done / step.total for step in steps if isinstance(step, Progress)]
        assert sorted(done) == done
        assert all(part <= 1 for part in done)
        lost = sorted(chunk.digest for chunk in packs[3].manifest.chunks())
        world.vault.layout.path(world.index.rows[lost[0]].place).unlink()
        found = [step.damaged async for step in world.vault.verify_all(1000) if isinstance(step, Looked)]
        assert [digest for some in found for digest in some] == lost
        within = world.index.within

        async def swept(places: Collection[str]) -> Sequence[Stored]:
            rows = await within(places)
            await world.index.commit((), {(one.digest, one.place) for one in rows})
            return rows

        monkeypatch.setattr(world.index, "within", swept)
        assert [step.damaged async for step in world.vault.verify_all(1000) if isinstance(step, Looked)] == [[], []]

    asyncio.run(story())


def test_the_scrub_goes_round_all_that_is_stored(world: World) -> None:
    first, second = world.write("a", world.random(2 * MIB)), world.write("b/c", world.random(50_000))

    async def story() -> None:
        await world.take(first)
        taken = await world.take(second.parent)
        assert not await world.vault.scrub(1.0)
        (chunk,) = taken.manifest.chunks()
        stored = world.index.rows[chunk.digest]
        path = world.vault.layout.path(stored.place)
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.truncate(stored.offset + 10)
        assert [await world.vault.scrub(0.001) for _ in range(2)] == [[chunk.digest], []]  # the pack, then the whole file

    asyncio.run(story())


def test_work_that_nobody_waits_for_any_more_is_given_up(world: World) -> None:
    path = world.write("model", world.random(32 * MIB))

    async def story() -> None:
        words = world.vault.take(world.me(path), None)
        waiting = asyncio.ensure_future(anext(words))
        while not (waiting.done() or any(world.vault.layout.incoming.iterdir())):
            await asyncio.sleep(0.005)
        waiting.cancel()
        await asyncio.wait({waiting})
        await words.aclose()

    asyncio.run(story())
    assert not list(world.vault.layout.incoming.iterdir())
    assert not list(world.vault.layout.places())


def test_a_sparse_file_stays_sparse(world: World) -> None:
    path = world.files / "sparse"
    with path.open("wb") as file:
        file.truncate(200 * MIB)
        file.seek(100 * MIB)
        file.write(world.random(MIB))

    async def story() -> None:
        taken = await world.take(path)
        assert taken.manifest.size == 200 * MIB
        given = await world.give(taken.manifest)
        assert given.stat().st_size == 200 * MIB
        assert given.stat().st_blocks * 512 < 10 * MIB

    asyncio.run(story())


@pytest.mark.skipif(not LONG, reason="100,000 files take a minute: AIOS_LONG_TESTS=1")
def test_a_hundred_thousand_small_files_are_one_file_of_the_store(world: World) -> None:
    for at in range(100_000):
        world.write(f"many/{at % 100}/{at}", f"{at}".encode())

    async def story() -> None:
        taken = await world.take(world.files / "many")
        assert len(taken.manifest.files) == len(world.index.rows) == 100_000
        assert len(list(world.vault.layout.places())) == 1
        given = await world.give(taken.manifest)
        assert (given / "34/1234").read_bytes() == b"1234"
        assert not await world.verify(taken.manifest)

    asyncio.run(story())


def test_a_version_says_what_it_is_and_a_lie_is_refused(world: World) -> None:
    data = safetensors({"weight": world.random(400)})
    good = world.write("good.safetensors", data)
    bad = world.write("bad.safetensors", (1 << 60).to_bytes(8, "little") + data[8:])

    async def story() -> None:
        taken = await world.take(good)
        assert (taken.schema.format, taken.schema.tensors, taken.schema.parameters) == ("safetensors", 1, 100)
        with pytest.raises(InvalidArgument, match="cannot be registered"):
            await world.take(bad)

    asyncio.run(story())
    assert len(world.index.rows) == 1
