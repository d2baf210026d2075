"""NVIDIA's management library, playing recorded answers: an 8-GPU NVLink box, a card split by MIG, a card that fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field

NOT_SUPPORTED, NOT_FOUND, DRIVER_NOT_LOADED, GPU_IS_LOST, UNKNOWN = 3, 6, 9, 15, 999
_WORDS = {NOT_SUPPORTED: "Not Supported", NOT_FOUND: "Not Found", DRIVER_NOT_LOADED: "Driver Not Loaded", GPU_IS_LOST: "GPU is lost", UNKNOWN: "Unknown Error"}
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


class FakeNvml:
    """Speaks like pynvml. `links` has the level, or "nvlink", of pairs of uuids."""

    NVMLError = FakeNvmlError

    def __init__(self, cards: tuple[Card, ...] = (), links: Mapping[tuple[str, str], int | str] | None = None, init_error: int = 0) -> None:
        self._cards = cards
        self._links = dict(links or {})
        self._init_error = init_error
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
    """Eight GPUs, every pair connected by NVLink through switches."""
    cards = tuple(a100(index) for index in range(8))
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
