"""The calls that bring versions from one daemon to another."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from aios._carry_calls import CarryCalls
from aios.errors import NotFound
from aios.versions import OnProgress, Transfer

if TYPE_CHECKING:
    from aios._channel import Channel
    from aios._chunks import Held
    from aios.client import Client


class TransferCalls(CarryCalls):
    """A base of StoreCalls."""

    def push(
        self, ref: str, to: "Client | str", *, name: str = "", branch: str = "", history: bool = False, allow_flagged: bool = False,
        on_progress: OnProgress | None = None, timeout: float | None = None,
    ) -> Transfer:  # fmt: skip
        """Bring a version to another daemon, under the same id; only the chunks that are missing there travel, by way of this client.

        What is said of the versions that come before it goes along, so that it has its history there.

        to      a client of it, or its target: "host:port" (with AIOS_TOKEN and TLS as for any client) or "unix:/path"
        name    of the model over there; "": the same
        branch  that goes forward to it there; "": the one that `ref` names, else main
        history the bytes of those before it go along, too, as far as they are here and well
        raises  Conflict (the branch over there has gone another way; both versions are named), Denied, Exhausted; the same call goes on after a break
        """
        with _channel_of(to, self._channel.timeout_s) as other:
            return self._bring(self._held(ref, allow_flagged, timeout), other, ref, name, branch, history, on_progress, timeout)

    def pull(
        self, ref: str, source: "Client | str", *, name: str = "", branch: str = "", history: bool = False, allow_flagged: bool = False,
        on_progress: OnProgress | None = None, timeout: float | None = None,
    ) -> Transfer:  # fmt: skip
        """Bring a version from another daemon here, as `push` does; what is damaged here is whole again afterwards."""
        with _channel_of(source, self._channel.timeout_s) as other:
            try:
                held = TransferCalls(other, self._kind)._held(ref, allow_flagged, timeout)
            except NotFound as error:  # what it says to do is to be done there
                hint = error.hint.replace("`aiosctl ", f"`aiosctl --target {other.target} ")
                raise NotFound(f"{error} at {other.target}", hint=hint, facts=error.facts) from None
            return self._bring(held, self._channel, ref, name, branch, history, on_progress, timeout)

    def _bring(
        self, held: "Held", target: "Channel", ref: str, name: str, branch: str, history: bool, on_progress: OnProgress | None, timeout: float | None
    ) -> Transfer:
        from aios import _sync

        deadline, way = self._deadline(timeout), _sync.way(held, target, ref, name, branch)
        done = [way.go(on_progress, deadline)]
        done += [before.go(on_progress, deadline) for before in (_sync.history(way) if history else ())]
        return Transfer(
            done[0].version, sum(one.chunks_sent for one in done), sum(one.chunks_had for one in done), sum(one.bytes_sent for one in done)
        )  # fmt: skip

    def _held(self, ref: str, allow_flagged: bool, timeout: float | None) -> "Held":
        from aios._chunks import Held
        from aios.v1 import models_pb2 as pb

        found = self._channel.unary("Models/GetVersion", pb.GetVersionRequest(ref=ref, kind=self._wire_kind), pb.Version, timeout)
        return Held(self._channel, found, allow_flagged)

    def _deadline(self, timeout: float | None) -> float | None:
        return None if timeout is None else time.monotonic() + self._channel.allowed(timeout)

    @property
    def _is_remote(self) -> bool:
        return not self._channel.target.socket_path


@contextmanager
def _channel_of(other: "Client | str", timeout_s: float) -> "Iterator[Channel]":
    if not isinstance(other, str):
        yield other._channel
        return
    from aios._channel import Channel
    from aios._target import parse_target

    with closing(Channel(parse_target(other), timeout_s=timeout_s, autostart=False)) as channel:
        yield channel
