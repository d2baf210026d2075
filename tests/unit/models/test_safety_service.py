"""Flagged, allowed, signed: who may say so, what it changes, and what is not handed out until then."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aiosd.access.principal import Role
from aiosd.errors import Denied, FailedPrecondition, InvalidArgument, NotFound
from aiosd.models import signing
from aiosd.models.findings import ScanFinding, Severity
from aiosd.models.model import ModelRole, Visibility
from aiosd.models.settings import ModelChange
from aiosd.models.version import Kind, Version, VersionState
from tests.fakes.model_world import ADA, BOB, EVE, ROOT, ModelWorld, caller

WHY = "m.pkl: it would call os.system (danger)"
FINDING = ScanFinding("m.pkl", Severity.DANGER, "it would call os.system")
OPERATOR = caller("eve", Role.OPERATOR)


@pytest.fixture
def world(tmp_path: Path) -> ModelWorld:
    return ModelWorld(tmp_path)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def set_(world: ModelWorld, **change: Any) -> Any:
    return run(world.moves.set(Kind.MODEL, "digits", ModelChange(**change), ADA))


def flagged(world: ModelWorld) -> Version:
    world.vault.findings = (WHY,)
    return run(world.register("1")).version


# Flagged


def test_what_is_flagged_is_allowed_by_an_operator_with_a_word(world: ModelWorld) -> None:
    version = flagged(world)
    with pytest.raises(FailedPrecondition, match=r"is flagged: m\.pkl: it would call os\.system"):
        run(world.checkout("digits", ROOT))
    for who in (ADA, BOB):
        with pytest.raises((Denied, NotFound)):
            run(world.safety.allow(Kind.MODEL, "digits", "looked at it", who))
    with pytest.raises(InvalidArgument, match="why it may be used was not said"):
        run(world.safety.allow(Kind.MODEL, "digits", " ", OPERATOR))
    allowed = run(world.safety.allow(Kind.MODEL, "digits", "our own", OPERATOR))
    assert (allowed.state, allowed.reasons) == (VersionState.ALLOWED, (WHY, "allowed by eve: our own"))
    assert Path(run(world.checkout("digits")).path).read_text() == "1"
    with pytest.raises(FailedPrecondition, match="is allowed, not flagged"):
        run(world.safety.allow(Kind.MODEL, f"digits@{version.id}", "again", OPERATOR))


def test_it_is_registered_as_allowed_by_an_operator_only(world: ModelWorld) -> None:
    world.vault.findings = (WHY,)
    with pytest.raises(Denied, match="takes the role operator, and ada has user"):
        run(world.register("1", allow_flagged=True))
    assert run(world.store.model(Kind.MODEL, "digits")) is None
    assert run(world.register("1", by=ROOT, model="a", allow_flagged=True)).version.state is VersionState.ALLOWED
    world.vault.findings = ()
    assert run(world.register("2", by=ROOT, model="b", allow_flagged=True)).version.state is VersionState.REGISTERED


def test_registering_it_again_with_the_word_allows_it(world: ModelWorld) -> None:
    flagged(world)
    again = run(world.register("1", by=ROOT, allow_flagged=True))
    assert (again.existed, again.version.state) == (True, VersionState.ALLOWED)


def test_a_scan_finds_what_was_not_known_before_and_takes_nothing_back(world: ModelWorld) -> None:
    run(world.register("1"))
    world.vault.scanned = [FINDING]
    found = run(world.safety.scan(Kind.MODEL, "digits", ADA))
    assert (found.version.state, found.version.reasons, found.findings) == (VersionState.FLAGGED, (WHY,), [FINDING])
    world.vault.scanned = [ScanFinding("m.pkl", Severity.UNKNOWN, "it would call ours.f")]
    assert run(world.safety.scan(Kind.MODEL, "digits", ADA)).version.reasons == (WHY, "m.pkl: it would call ours.f (unknown)")
    world.vault.scanned = []
    for who in (ADA, OPERATOR):
        assert run(world.safety.scan(Kind.MODEL, "digits", who)).version.state is VersionState.FLAGGED
    (kept,) = run(world.store.versions(Kind.MODEL, "digits", 0, 1))
    assert (kept.state, kept.reasons) == (VersionState.FLAGGED, (WHY, "m.pkl: it would call ours.f (unknown)"))
    with pytest.raises(NotFound):
        run(world.safety.scan(Kind.MODEL, "digits", BOB))


def test_a_scan_leaves_what_was_allowed(world: ModelWorld) -> None:
    flagged(world)
    run(world.safety.allow(Kind.MODEL, "digits", "our own", ROOT))
    world.vault.scanned = [FINDING]
    assert run(world.safety.scan(Kind.MODEL, "digits", ADA)).version.state is VersionState.ALLOWED


def test_a_revert_brings_back_what_was_flagged_as_flagged(world: ModelWorld) -> None:
    """What comes out has a file of a flagged version and a file of one that is not."""
    folder = world.directory / "m"
    folder.mkdir()

    def register(**files: str) -> Version:
        for file in folder.iterdir():
            file.unlink()
        for name, content in files.items():
            (folder / name).write_text(content)
        from aiosd.models.draft import Draft

        return run(world.registered(world.models.register(Draft(model="digits"), str(folder), ADA))).version

    world.vault.findings = (WHY,)
    register(evil="1", other="1")
    world.vault.findings = ()
    gone = register(other="1")
    register(other="2")
    back = run(world.moves.revert(Kind.MODEL, f"digits@{gone.id}", "", "", "", ADA))
    assert (back.state, back.reasons) == (VersionState.FLAGGED, (WHY,))
    with pytest.raises(FailedPrecondition, match="is flagged"):
        run(world.checkout("digits"))


# Signed


class Key:
    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = signing.key_id(self.public)

    def over(self, world: ModelWorld, version: Version) -> bytes:
        return self.private.sign(signing.signed_bytes(version, run(world.reader.manifest(version))))


def test_a_signature_is_kept_when_it_is_right(world: ModelWorld) -> None:
    version, key, other = run(world.register("1")).version, Key(), Key()
    for public, signature, why in (
        (key.public, other.over(world, version), "is not one of digits@"), (key.public, b"1" * 64, "is not one of"), (key.public, b"short", "64"),
        (b"short", key.over(world, version), "32"), (b"\xff" * 32, key.over(world, version), "is not one of"),
    ):  # fmt: skip
        with pytest.raises(InvalidArgument, match=why):
            run(world.safety.sign(Kind.MODEL, "digits", public, signature, ADA))
    made = run(world.safety.sign(Kind.MODEL, "digits", key.public, key.over(world, version), ADA))
    assert (made.key_id, made.format, made.signed_by) == (key.id, signing.FORMAT, "ada")
    assert run(world.reader.show(Kind.MODEL, "digits", ADA)).signatures == [made]
    assert run(world.safety.verify_signature(Kind.MODEL, "digits", key.public, ADA)).reason == ""
    assert f"it is by {key.id[:12]}" in run(world.safety.verify_signature(Kind.MODEL, "digits", other.public, ADA)).reason
    second = run(world.register("2")).version
    assert "nor by another" in run(world.safety.verify_signature(Kind.MODEL, f"digits@{second.id}", key.public, ADA)).reason
    with pytest.raises(InvalidArgument, match="is not one of"):
        run(world.safety.sign(Kind.MODEL, "digits", key.public, key.over(world, version), ADA))


def test_a_reader_cannot_sign(world: ModelWorld) -> None:
    version, key = run(world.register("1", visibility=Visibility.EVERYONE)).version, Key()
    with pytest.raises(Denied, match="may not sign versions"):
        run(world.safety.sign(Kind.MODEL, "digits", key.public, key.over(world, version), EVE))
    set_(world, roles={"eve": ModelRole.WRITER})
    run(world.safety.sign(Kind.MODEL, "digits", key.public, key.over(world, version), EVE))


def test_where_it_is_required_only_what_is_signed_by_a_key_that_counts_is_handed_out(world: ModelWorld) -> None:
    version, key, other = run(world.register("1")).version, Key(), Key()
    with pytest.raises(InvalidArgument, match="signatures of nobody"):
        set_(world, require_signature=True)
    set_(world, require_signature=True, trust=(key.public,))
    for _ in range(2):
        with pytest.raises(FailedPrecondition, match=r"is not signed by a key that digits trusts") as caught:
            run(world.checkout("digits", ROOT))
        assert key.id[:12] in caught.value.hint
        run(world.safety.sign(Kind.MODEL, "digits", other.public, other.over(world, version), ADA))
    run(world.safety.sign(Kind.MODEL, "digits", key.public, key.over(world, version), ADA))
    assert Path(run(world.checkout("digits")).path).read_text() == "1"
    run(world.register("2"))
    with pytest.raises(FailedPrecondition, match="is not signed"):
        run(world.checkout("digits"))
    set_(world, require_signature=False)
    run(world.checkout("digits"))


def test_a_signature_that_was_changed_in_the_database_does_not_count(world: ModelWorld) -> None:
    from dataclasses import replace

    from aiosd.models.ports import ModelChanges

    version, key = run(world.register("1")).version, Key()
    set_(world, require_signature=True, trust=(key.public,))
    made = run(world.safety.sign(Kind.MODEL, "digits", key.public, key.over(world, version), ADA))
    run(world.store.commit(ModelChanges(signatures=[replace(made, signature=b"\1" * 64)])))
    with pytest.raises(FailedPrecondition, match="is not signed"):
        run(world.checkout("digits"))
    assert "is not one of this version" in run(world.safety.verify_signature(Kind.MODEL, "digits", key.public, ADA)).reason


def test_keys_come_and_go(world: ModelWorld) -> None:
    run(world.register("1"))
    keys = Key(), Key()
    model = set_(world, trust=tuple(key.public for key in keys))
    assert model.trusted_keys == {key.id: key.public.hex() for key in keys}
    assert list(set_(world, distrust=(keys[0].id[:12],)).trusted_keys) == [keys[1].id]
    for begin in ("", keys[1].id[:4], "0" * 12):
        with pytest.raises(InvalidArgument, match=f"it trusts {keys[1].id[:12]}|is not one key"):
            set_(world, distrust=(begin,))
    set_(world, require_signature=True)
    with pytest.raises(InvalidArgument, match="signatures of nobody"):
        set_(world, distrust=(keys[1].id,))
    with pytest.raises(InvalidArgument, match="32 bytes"):
        set_(world, trust=(b"x",))
    set_(world, roles={"bob": ModelRole.WRITER})
    with pytest.raises(Denied):
        run(world.moves.set(Kind.MODEL, "digits", ModelChange(trust=(keys[0].public,)), BOB))
