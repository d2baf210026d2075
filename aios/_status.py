"""From a failed call to a typed error: by the detail in its trailer, else by its status code."""

import grpc
from google.protobuf.message import DecodeError

from aios import errors
from aios.v1 import errors_pb2

TRAILER = "aios-error-bin"

_BY_CODE: dict[grpc.StatusCode, type[errors.AiosError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgument,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.PERMISSION_DENIED: errors.Denied,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Exhausted,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.UNAVAILABLE: errors.DaemonUnreachable,
    grpc.StatusCode.UNIMPLEMENTED: errors.Unsupported,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Timeout,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
    grpc.StatusCode.DATA_LOSS: errors.StorageCorrupt,
}


def error_of(failure: grpc.RpcError, method: str, target: str) -> errors.AiosError:
    """The error that a failed call means. A reason that this SDK does not know falls back on the status code."""
    code, text = _code_and_text(failure)
    by_code = _BY_CODE.get(code, errors.Internal)
    detail = _detail(failure)
    if detail is not None:
        kind = errors.BY_REASON.get(detail.reason, errors.Unavailable if by_code is errors.DaemonUnreachable else by_code)
        return kind(text, hint=detail.hint, facts=detail.facts, reason=detail.reason)
    message, hint = _words(by_code, method, target, text)
    return by_code(message, hint=hint, facts={"method": method, "target": target, "status": code.name})


def result_error(reason: str, text: str, hint: str) -> errors.AiosError:
    """The error of one job of a selection."""
    return errors.BY_REASON.get(reason, errors.AiosError)(text, hint=hint, reason=reason)


def _words(kind: type[errors.AiosError], method: str, target: str, text: str) -> tuple[str, str]:
    if kind is errors.DaemonUnreachable:
        return f"the daemon at {target} does not answer: {text}", "is it running? see: aiosctl daemon status"
    if kind is errors.Unavailable:  # CANCELLED, and not by us: the SDK types no call that it cancelled itself
        return f"the daemon at {target} gave {method} up: {text}", "it may be stopping; the same request may be repeated"
    if kind is errors.Timeout:
        return f"the daemon at {target} did not answer {method} in time", "allow more with timeout=, and look at its log: aiosctl daemon logs"
    if kind is errors.Unsupported:
        return f"the daemon at {target} does not know {method}", "daemon and SDK differ in version; restart the daemon after an upgrade"
    if kind is errors.Exhausted and "larger than max" in text:
        return f"{method}: the message is too large: {text}", "send less in one call"
    if kind is errors.Internal:
        return f"the daemon failed at {method}: {text}", "its log says more: aiosctl daemon logs"
    return text, ""


def _code_and_text(failure: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    call = _as_call(failure)
    return (call.code(), call.details() or "") if call is not None else (grpc.StatusCode.UNKNOWN, str(failure))


def _detail(failure: grpc.RpcError) -> errors_pb2.ErrorDetail | None:
    call = _as_call(failure)
    for key, value in (call.trailing_metadata() or ()) if call is not None else ():
        if key == TRAILER and isinstance(value, bytes):
            try:
                return errors_pb2.ErrorDetail.FromString(value)
            except DecodeError:  # a garbled trailer is as good as none
                return None
    return None


def _as_call(failure: grpc.RpcError) -> grpc.Call | None:
    """The failed call, which is how gRPC raises its errors; None for one that never became a call."""
    found: object = failure
    return found if isinstance(found, grpc.Call) else None
