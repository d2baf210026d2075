"""What makes a version one that may be used: looked through for what it would do when it is loaded, allowed all the same, signed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from aiosd.errors import FailedPrecondition, InvalidArgument
from aiosd.models import permits, signing
from aiosd.models.care_service import ModelCare
from aiosd.models.findings import ScanFinding
from aiosd.models.history import SHORT
from aiosd.models.model import ModelRole, Signature
from aiosd.models.permits import Caller
from aiosd.models.ports import ModelChanges
from aiosd.models.read_service import Found, ModelReader
from aiosd.models.version import Kind, Version, VersionState

log = structlog.get_logger("models")


@dataclass(frozen=True, slots=True)
class Scanned:
    version: Version
    findings: Sequence[ScanFinding]


@dataclass(frozen=True, slots=True)
class Checked:
    """`reason`: why a signature does not count; "": it does."""

    key_id: str
    reason: str = ""


@dataclass(slots=True)
class ModelSafety:
    care: ModelCare

    @property
    def reader(self) -> ModelReader:
        return self.care.reader

    async def scan(self, kind: Kind, ref: str, by: Caller) -> Scanned:
        """Look through a stored version again, as whoever brought it may have been faster than what the scanner knows today.

        One that is registered may be flagged then, and never the other way round: a reason may have come from elsewhere, or from files beside
        these, and who reads a model takes none back. That is for `allow`; what somebody has allowed stays so.
        """
        found = await self.reader.find(kind, ref, by)
        findings = await self.care.vault.examine(await self.reader.manifest(found.version))
        async with self.care.deciding:
            version = await self._again(found, by)
            reasons = tuple(dict.fromkeys((*version.reasons, *map(str, findings))))
            if version.state in (VersionState.REGISTERED, VersionState.FLAGGED) and version.reasons != reasons:
                version = replace(version, state=VersionState.FLAGGED, reasons=reasons)
                await self.care.store.commit(ModelChanges(states=[version]))
        log.info("scanned", model=version.model, kind=kind, version=version.id, state=version.state, findings=len(findings))
        return Scanned(version, findings)

    async def allow(self, kind: Kind, ref: str, why: str, by: Caller) -> Version:
        """Whoever may use the model may use this version of it from now on. Raises Denied, FailedPrecondition where it is not flagged."""
        if not why.strip():
            raise InvalidArgument("why it may be used was not said", hint="say who has looked at it, or where it comes from: --why TEXT", field="why")
        found = await self.reader.find(kind, ref, by, ModelRole.OWNER, "allow what is flagged")
        permits.check_allows(by)
        async with self.care.deciding:
            version = await self._again(found, by)
            if version.state is not VersionState.FLAGGED:
                raise FailedPrecondition(
                    f"{version.model}@{version.id[:SHORT]} is {version.state}, not flagged", hint="there is nothing to allow", version=version.id
                )
            version = permits.allowed(version, by, why)
            await self.care.store.commit(ModelChanges(states=[version]))
        log.warning("allowed", model=version.model, kind=kind, version=version.id, by=by.name, why=why)
        return version

    async def sign(self, kind: Kind, ref: str, public: bytes, signature: bytes, by: Caller) -> Signature:
        """Keep a signature that the caller has made with a key of their own. Raises InvalidArgument for one that is wrong."""
        _check_key(public)
        if len(signature) != signing.SIGNATURE_BYTES:
            raise InvalidArgument(f"signature has {len(signature)} bytes; one of Ed25519 has {signing.SIGNATURE_BYTES}", field="signature")
        found = await self.reader.find(kind, ref, by, ModelRole.WRITER, "sign versions of it")
        version = found.version
        if not await asyncio.to_thread(signing.is_right, public, signature, version, await self.reader.manifest(version)):
            raise InvalidArgument(
                f"the signature is not one of {version.model}@{version.id[:SHORT]} by this key", hint="has the reference moved meanwhile? Sign it by its id",
                field="signature", version=version.id,
            )  # fmt: skip
        made = Signature(version.id, signing.key_id(public), signing.FORMAT, signature, self.care.wall_s(), by.name)
        await self.care.store.commit(ModelChanges(signatures=[made]))
        log.info("signed", model=version.model, kind=kind, version=version.id, key=made.key_id, by=by.name)
        return made

    async def verify_signature(self, kind: Kind, ref: str, public: bytes, by: Caller) -> Checked:
        """Whether a version is signed by this key."""
        _check_key(public)
        version, wanted = (await self.reader.find(kind, ref, by)).version, signing.key_id(public)
        signatures = {one.key_id: one for one in await self.reader.store.signatures(version.id)}
        if wanted not in signatures:
            by_others = ", ".join(f"{id_[:SHORT]}" for id_ in signatures)
            return Checked(wanted, f"it is not signed by this key{f'; it is by {by_others}' if by_others else ', nor by another'}")
        right = await asyncio.to_thread(signing.is_right, public, signatures[wanted].signature, version, await self.reader.manifest(version))
        return Checked(wanted, "" if right else "the signature that is kept is not one of this version")

    async def _again(self, found: Found, by: Caller) -> Version:
        """As it is now."""
        version = found.version
        return (await self.reader.find(version.commit.kind, f"{version.model}@{version.id}", by)).version


def _check_key(public: bytes) -> None:
    if len(public) != signing.KEY_BYTES:
        raise InvalidArgument(f"public_key has {len(public)} bytes; one of Ed25519 has {signing.KEY_BYTES}", field="public_key")
