"""Random and mutated messages at every RPC of every service: no crash, no hang, and nothing changes without an acknowledged success."""

import asyncio
import importlib
import os
import pkgutil
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

import aios.v1
from aios.v1 import jobs_pb2 as pb
from aios.v1.jobs_pb2_grpc import JobsStub
from tests.e2e.daemon import LONG, Daemon, a_daemon

SECONDS = 120.0 if LONG else 8.0
CALL_S = 30.0  # longer, and it hangs: nothing here has much to do
LASTING = ("Jobs.Watch", "Jobs.Logs", "Jobs.Wait", "Jobs.Attach", "Jobs.WriteInput")  # their clients leave after a moment
LEFT_OUT = ("Node.Stop",)  # does what it says; it has no fields
TEXTS = ("", "1", "2.7", "default", "x" * 300, "\0", "é漢\u202e", "../../etc/passwd", "%j %a %n", "-1", "0-9%2", "0-99999999999", "USR1", "fair", "{}", "'\"")
WHOLE = (0, 1, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 1000)
REAL = (0.0, 1.0, -1.0, 1e-300, 1e300, float("inf"), float("-inf"), float("nan"))


def methods() -> list[MethodDescriptor]:
    modules = [importlib.import_module(f"aios.v1.{info.name}") for info in pkgutil.iter_modules(aios.v1.__path__) if info.name.endswith("_pb2")]
    found = [method for module in modules for service in module.DESCRIPTOR.services_by_name.values() for method in service.methods]
    return [method for method in found if name_of(method) not in LEFT_OUT]


def name_of(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}.{method.name}"


