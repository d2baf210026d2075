"""The calls of the client about what a model may do: scan, allow, sign, and whether it is signed."""

import os
from typing import TYPE_CHECKING

from aios.versions import Scan, ScanFinding, Signature, SignatureCheck, Version

if TYPE_CHECKING:
    from aios._channel import Channel

_PATIENCE_S = 600.0  # a large model is put together before it is looked through


class SafetyCalls:
    """Of models, or of datasets; see `StoreCalls`."""

    _channel: "Channel"
    _kind: str

    def scan(self, ref: str, *, timeout: float | None = None) -> Scan:
        """Have the daemon look through a stored version again for what it would do when it is loaded."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.ScanRequest(ref=ref, kind=_convert_models.KINDS[self._kind])
        answer = self._channel.unary("Models/Scan", request, pb.ScanResponse, _PATIENCE_S if timeout is None else timeout)
        return Scan(answer.state, tuple(ScanFinding(one.file, one.severity, one.what) for one in answer.findings))

    def allow(self, ref: str, why: str, *, timeout: float | None = None) -> Version:
        """What is flagged may be used from now on, by whoever may use the model. Takes an operator; `why` is kept with it."""
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.AllowRequest(ref=ref, kind=_convert_models.KINDS[self._kind], why=why)
        return _convert_models.version(self._channel.unary("Models/Allow", request, pb.Version, timeout, repeatable=False))

    def sign(self, ref: str, key: "str | os.PathLike[str]", *, timeout: float | None = None) -> Signature:
        """Sign a version with the private key (Ed25519, PEM) in the file `key`, which is used here and sent nowhere."""
        from aios import _convert_models, signatures
        from aios.v1 import models_pb2 as pb

        version = self._listed(ref, timeout)
        public, signature = signatures.sign(version, key)
        request = pb.SignRequest(ref=f"{version.model}@{version.id}", kind=_convert_models.KINDS[self._kind], signature=signature, public_key=public)
        made = self._channel.unary("Models/Sign", request, pb.Signature, timeout)
        return Signature(made.key_id, made.format, made.signature, made.signed_at_s, made.signed_by)

    def verify_signature(self, ref: str, key: "str | os.PathLike[str]", *, timeout: float | None = None) -> SignatureCheck:
        """Whether a version is signed by the key whose public part (PEM) is in the file `key`. It is found out here and asked of the daemon, too."""
        from aios import _convert_models, signatures
        from aios.v1 import models_pb2 as pb

        public = signatures.public_key(key)
        version = self._listed(ref, timeout)
        request = pb.VerifySignatureRequest(ref=f"{version.model}@{version.id}", kind=_convert_models.KINDS[self._kind], public_key=public)
        answer = self._channel.unary("Models/VerifySignature", request, pb.VerifySignatureResponse, timeout)
        reason = answer.reason
        if answer.valid and not any(
            one.key_id == signatures.key_id(public) and signatures.is_right(version, public, one.signature) for one in version.signatures
        ):
            reason = "the daemon says that it is signed, and the signature that it has is not right"
        return SignatureCheck(version, signatures.key_id(public), not reason, reason)

    def _listed(self, ref: str, timeout: float | None) -> Version:
        from aios import _convert_models
        from aios.v1 import models_pb2 as pb

        request = pb.GetVersionRequest(ref=ref, kind=_convert_models.KINDS[self._kind], listing=True)
        return _convert_models.version(self._channel.unary("Models/GetVersion", request, pb.Version, timeout))
