"""`python -m benchmarks.model_transfer`: versions between two daemons on this machine, beside `cp` and a bare gRPC stream of as many bytes."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import grpc

from benchmarks import machine
from benchmarks.daemon import private_daemon
from benchmarks.options import count, parser
from benchmarks.report import Report, seconds

MIB = 1 << 20
T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser("model_transfer", "Pushes, uploads and downloads of one large file")
    options.add_argument("--mib", type=count, default=256, help="of the file (default: %(default)s)")
    given = options.parse_args(arguments)
    waited_s = machine.wait_until_quiet(given.wait_quiet)
    with ExitStack() as stack:
        here, there = (stack.enter_context(private_daemon(state_in=given.directory)) for _ in range(2))
        report = Report("model_transfer", {**machine.facts(here.root, waited_s), "mib": given.mib}, ("took", "MiB/s", "sent"))
        ours, theirs = stack.enter_context(here.client()), stack.enter_context(there.client())
        run = Run(report, given.mib * MIB)
        data = bytearray(os.urandom(run.size))
        file = here.root / "weights.bin"
        file.write_bytes(data)
        ours.models.register("warm", __file__)
        ours.models.push("warm", theirs)
        run.timed("cp", lambda: subprocess.run(["cp", str(file), str(here.root / "copy")], check=True))
        run.timed("bare_stream", lambda: bare_stream(file, here.root))
        run.timed("register", lambda: ours.models.register("m", file))
        run.timed("push", lambda: ours.models.push("m", theirs).bytes_sent)
        run.timed("push_again", lambda: ours.models.push("m", theirs).bytes_sent)
        data[run.size // 2 : run.size // 2 + run.size // 100] = os.urandom(run.size // 100)
        file.write_bytes(data)
        ours.models.register("m", file)
        run.timed("push_1_percent", lambda: ours.models.push("m", theirs).bytes_sent)
        run.timed("upload", lambda: theirs.models.register("uploaded", file, upload=True))
        run.timed("download", lambda: theirs.models.checkout("m", there.root / "down", download=True))
        report.note("push, upload and download go over sockets of this machine; all of it is verified at the end that it goes to")
        report.show()


class Run:
    """One line of the report for each thing that is done with `size` bytes."""

    def __init__(self, report: Report, size: int) -> None:
        self._report, self.size = report, size

    def timed(self, key: str, work: Callable[[], object]) -> None:
        began_s = time.perf_counter()
        done = work()
        took_s = time.perf_counter() - began_s
        sent = done if isinstance(done, int) else None
        rate = self.size / MIB / took_s
        shown = (seconds(took_s), f"{rate:.0f}", "" if sent is None else f"{100 * sent / self.size:.2f} %")
        self._report.add(key, key.replace("_", " "), shown, took_s=took_s, mib_per_s=rate, sent_bytes=sent)


def bare_stream(file: Path, directory: Path) -> None:
    """A client stream of 1 MiB messages to a server that counts them."""
    server = grpc.server(ThreadPoolExecutor(2))
    count_them = grpc.stream_unary_rpc_method_handler(lambda pieces, context: str(sum(map(len, pieces))).encode())
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("bench", {"Send": count_them})])
    server.add_insecure_port(f"unix:{directory}/bare.sock")
    server.start()
    with grpc.insecure_channel(f"unix:{directory}/bare.sock") as channel:
        assert int(channel.stream_unary("/bench/Send")(_pieces(file))) == file.stat().st_size
    server.stop(None)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(MIB):
            yield piece


if __name__ == "__main__":
    main()
