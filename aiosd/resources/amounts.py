"""Sums of processors, memory, disk and devices that can be added to and taken from."""

from dataclasses import dataclass, field

from aiosd.resources.grant import Grant


@dataclass(slots=True)
class Amounts:
    """Never below 0. `devices`: by id, thousandths and bytes of its memory."""

    cpu_millis: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    devices: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.cpu_millis or self.memory_bytes or self.disk_bytes or any(millis or memory for millis, memory in self.devices.values()))

    def copy(self) -> "Amounts":
        return Amounts(self.cpu_millis, self.memory_bytes, self.disk_bytes, dict(self.devices))

    def millis_of(self, device_id: str) -> int:
        return self.devices.get(device_id, (0, 0))[0]

    def add_device(self, device_id: str, millis: int, memory_bytes: int) -> None:
        before, memory_before = self.devices.get(device_id, (0, 0))
        self.devices[device_id] = (before + millis, memory_before + memory_bytes)

    def add(self, more: "Amounts | Grant") -> None:
        self.cpu_millis += more.cpu_millis
        self.memory_bytes += more.memory_bytes
        self.disk_bytes += more.disk_bytes
        if isinstance(more, Grant):
            for part in more.devices:
                self.add_device(part.device_id, part.millis, part.memory_bytes)
        else:
            for device_id, (millis, memory_bytes) in more.devices.items():
                self.add_device(device_id, millis, memory_bytes)

    def subtract(self, less: "Amounts") -> None:
        """What is not there cannot be taken away."""
        self.cpu_millis = max(0, self.cpu_millis - less.cpu_millis)
        self.memory_bytes = max(0, self.memory_bytes - less.memory_bytes)
        self.disk_bytes = max(0, self.disk_bytes - less.disk_bytes)
        for device_id, (millis, memory_bytes) in less.devices.items():
            if device_id in self.devices:
                before, memory_before = self.devices[device_id]
                self.devices[device_id] = (max(0, before - millis), max(0, memory_before - memory_bytes))

    def without(self, less: "Amounts") -> "Amounts":
        rest = self.copy()
        rest.subtract(less)
        return rest

    def common(self, other: "Amounts") -> "Amounts":
        """What both have."""
        devices = {i: (min(m, other.devices[i][0]), min(b, other.devices[i][1])) for i, (m, b) in self.devices.items() if i in other.devices}
        return Amounts(min(self.cpu_millis, other.cpu_millis), min(self.memory_bytes, other.memory_bytes), min(self.disk_bytes, other.disk_bytes), devices)

    def raise_to(self, other: "Amounts") -> None:
        """The larger of the two, each by itself."""
        self.cpu_millis = max(self.cpu_millis, other.cpu_millis)
        self.memory_bytes = max(self.memory_bytes, other.memory_bytes)
        self.disk_bytes = max(self.disk_bytes, other.disk_bytes)
        for device_id, (millis, memory_bytes) in other.devices.items():
            before, memory_before = self.devices.get(device_id, (0, 0))
            self.devices[device_id] = (max(before, millis), max(memory_before, memory_bytes))
