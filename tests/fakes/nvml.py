"""NVIDIA's management library, playing recorded answers: an 8-GPU NVLink box, a card split by MIG, a card that fails."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

NOT_SUPPORTED, NOT_FOUND, DRIVER_NOT_LOADED, TIMEOUT, GPU_IS_LOST, UNKNOWN = 3, 6, 9, 10, 15, 999
RECORDINGS = Path(__file__).parent / "recordings"
_WORDS = {
    NOT_SUPPORTED: "Not Supported",
    NOT_FOUND: "Not Found",
    DRIVER_NOT_LOADED: "Driver Not Loaded",
    TIMEOUT: "Timeout",
    GPU_IS_LOST: "GPU is lost",
    UNKNOWN: "Unknown Error",
}
GIB = 1 << 30


class FakeNvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(_WORDS[value])
        self.value = value


@dataclass(frozen=True)
class Memory:
    total: int


@dataclass(frozen=True)
class Pci:
    busId: str  # noqa: N815  # NVML's name


@dataclass(frozen=True)
class Card:
    """One GPU or MIG instance. An answer that is an int in `errors`, by function, is raised instead."""

    uuid: str
    name: str
    memory_bytes: int
    minor: int = -1
    bus: str = ""
    mig: tuple["Card | None", ...] | None = None  # None: not split; None within: an empty slot
    gi: int = -1
    ci: int = -1
    errors: Mapping[str, int] = field(default_factory=dict)
    compute: tuple[tuple[int, int | None], ...] = ()  # pid and bytes
    graphics: tuple[tuple[int, int | None], ...] = ()
    utilisation: int | None = None  # percent; None: not supported
    samples: tuple[tuple[int, int, int], ...] | None = None  # pid, percent, microseconds; None: not supported
    ecc_errors: int | None = None
    xids: tuple[int, ...] = ()  # reported once
    nvlinks: tuple[str, ...] = ()  # what is at the other end of each: the bus of a GPU, "switch", or "" for one that is down
    capability: tuple[int, int] = (8, 0)


class FakeNvml:
    """Speaks like pynvml. `links` has the level, or "nvlink", of pairs of uuids."""

    NVMLError = FakeNvmlError

    def __init__(self, cards: tuple[Card, ...] = (), links: Mapping[tuple[str, str], int | str] | None = None, init_error: int = 0) -> None:
        self._cards = cards
        self._links = dict(links or {})
        self._init_error = init_error
        self._frame, self._reported_frame = 0, -1
        self.registered: set[tuple[str, int]] = set()
        self.open = False

    def _check(self, card: Card, function: str) -> Card:
        assert self.open, "asked before nvmlInit or after nvmlShutdown"
        if function in card.errors:
            raise FakeNvmlError(card.errors[function])
        return card

    def nvmlInit(self) -> None:
        if self._init_error:
            raise FakeNvmlError(self._init_error)
        self.open = True

    def nvmlShutdown(self) -> None:
        self.open = False

    def nvmlDeviceGetCount(self) -> int:
        assert self.open
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        return self._check(self._cards[index], "handle")

    def nvmlDeviceGetUUID(self, card: Card) -> str:
        return self._check(card, "uuid").uuid

    def nvmlDeviceGetName(self, card: Card) -> str:
        return self._check(card, "name").name

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Memory:
        return Memory(self._check(card, "memory").memory_bytes)

    def nvmlDeviceGetMinorNumber(self, card: Card) -> int:
        if self._check(card, "minor").minor < 0:
            raise FakeNvmlError(NOT_SUPPORTED)
        return card.minor

    def nvmlDeviceGetPciInfo(self, card: Card) -> Pci:
        if not self._check(card, "pci").bus:
            raise FakeNvmlError(NOT_SUPPORTED)
        return Pci(card.bus)

    def nvmlDeviceGetMigMode(self, card: Card) -> list[int]:
        self._check(card, "mig")
        return [int(card.mig is not None)] * 2

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:
        return len(self._check(card, "mig").mig or ())

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, index: int) -> Card:
        part = (self._check(card, "mig").mig or ())[index]
        if part is None:
            raise FakeNvmlError(NOT_FOUND)
        return self._check(part, "handle")

    def nvmlDeviceGetGpuInstanceId(self, card: Card) -> int:
        return self._check(card, "gi").gi

    def nvmlDeviceGetComputeInstanceId(self, card: Card) -> int:
        return self._check(card, "ci").ci

    def nvmlDeviceGetP2PStatus(self, a: Card, b: Card, capability: int) -> int:
        assert capability == 2, "NVML_P2P_CAPS_INDEX_NVLINK"
        return 0 if self._between(a, b) == "nvlink" else 5

    def nvmlDeviceGetTopologyCommonAncestor(self, a: Card, b: Card) -> int:
        level = self._between(a, b)
        return level if isinstance(level, int) else 50

    def nvmlDeviceGetCudaComputeCapability(self, card: Card) -> tuple[int, int]:
        return self._check(card, "capability").capability

    def nvmlDeviceGetNvLinkState(self, card: Card, link: int) -> int:
        return int(bool(self._nvlink(card, link)))

    def nvmlDeviceGetNvLinkRemoteDeviceType(self, card: Card, link: int) -> int:
        return 2 if self._nvlink(card, link) == "switch" else 0

    def nvmlDeviceGetNvLinkRemotePciInfo(self, card: Card, link: int) -> Pci:
        return Pci(self._nvlink(card, link))

    def _nvlink(self, card: Card, link: int) -> str:
        if link >= len(self._check(card, "nvlink").nvlinks):
            raise FakeNvmlError(NOT_SUPPORTED)
        return card.nvlinks[link]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Card:
        for card in self._cards:
            for known in (card, *(part for part in card.mig or () if part is not None)):
                if known.uuid == uuid:
                    return self._check(known, "handle")
        raise FakeNvmlError(NOT_FOUND)

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=memory) for pid, memory in self._check(card, "processes").compute]

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: Card) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=memory) for pid, memory in self._check(card, "processes").graphics]

    def nvmlDeviceGetProcessUtilization(self, card: Card, since_us: int) -> list[SimpleNamespace]:
        samples = self._check(card, "samples").samples
        if samples is None:
            raise FakeNvmlError(NOT_SUPPORTED)
        new = [SimpleNamespace(pid=pid, smUtil=percent, timeStamp=at_us) for pid, percent, at_us in samples if at_us > since_us]
        if not new:
            raise FakeNvmlError(NOT_FOUND)
        return new

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> SimpleNamespace:
        if self._check(card, "utilisation").utilisation is None:
            raise FakeNvmlError(NOT_SUPPORTED)
        return SimpleNamespace(gpu=card.utilisation)

    def nvmlDeviceGetTotalEccErrors(self, card: Card, error_type: int, counter_type: int) -> int:
        assert (error_type, counter_type) == (1, 0), "uncorrected, volatile"
        found = self._check(card, "ecc").ecc_errors
        if found is None:
            raise FakeNvmlError(NOT_SUPPORTED)
        return found

    def nvmlEventSetCreate(self) -> list[SimpleNamespace]:
        return []

    def nvmlDeviceRegisterEvents(self, card: Card, kinds: int, events: list[SimpleNamespace]) -> None:
        self._check(card, "events")
        self.registered.add((card.uuid, kinds))

    def nvmlEventSetWait_v2(self, events: list[SimpleNamespace], timeout_ms: int) -> SimpleNamespace:
        assert timeout_ms == 0, "the look must not wait"
        events += self._new_events()
        if not events:
            raise FakeNvmlError(TIMEOUT)
        return events.pop(0)

    def _new_events(self) -> list[SimpleNamespace]:
        """Those of the frame that is played, once, of cards whose events were registered."""
        if self._reported_frame == self._frame:
            return []
        self._reported_frame = self._frame
        return [SimpleNamespace(device=c, eventType=8, eventData=xid) for c in self._cards for xid in c.xids if (c.uuid, 8) in self.registered]

    def _between(self, a: Card, b: Card) -> int | str:
        return self._links.get((a.uuid, b.uuid), 50)


def a100(index: int, **changes: object) -> Card:
    """As a DGX A100 answers: 40 GiB cards, four on each of two sockets."""
    answers: dict[str, object] = {
        "uuid": f"GPU-{index:08x}-7bd2-4e4f-8a11-0123456789ab",
        "name": "NVIDIA A100-SXM4-40GB",
        "memory_bytes": 42949672960,
        "minor": index,
        "bus": f"00000000:{0x07 + 0x20 * index:02X}:00.0",
    }
    return Card(**(answers | changes))  # type: ignore[arg-type]


def nvlink_box() -> FakeNvml:
    """Eight GPUs with twelve NVLinks each, every pair connected through switches."""
    cards = tuple(a100(index, nvlinks=("switch",) * 12) for index in range(8))
    return FakeNvml(cards, {(a.uuid, b.uuid): "nvlink" for a in cards for b in cards})


def mig_card() -> FakeNvml:
    """One A100 split into a 3g.20gb, an empty slot and a 1g.5gb, beside one that is whole."""
    parts = (
        Card("MIG-11111111-aaaa-5555-8888-000000000001", "NVIDIA A100-SXM4-40GB MIG 3g.20gb", 21_208_498_176, gi=2, ci=0),
        None,
        Card("MIG-11111111-aaaa-5555-8888-000000000002", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5_100_273_664, gi=9, ci=0),
    )
    return FakeNvml((a100(0, mig=parts), a100(1, errors={"mig": NOT_SUPPORTED})))


def failing_card() -> FakeNvml:
    """Three cards: one fell off the bus, one cannot even be opened, one is well."""
    return FakeNvml((a100(0, errors=dict.fromkeys(("memory", "mig", "pci"), GPU_IS_LOST)), a100(1, errors={"handle": UNKNOWN}), a100(2)))


class PlayedNvml(FakeNvml):
    """Plays a recording, frame by frame: `advance` goes on to the next; the last one stays."""

    def __init__(self, frames: Sequence[Sequence[Card]]) -> None:
        self.frames = frames
        super().__init__()

    @property
    def _cards(self) -> tuple[Card, ...]:
        return tuple(self.frames[self._frame])

    @_cards.setter
    def _cards(self, cards: tuple[Card, ...]) -> None:
        """What the first frame has is what there is."""

    def advance(self) -> None:
        self._frame = min(self._frame + 1, len(self.frames) - 1)


def played(name: str, pids: Mapping[int, int] | None = None) -> PlayedNvml:
    """A recording of tests/fakes/recordings; `pids` puts processes of this machine in the place of recorded ones."""
    return PlayedNvml(frames_of(json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8")), pids or {}))


def frames_of(recording: Mapping[str, object], pids: Mapping[int, int]) -> list[list[Card]]:
    frames = recording["frames"]
    assert isinstance(frames, list)
    return [[card_of(card, pids) for card in frame["cards"]] for frame in frames]


def card_of(record: Mapping[str, object], pids: Mapping[int, int]) -> Card:
    """A card as it was recorded: `record_nvml.py` says what each field is."""
    fields = dict(record)
    for name in ("compute", "graphics", "samples"):
        if fields.get(name) is not None:
            fields[name] = tuple((pids.get(pid, pid), *rest) for pid, *rest in fields[name])  # type: ignore[attr-defined]
    if fields.get("mig") is not None:
        fields["mig"] = tuple(None if part is None else card_of(part, pids) for part in fields["mig"])  # type: ignore[attr-defined]
    fields["xids"] = tuple(fields.get("xids", ()))  # type: ignore[arg-type]
    return Card(**fields)  # type: ignore[arg-type]
