"""Errors as gRPC knows them: one table from class to status code, and the trailer that carries reason, facts and hint."""

from typing import NoReturn
from urllib.parse import quote

from grpc import StatusCode

from aios.v1.errors_pb2 import ErrorDetail
from aiosd import errors
from aiosd.errors import AiosError
from aiosd.rpc.context import Context
from aiosd.rpc.fields import printable

TRAILER = "aios-error-bin"

CODES: dict[type[AiosError], StatusCode] = {
    errors.InvalidArgument: StatusCode.INVALID_ARGUMENT,
    errors.NotFound: StatusCode.NOT_FOUND,
    errors.AlreadyExists: StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: StatusCode.FAILED_PRECONDITION,
    errors.Denied: StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: StatusCode.UNAUTHENTICATED,
    errors.Exhausted: StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: StatusCode.UNAVAILABLE,
    errors.Conflict: StatusCode.ABORTED,
    errors.StorageCorrupt: StatusCode.DATA_LOSS,
    errors.DataLoss: StatusCode.DATA_LOSS,
    errors.StorageUnwritable: StatusCode.FAILED_PRECONDITION,
}

# A client takes 8 KiB of trailers unless told otherwise, and drops the error with them where there is more: the message
# travels percent-encoded (up to three bytes for one), the detail in base64.
_MESSAGE_BYTES = 2500
_FACT_BYTES = 200
_FACTS = 10
_HINT_BYTES = 500
_AS_IS = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")  # what percent-encoding leaves alone in a grpc-message


def code_of(error: AiosError) -> StatusCode:
    return next((CODES[cls] for cls in type(error).__mro__ if cls in CODES), StatusCode.INTERNAL)


def detail_of(error: AiosError) -> ErrorDetail:
    facts = dict(list(error.facts.items())[:_FACTS])
    return ErrorDetail(reason=error.reason, facts={name: _short(value, _FACT_BYTES) for name, value in facts.items()}, hint=_short(error.hint, _HINT_BYTES))


async def abort(context: Context, error: AiosError) -> NoReturn:
    trailer = ((TRAILER, detail_of(error).SerializeToString()),)
    await context.abort(code_of(error), short_message(str(error)), trailer)


def short_message(message: str) -> str:
    """`message`, cut where its percent-encoded form would grow too long for a trailer."""
    whole = printable(message)
    kept = whole[:_MESSAGE_BYTES]
    while len(quote(kept, safe=_AS_IS)) > _MESSAGE_BYTES:
        kept = kept[: len(kept) * 3 // 4]
    return whole if kept == whole else kept + " …"


def _short(value: str, most_bytes: int) -> str:
    encoded = printable(value).encode()
    return encoded.decode() if len(encoded) <= most_bytes else encoded[:most_bytes].decode(errors="ignore") + " …"
