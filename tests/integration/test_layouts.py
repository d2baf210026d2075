"""Models in the layouts of other houses, in and out: what is written is what their specifications say, and what they write is read."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from aiosd.errors import AlreadyExists, DiskFull, Exhausted, InvalidArgument, NotFound
from aiosd.keeper import unpacking
from aiosd.keeper.unpacking import unpacked
from aiosd.models.layouts import Form
from aiosd.models.vault_ports import Source
from aiosd.models.version import Kind
from tests.integration.carrying import MIB, Side, between, some_files

CARD = "---\nlicense: mit\ntags: [vision]\nmodel-index:\n- results:\n  - metrics:\n    - {type: accuracy, value: 0.9}\n---\n# Digits\n"


# A hub


def test_a_repository_of_a_hub_goes_in_and_out(tmp_path: Path) -> None:
    path, out = some_files(tmp_path), tmp_path / "out"
    (path / "README.md").write_text(CARD)
    (path / ".git").mkdir()
    (path / ".git" / "config").write_text("x")

    async def story(here: Side, there: Side) -> None:
        landed = await here.import_(path, form="hf", model="digits", branch="hub")
        commit = landed.versions[0].commit
        assert (commit.licence, commit.metrics, commit.labels, commit.card) == ("mit", {"accuracy": 0.9}, {"tags": "vision"}, "# Digits")
        assert not (await here.import_(path, form="hf", model="digits", branch="hub")).new
        await here.register(path / "text", metrics={"f1": 0.5}, licence="Apache-2.0", message="words")
        await here.export(out, "digits:hub", form="hf")
        assert sorted(str(each.relative_to(out)) for each in out.rglob("*") if each.is_file()) == ["README.md", "deep/empty", "deep/small", "text", "whole"]
        front = yaml.safe_load((out / "README.md").read_text().split("---")[1])
        assert (front["license"], front["model-index"][0]["results"][0]["metrics"][0]["value"]) == ("mit", 0.9)
        assert (await there.import_(out, form="hf", model="digits")).versions[0].commit.metrics == {"accuracy": 0.9}
        with pytest.raises(AlreadyExists):
            await here.export(out, "digits:hub", form="hf", replace=True)  # a directory is never replaced
        await here.export(tmp_path / "one", "digits", form="hf")
        assert sorted(os.listdir(tmp_path / "one")) == ["README.md", "text"]
        assert "Apache-2.0" in (tmp_path / "one" / "README.md").read_text()
        for how in ({"base": "digits:hub"}, {"history": True}):
            with pytest.raises(InvalidArgument, match="holds one version"):
                await here.export(tmp_path / "two", "digits", form="hf", **how)
        with pytest.raises(InvalidArgument, match="what it is to be called"):
            await here.import_(out, form="hf")
        with pytest.raises(InvalidArgument, match="is a file"):
            await here.import_(path / "text", form="hf", model="x")

    between(tmp_path, story)


def test_a_snapshot_in_the_cache_of_a_hub_is_read_through_its_links(tmp_path: Path) -> None:
    cache = tmp_path / "hub" / "models--org--digits"
    snapshot = cache / "snapshots" / "abc"
    (cache / "blobs").mkdir(parents=True)
    (snapshot / "sub").mkdir(parents=True)
    (cache / "blobs" / "1").write_text("weights")
    (cache / "blobs" / "2").write_text(CARD)
    (snapshot / "model.bin").symlink_to("../../blobs/1")
    (snapshot / "sub" / "model.bin").symlink_to("../../../blobs/1")
    (snapshot / "README.md").symlink_to("../../blobs/2")
    (tmp_path / "secret").write_text("secret")

    async def story(here: Side, there: Side) -> None:
        landed = await here.import_(snapshot, form="hf", model="digits")
        assert landed.versions[0].commit.licence == "mit"
        given = await here.checkout("digits")
        assert (given / "sub" / "model.bin").read_text() == "weights"
        with pytest.raises(InvalidArgument, match="leads out"):  # without saying what it is, links lead out
            await here.register(snapshot, model="plain")
        for target in ("../../../../secret", str(tmp_path / "secret"), "../../../models--other/blobs/1"):
            (snapshot / "bad").symlink_to(target)
            with pytest.raises(InvalidArgument, match="leads out"):
                await here.import_(snapshot, form="hf", model="bad")
            (snapshot / "bad").unlink()
        assert await here.store.model(Kind.MODEL, "bad") is None

    between(tmp_path, story)


# OCI


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def check_layout(read: Callable[[str], bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """By the image layout specification 1.0 and ModelPack's: the manifest and the config."""
    assert json.loads(read("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(read("index.json"))
    assert (index["schemaVersion"], len(index["manifests"])) == (2, 1)

    def blob(descriptor: dict[str, Any]) -> bytes:
        data = read("blobs/sha256/" + descriptor["digest"].removeprefix("sha256:"))
        assert (f"sha256:{sha(data)}", len(data)) == (descriptor["digest"], descriptor["size"])
        return data

    assert index["manifests"][0]["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    manifest = json.loads(blob(index["manifests"][0]))
    assert (manifest["schemaVersion"], manifest["artifactType"]) == (2, "application/vnd.cncf.model.manifest.v1+json")
    assert manifest["config"]["mediaType"] == "application/vnd.cncf.model.config.v1+json"
    config = json.loads(blob(manifest["config"]))
    assert set(config) == {"descriptor", "config", "modelfs"}
    assert config["modelfs"] == {"type": "layers", "diffIds": [layer["digest"] for layer in manifest["layers"]]}
    for layer in manifest["layers"]:
        blob(layer)
    return manifest, config


@pytest.mark.parametrize("name", ["layout", "layout.tar"])
def test_an_image_layout_goes_out_and_comes_in(tmp_path: Path, name: str) -> None:
    path, out = some_files(tmp_path), tmp_path / name
    (path / "config.json").write_text("{}")
    (path / "run.py").write_text("{}")
    (path / "run.py").chmod(0o755)
    (path / "LICENSE").write_text("yours")

    async def story(here: Side, there: Side) -> None:
        made = await here.register(path, metrics={"accuracy": 0.9}, labels={"team": "vision"}, licence="MIT", card="# Digits", message="first")
        await here.export(out, form="oci")
        if out.is_file():
            with tarfile.open(out) as tar:
                manifest, config = check_layout(lambda name: tar.extractfile(name).read())  # type: ignore[union-attr]
                assert len(tar.getnames()) == len(set(tar.getnames()))
        else:
            manifest, config = check_layout(lambda name: (out / name).read_bytes())
        kinds = {layer["annotations"]["org.cncf.model.filepath"]: layer["mediaType"].split("model.")[1] for layer in manifest["layers"]}
        assert kinds == {
            "config.json": "weight.config.v1.raw", "run.py": "code.v1.raw", "LICENSE": "doc.v1.raw", "deep/empty": "weight.v1.raw",
            "deep/small": "weight.v1.raw", "text": "weight.v1.raw", "whole": "weight.v1.raw",
        }  # fmt: skip
        assert (config["descriptor"]["licenses"], config["descriptor"]["authors"]) == (["MIT"], ["me"])
        commit = (await there.import_(out, form="oci", model="digits")).versions[0].commit
        assert commit.manifest == made.commit.manifest
        assert (commit.metrics, commit.labels, commit.licence, commit.card) == ({"accuracy": 0.9}, {"team": "vision"}, "MIT", "# Digits")
        given = await there.checkout("digits")
        assert os.access(given / "run.py", os.X_OK)
        assert (given / "whole").read_bytes() == (path / "whole").read_bytes()

    between(tmp_path, story)


class Made:
    """A layout written by hand, as the specifications say, with what a test wants to be wrong."""

    def __init__(self, root: Path) -> None:
        self.root, self.layers = root, list[dict[str, Any]]()
        (root / "blobs/sha256").mkdir(parents=True)

    def blob(self, data: bytes) -> tuple[str, int]:
        (self.root / "blobs/sha256" / sha(data)).write_bytes(data)
        return f"sha256:{sha(data)}", len(data)

    def layer(self, data: bytes, kind: str = "weight.v1.raw", path: str = "", **more: Any) -> "Made":
        digest, size = self.blob(data)
        annotations = {"org.cncf.model.filepath": path} if path else {}
        self.layers.append({"mediaType": f"application/vnd.cncf.model.{kind}", "digest": digest, "size": size, "annotations": annotations} | more)
        return self

    def finish(self, manifests: int = 1, **more: Any) -> Path:
        config, size = self.blob(json.dumps({"descriptor": {"name": "x", "licenses": ["BSD"], "family": "net"}, "config": {}}).encode())
        manifest = {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": "application/vnd.cncf.model.manifest.v1+json",
            "config": {"mediaType": "application/vnd.cncf.model.config.v1+json", "digest": config, "size": size}, "layers": self.layers,
        } | more  # fmt: skip
        digest, size = self.blob(json.dumps(manifest).encode())
        described = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size}
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [described] * manifests}))
        (self.root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return self.root


def tar_of(*members: tuple[str, bytes | str], kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name.endswith("/") else kind
            if isinstance(data, str):
                info.linkname, data = data, b""
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_layers_of_every_kind_are_read(tmp_path: Path) -> None:
    import zstandard

    made = Made(tmp_path / "layout").layer(b"weights", path="model.bin")
    made.layer(tar_of(("./tokenizer/", b""), ("./tokenizer/vocab.txt", b"a b")), "weight.config.v1.tar")
    made.layer(gzip.compress(tar_of(("README.md", b"# hi"))), "doc.v1.tar+gzip")
    made.layer(zstandard.compress(tar_of(("run.py", b"1"))), "code.v1.tar+zstd")
    made.finish()
    packed = tmp_path / "layout.tar"
    with tarfile.open(packed, "w") as tar:
        tar.add(made.root, ".")

    async def story(here: Side, there: Side) -> None:
        for path, name in ((made.root, "a"), (packed, "b")):
            commit = (await here.import_(path, form="oci", model=name)).versions[0].commit
            assert (commit.licence, commit.labels) == ("BSD", {"family": "net"})
            given = await here.checkout(name)
            assert {str(each.relative_to(given)): each.read_bytes() for each in given.rglob("*") if each.is_file()} == {
                "model.bin": b"weights", "tokenizer/vocab.txt": b"a b", "README.md": b"# hi", "run.py": b"1",
            }  # fmt: skip

    between(tmp_path, story)


def test_a_layout_that_is_damaged_or_made_to_do_harm_is_refused(tmp_path: Path) -> None:
    number = iter(range(100))

    def made() -> Made:
        return Made(tmp_path / f"l{next(number)}")

    flipped = made().layer(b"weights", path="a")
    (flipped.root / "blobs/sha256" / sha(b"weights")).write_bytes(b"weightz")
    linked = made().layer(b"weights", path="a")
    (linked.root / "blobs/sha256" / sha(b"weights")).unlink()
    (linked.root / "blobs/sha256" / sha(b"weights")).symlink_to("/etc/hostname")
    gone = made().layer(b"weights", path="a")
    (gone.root / "blobs/sha256" / sha(b"weights")).unlink()
    nothing = made().finish()
    (nothing / "index.json").write_text("[]")
    twice = tmp_path / "twice.tar"
    whole = made().layer(b"w", path="a").finish()
    with tarfile.open(twice, "w") as tar:
        tar.add(whole / "index.json", "index.json")
        tar.add(whole / "index.json", "index.json")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(tar_of(("oci-layout", b"x" * 5000))[:3000])
    wrong: list[tuple[str, Path]] = [
        ("leads out", made().layer(b"x", path="../a").finish()),
        ("leads out", made().layer(b"x", path="/etc/passwd").finish()),
        ("leads out", made().layer(tar_of(("../a", b"x")), "weight.v1.tar").finish()),
        ("no regular file", made().layer(tar_of(("a", "/etc/passwd"), kind=tarfile.SYMTYPE), "weight.v1.tar").finish()),
        ("no regular file", made().layer(tar_of(("a", "b"), kind=tarfile.LNKTYPE), "weight.v1.tar").finish()),
        ("no regular file", made().layer(tar_of(("a", b""), kind=tarfile.CHRTYPE), "weight.v1.tar").finish()),
        ("twice", made().layer(b"x", path="a").layer(b"y", path="a").finish()),
        ("twice", made().layer(b"x", path="a").layer(b"y", path="a/b").finish()),
        ("longer than", made().layer(b"x", path="a" * 300).finish()),
        ("without a name", made().layer(b"x").finish()),
        ("far larger than it is", made().layer(gzip.compress(tar_of(("a", bytes(80 << 20)))), "weight.v1.tar+gzip").finish()),
        ("cannot be read", made().layer(b"no gzip", "weight.v1.tar+gzip").finish()),
        ("cannot be read", made().layer(b"no tar at all" * 100, "weight.v1.tar").finish()),
        ("cannot be read|cut off", made().layer(tar_of(("a", b"x" * 5000))[:3000], "weight.v1.tar").finish()),
        ("not what its digest says", flipped.finish()),
        ("cannot be read", linked.finish()),
        ("bytes, and 99999999999 were said", made().layer(b"x", path="a", size=99999999999).finish()),
        ("only sha256", made().layer(b"x", path="a", digest="sha512:00").finish()),
        ("no layers", made().finish()),
        ("holds no model", made().layer(b"x", path="a").finish(artifactType="application/x", config={"mediaType": "x", "digest": "x", "size": 1})),
        ("2 image manifests", made().layer(b"x", path="a").finish(2)),
        ("index.json cannot be read", nothing),
        ("twice", twice),
        ("larger than it is", cut),
    ]

    def take(path: Path) -> None:
        """As a child does."""
        scratch = tmp_path / f"scratch{next(number)}"
        scratch.mkdir()
        with unpacked(Source(str(path), os.getuid(), os.getgid(), "me", Form.OCI), None, scratch):
            pytest.fail(f"{path} was taken")

    for why, path in wrong:
        with pytest.raises(InvalidArgument, match=why):
            take(path)
    with pytest.raises(NotFound, match="there is no 'blobs/sha256"):
        take(gone.finish())
    with pytest.raises(NotFound, match="oci-layout"):
        take(tmp_path)

    async def story(here: Side, there: Side) -> None:
        with pytest.raises(InvalidArgument, match="not what its digest says"):
            await here.import_(flipped.root, form="oci", model="digits")
        assert not await here.places()
        assert not list(here.vault.layout.incoming.iterdir())
        assert await here.store.model(Kind.MODEL, "digits") is None

    between(tmp_path, story)


def text_in(layout: Made, size: int, name: str = "text") -> Path:
    """Of words that take no room where they are packed."""
    layout.layer(gzip.compress(tar_of((name, b"again and again " * (size // 16)))), "weight.v1.tar+gzip")
    return layout.finish()


def test_what_is_unpacked_is_bounded_by_what_the_owner_may_have_while_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    write = unpacking._write
    monkeypatch.setattr(unpacking, "_write", lambda path, content, size, *mode: (written.append(size), write(path, content, size, *mode)))
    bomb, many = text_in(Made(tmp_path / "bomb"), 32 * MIB), Made(tmp_path / "many").layer(os.urandom(MIB), path="0")
    for at in range(1, 50):
        many.layers.append(many.layers[0] | {"annotations": {"org.cncf.model.filepath": str(at)}})

    def take(path: Path, room: int | None) -> None:
        scratch = tmp_path / "scratch" / f"{path.name}-{room}"
        scratch.mkdir(parents=True)
        with unpacked(Source(str(path), os.getuid(), os.getgid(), "me", Form.OCI, room=room), None, scratch):
            written.clear()

    for path in (bomb, many.finish()):
        with pytest.raises(Exhausted, match=r"becomes at least .* MiB, and the owner of the model may have 2 MiB more; nothing was kept") as caught:
            take(path, 2 * MIB)
        assert sum(written) <= 4 * MIB
        assert caught.value.facts["room"] == str(2 * MIB)
        take(path, 60 * MIB)
        take(path, None)
    take(Made(tmp_path / "plain").layer(os.urandom(MIB), path="a").finish(), 0)  # no more than it takes itself: it may all be here already


def test_an_owner_with_a_quota_is_told_before_an_import_fills_the_disk(tmp_path: Path) -> None:
    bomb, small = text_in(Made(tmp_path / "bomb"), 32 * MIB), text_in(Made(tmp_path / "small"), MIB)

    async def story(here: Side, there: Side) -> None:
        here.limits["me"] = 4 * MIB
        with pytest.raises(Exhausted, match=r"may have 4 MiB more"):
            await here.import_(bomb, form="oci", model="digits")
        assert not list(here.vault.layout.incoming.iterdir())
        assert await here.store.model(Kind.MODEL, "digits") is None
        await here.import_(small, form="oci", model="digits")
        here.limits["me"] = 0
        await here.import_(bomb, form="oci", model="digits")

    between(tmp_path, story)


def test_what_is_unpacked_leaves_room_on_the_disk_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=10 * MIB // room.f_frsize, f_frsize=room.f_frsize))
    for size, packed in ((32 * MIB, False), (32 * MIB, True), (8 * MIB, False)):
        path = text_in(Made(tmp_path / f"layout-{size}-{packed}"), size)
        if packed:
            tar_path = path.with_suffix(".tar")
            with tarfile.open(tar_path, "w") as tar:
                tar.add(path, ".")
            path = tar_path
        scratch = tmp_path / f"scratch-{size}-{packed}"
        scratch.mkdir()
        source = Source(str(path), os.getuid(), os.getgid(), "me", Form.OCI)
        if size > 9 * MIB:
            with (
                pytest.raises(DiskFull, match=r"32 MiB more are to be put together .* has 10 MiB free, of which 1 MiB are left"),
                unpacked(source, None, scratch),
            ):
                pytest.fail("it was taken")
        else:
            with unpacked(source, None, scratch):
                assert (scratch / "files" / "text").stat().st_size == size
