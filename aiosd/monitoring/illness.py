"""Which devices are ill: those that stop answering, and those of which the driver reports what only a failing device does."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiosd.monitoring.looks import DeviceLook
from aiosd.monitoring.steady import Latch

# From NVIDIA's "XID Errors", those that say that the device, its memory or its link fails. The others (13, 31, 43, 45 …) are what
# a program with an error in it causes: they end that program, and the device is as well as before.
CRITICAL_XIDS: Mapping[int, str] = {
    48: "double-bit memory error",
    62: "internal micro-controller halt",
    63: "memory page retirement or row remapping",
    64: "memory page retirement or row remapping failed",
    74: "NVLink error",
    79: "it has fallen off the bus",
    92: "high rate of single-bit memory errors",
    94: "contained memory error",
    95: "uncontained memory error",
    109: "context switch timed out",
    119: "its GSP does not answer",
    120: "GSP error",
    140: "unrecovered memory error",
}
LOOKS_ILL = 3  # without an answer
LOOKS_WELL = 5
QUIET_S = 60.0  # after the last error that was reported, until it counts as recovered


@dataclass(slots=True)
class _Patient:
    latch: Latch = field(default_factory=lambda: Latch(LOOKS_ILL, LOOKS_WELL))
    trouble: str = ""
    reported: str = ""
    reported_at_s: float = 0.0
    memory_errors: int | None = None


@dataclass(slots=True)
class Illness:
    """`see` each device in each look; `health` says "ok" or what is wrong, of every device that was ever seen."""

    patients: dict[str, _Patient] = field(default_factory=dict)

    def see(self, look: DeviceLook, now_s: float) -> None:
        patient = self.patients.setdefault(look.device_id, _Patient())
        if look.trouble:
            patient.trouble = look.trouble
        patient.latch.feed(bool(look.trouble))
        for xid in look.xids:
            if xid in CRITICAL_XIDS:
                patient.reported, patient.reported_at_s = f"XID {xid}: {CRITICAL_XIDS[xid]}", now_s
        self._count_memory_errors(patient, look.memory_errors, now_s)

    def _count_memory_errors(self, patient: _Patient, count: int | None, now_s: float) -> None:
        """What was there at the first look is history: the driver counts since it was loaded."""
        if count is None:
            return
        if patient.memory_errors is not None and count > patient.memory_errors:
            patient.reported, patient.reported_at_s = f"{count - patient.memory_errors} new uncorrectable memory errors", now_s
        patient.memory_errors = count

    def health(self, now_s: float) -> dict[str, str]:
        found = {}
        for device_id, patient in self.patients.items():
            if patient.reported and now_s - patient.reported_at_s > QUIET_S and not patient.latch.on:
                patient.reported = ""
            found[device_id] = patient.reported or (patient.trouble if patient.latch.on else "ok")
        return found

    @property
    def settled(self) -> bool:
        return all(patient.latch.settled for patient in self.patients.values())
