"""What surrounds every call: the gate, errors become statuses, the unexpected gets an incident id, and streams are closed."""

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from typing import Any, NoReturn, TypeVar, cast

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from grpc import HandlerCallDetails, StatusCode
from grpc.aio import AbortError, InternalError

from aiosd.access.permissions import name_of
from aiosd.errors import AiosError, AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unauthenticated, Unavailable
from aiosd.rpc.auth import Gate, pace
from aiosd.rpc.concerns import concern
from aiosd.rpc.context import Context, Handler, Interceptor
from aiosd.rpc.status import abort, code_of
from aiosd.rpc.streams import OpenCalls, closing

Packed = bytes | AsyncIterator[bytes]
Incoming = Message | AsyncIterator[Message]
Read = Callable[[Packed], Incoming]
Given = TypeVar("Given")
Work = Callable[[Incoming, Context], Coroutine[Any, Any, Given]]
Answer = Work[Message]
Write = Work[None]
Generate = Callable[[Incoming, Context], AsyncIterator[Message]]
GuardedAnswer = Callable[[Packed, Context], Coroutine[Any, Any, Message]]
GuardedWrite = Callable[[Packed, Context], Coroutine[Any, Any, None]]

_MAKERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
QUIET = (
    InvalidArgument,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    Unavailable,
    Unauthenticated,
)  # the caller's own doing, or logged by whoever is unavailable

log = structlog.get_logger("aiosd.rpc")


class CallGuard(Interceptor):
    """`open_calls` gets every streaming call, and those of `waiting_methods`: unary ones that last ("/aios.v1.Jobs/Wait")."""

    def __init__(self, gate: Gate, open_calls: OpenCalls, waiting_methods: Collection[str] = ()) -> None:
        self._gate = gate
        self._open_calls = open_calls
        self._waiting_methods = frozenset(waiting_methods)
        self._guarded: dict[str, Handler] = {}

    async def intercept_service(self, continuation: Callable[[HandlerCallDetails], Awaitable[Handler]], handler_call_details: HandlerCallDetails) -> Handler:
        method = handler_call_details.method
        known = self._guarded.get(method)
        if known is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler:  # None: no such method. gRPC says UNIMPLEMENTED, and a made-up name takes no memory
            handler = self._guarded[method] = self._guard(method, handler)
        return handler

    def _guard(self, method: str, handler: Handler) -> Handler:
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        read = _reader(handler)
        guarded: GuardedAnswer | GuardedWrite
        if handler.response_streaming:
            guarded = self._guard_stream(method, read, cast(Write | Generate, behaviour))  # a cast, for gRPC's stubs know no async servicers
        else:
            guarded = self._guard_answer(method, read, cast(Answer, behaviour), handler.request_streaming or method in self._waiting_methods)
        make = _MAKERS[handler.request_streaming, handler.response_streaming]
        return make(guarded, None, handler.response_serializer)

    def _guard_answer(self, method: str, read: Read, answer: Answer, lasts: bool) -> GuardedAnswer:
        async def brief(request: Packed, context: Context) -> Message:
            try:
                return await self._answered(method, read, answer, request, context)
            except Exception as error:  # noqa: BLE001  (the last net)
                await _fail(method, context, error)

        async def lasting(request: Packed, context: Context) -> Message:
            try:
                with self._open_calls.one():
                    return await self._answered(method, read, answer, request, context)
            except Exception as error:  # noqa: BLE001  (the last net)
                await _fail(method, context, error)

        return lasting if lasts else brief

    def _guard_stream(self, method: str, read: Read, behaviour: Write | Generate) -> GuardedWrite:
        """A generator is driven here, and not by gRPC, which leaves one to the garbage collector when its client has gone."""
        write = _written(cast(Generate, behaviour)) if inspect.isasyncgenfunction(behaviour) else cast(Write, behaviour)

        async def stream(request: Packed, context: Context) -> None:
            try:
                with self._open_calls.one():
                    await self._answered(method, read, write, request, context)
            except Exception as error:  # noqa: BLE001  (the last net)
                await _fail(method, context, error)

        return stream

    async def _answered(self, method: str, read: Read, work: Work[Given], request: Packed, context: Context) -> Given:
        """Through the gate, and only then unpacked and worked on."""

        def about() -> str:
            return concern(name_of(method), cast(Message, read(request))) if isinstance(request, bytes) else ""

        call = await self._gate.admit(method, context, len(request) if isinstance(request, bytes) else 0, about)
        if call is None:
            return await work(read(request), context)

        async def unpacked() -> Given:
            message = read(request)
            if isinstance(message, Message):
                call.about = concern(call.method, message)
            return await work(message, context)

        with call:
            return await call.run(unpacked())


def _reader(handler: Handler) -> Read:
    """Messages are unpacked inside the guard: what is no message is the caller's mistake, and gRPC would call it ours."""
    unpack = cast(Callable[[bytes], Message], handler.request_deserializer)

    def one(packed: bytes) -> Message:
        try:
            return unpack(packed)
        except DecodeError as error:
            raise InvalidArgument(f"the message cannot be read: {error}", hint="update the client: it speaks another version of the protocol") from error

    async def each(packed: AsyncIterator[bytes]) -> AsyncIterator[Message]:
        async for message in packed:
            yield one(message)
            await pace()

    return cast(Read, each if handler.request_streaming else one)


def _written(generate: Generate) -> Write:
    async def write(request: Incoming, context: Context) -> None:
        async with closing(generate(request, context)) as messages:
            async for message in messages:
                await context.write(message)  # returns when the client's window has room: nothing piles up here
                await pace()

    return write


async def _fail(method: str, context: Context, error: Exception) -> NoReturn:
    """End a call that raised. Logged quietly when the daemon has no part in it, loudly when it is to blame."""
    error = _first_of(error)
    if isinstance(error, AbortError):  # gRPC's own servicers abort by themselves
        raise error
    if isinstance(error, AiosError):
        say = log.debug if isinstance(error, QUIET) else log.info
        say("call failed", method=method, code=code_of(error).name, reason=error.reason, error=str(error), **_prefixed(error.facts))
        await abort(context, error)
    if context.cancelled() or context.done() or isinstance(error, InternalError):  # gRPC's, which may know later that nobody reads any more
        log.debug("call ended by its client", method=method, error=repr(error))
        raise asyncio.CancelledError from error
    if isinstance(error, NotImplementedError):  # what the generated class says where ours says nothing
        await context.abort(StatusCode.UNIMPLEMENTED, f"this daemon does not offer {name_of(method)}")
    incident = secrets.token_hex(4)
    log.error("call crashed", method=method, incident=incident, exc_info=error)
    await context.abort(StatusCode.INTERNAL, f"the daemon failed on this call; its log has the details under incident {incident}")


def _first_of(error: Exception) -> Exception:
    """The error itself, or the first of a task group's, an AiosError before others."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_first_of(each) for each in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, AiosError)), leaves[0])


def _prefixed(facts: dict[str, str]) -> dict[str, str]:
    return {f"fact_{name}": value for name, value in facts.items()}
