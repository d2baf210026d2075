"""gRPC's classes by their full types: its stubs make generics of what cannot be subscripted when it runs."""

from typing import TYPE_CHECKING

from grpc import RpcMethodHandler
from grpc.aio import ServerInterceptor, ServicerContext

if TYPE_CHECKING:
    from google.protobuf.message import Message

    Context = ServicerContext[Message, Message]
    Handler = RpcMethodHandler[Message, Message]
    Interceptor = ServerInterceptor[Message, Message]
else:
    Context, Handler, Interceptor = ServicerContext, RpcMethodHandler, ServerInterceptor