def fill(message: Message, chance: random.Random, depth: int = 0) -> Message:
    """Some of the fields, with values at the ends of what fits."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < (0.55 if depth == 0 else 0.3):
            _put(message, field, chance, depth)
    return message


def _put(message: Message, field: FieldDescriptor, chance: random.Random, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        for _ in range(chance.randrange(3)):
            value = field.message_type.fields_by_name["value"]
            if value.message_type is None:
                getattr(message, field.name)[chance.choice(TEXTS)] = _value(value, chance)
    elif field.message_type is not None:
        if depth < 4:
            targets = [getattr(message, field.name).add() for _ in range(chance.randrange(4))] if field.is_repeated else [getattr(message, field.name)]
            for target in targets:
                fill(target, chance, depth + 1)
    elif field.is_repeated:
        getattr(message, field.name).extend(_value(field, chance) for _ in range(chance.choice((0, 1, 3, 40))))
    else:
        setattr(message, field.name, _value(field, chance))


def _value(field: FieldDescriptor, chance: random.Random) -> object:
    kinds = FieldDescriptor
    if field.cpp_type == kinds.CPPTYPE_STRING:
        text = chance.choice(TEXTS)
        return text.encode() if field.type == kinds.TYPE_BYTES else text
    if field.cpp_type == kinds.CPPTYPE_BOOL:
        return chance.random() < 0.5
    if field.cpp_type in (kinds.CPPTYPE_DOUBLE, kinds.CPPTYPE_FLOAT):
        return chance.choice(REAL)
    if field.cpp_type == kinds.CPPTYPE_ENUM:
        return chance.choice((0, 1, 2, 99))
    low, high = {
        kinds.CPPTYPE_INT32: (-(2**31), 2**31 - 1), kinds.CPPTYPE_UINT32: (0, 2**32 - 1), kinds.CPPTYPE_INT64: (-(2**63), 2**63 - 1), kinds.CPPTYPE_UINT64: (0, 2**64 - 1),
    }[field.cpp_type]  # fmt: skip
    return min(high, max(low, chance.choice(WHOLE)))


def mutated(packed: bytes, chance: random.Random) -> bytes:
    """The message, or what becomes of it when bytes are changed, dropped, doubled or made up."""
    way = chance.randrange(8)
    if way == 0:
        return chance.randbytes(chance.randrange(60))
    if not packed or way > 4:
        return packed
    at = chance.randrange(len(packed))
    return {1: packed[:at], 2: packed[:at] + chance.randbytes(1) + packed[at + 1 :], 3: packed + packed, 4: packed[:at] + packed[at + 1 :]}[way]


class Fuzz:
    """Throws at one daemon; `submitted` are the jobs that it acknowledged."""

    def __init__(self, daemon: Daemon, channel: grpc.aio.Channel, seed: int) -> None:
        self.daemon, self.channel = daemon, channel
        self.chance = random.Random(seed)
        self.submitted: set[str] = set()
        self.answers: dict[str, dict[str, int]] = {}

    async def throw(self, method: MethodDescriptor, metadata: tuple[tuple[str, str], ...]) -> None:
        name, kind = name_of(method), GetMessageClass(method.input_type)
        requests = [mutated(self._message(name, kind).SerializeToString(), self.chance) for _ in range(self.chance.choice((1, 1, 1, 0, 4)))]
        code = "OK"
        try:
            await self._call(method, requests, metadata, 0.3 if name in LASTING else CALL_S)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            crashed = error.code() is grpc.StatusCode.UNKNOWN or "incident" in str(error.details())  # else INTERNAL is of this side of the wire
            assert not crashed, f"{name}: {error.details()}; sent {requests!r}"
            assert code != "DEADLINE_EXCEEDED" or name in LASTING, f"{name} hangs; sent {requests!r}"
        counts = self.answers.setdefault(name, {})
        counts[code] = counts.get(code, 0) + 1

    def _message(self, name: str, kind: type[Message]) -> Message:
        """Anything; of submissions half are almost right, so that some get far."""
        if name != "Jobs.Submit" or self.chance.random() < 0.5:
            return fill(kind(), self.chance)
        spec = fill(pb.JobSpec(), self.chance, 3) if self.chance.random() < 0.7 else pb.JobSpec()
        spec.MergeFrom(pb.JobSpec(command=["true"], held=True, cwd="/"))
        spec.cwd = "/"
        return pb.SubmitJobsRequest(specs=[spec] * self.chance.choice((1, 1, 3)), idempotency_key=self.chance.choice(("", "", "k")))

    async def _call(self, method: MethodDescriptor, requests: list[bytes], metadata: tuple[tuple[str, str], ...], timeout_s: float) -> None:
        path, channel = f"/{method.containing_service.full_name}/{method.name}", self.channel
        streamed = iter(requests) if method.client_streaming else requests[0] if requests else b""
        make: Callable[..., object] = {
            (False, False): channel.unary_unary, (False, True): channel.unary_stream, (True, False): channel.stream_unary, (True, True): channel.stream_stream,
        }[method.client_streaming, method.server_streaming]  # fmt: skip
        call = make(path)(streamed, metadata=metadata, timeout=timeout_s)  # type: ignore[operator]
        if isinstance(call, AsyncIterator) or hasattr(call, "__aiter__"):
            async for _ in call:
                self.chance.random()
            return
        answer = await call
        if name_of(method) == "Jobs.Submit":
            self.submitted |= {job.id for job in pb.SubmitJobsResponse.FromString(answer).jobs}


async def _fuzz(daemon: Daemon, seed: int) -> Fuzz:
    async with grpc.aio.insecure_channel(daemon.target) as channel:
        fuzz, ends_s = Fuzz(daemon, channel, seed), time.monotonic() + SECONDS
        every, client = methods(), daemon.client()
        while time.monotonic() < ends_s:
            metadata = (("authorization", f"Bearer {client.credential()}"),)
            await asyncio.gather(*(fuzz.throw(method, metadata if fuzz.chance.random() < 0.95 else ()) for method in fuzz.chance.sample(every, len(every))))
        stub, token, known = JobsStub(channel), "", set()
        while True:
            wanted = pb.ListJobsRequest(filter=pb.JobFilter(include_ended=True), page_size=1000, page_token=token)
            page = await stub.List(wanted, metadata=daemon.metadata(), timeout=CALL_S)
            known |= {job.id for job in page.jobs}
            token = page.next_page_token
            if not token:
                break
        assert known == fuzz.submitted, "every job was acknowledged, and every acknowledged one is there"
        return fuzz


@pytest.mark.timeout(300)
def test_no_message_crashes_hangs_or_changes_what_was_not_acknowledged() -> None:
    seed = int(os.environ.get("AIOS_FUZZ_SEED", str(random.randrange(2**32))))
    print(f"AIOS_FUZZ_SEED={seed}")  # pytest shows it when the test fails
    with a_daemon({"AIOSD_DAEMON__LOG_LEVEL": "info"}) as daemon:
        daemon.start()
        pid = daemon.pid
        fuzz = asyncio.run(_fuzz(daemon, seed))
        print(fuzz.answers)
        assert daemon.answers()
        assert (daemon.running.poll(), daemon.pid) == (None, pid)
        assert not [record for record in daemon.logged() if record.get("event") == "call crashed"]
        assert {name_of(method) for method in methods()} == set(fuzz.answers)
        assert sum(counts.get("OK", 0) for counts in fuzz.answers.values()) > 10  # some of it was understood
        assert not list(Path(daemon.root).glob("**/*core*"))
