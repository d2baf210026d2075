"""Records what NVML answers on this machine, so that a test can play it elsewhere.

    python -m tests.fakes.record_nvml --looks 5 --every 1 > tests/fakes/recordings/NAME.json

A recording is JSON: `about`, `driver`, and `frames`, each with the `cards` at one moment. A card has uuid, name, memory_bytes,
minor, bus; `compute` and `graphics`: [pid, bytes or null] of each process; `utilisation` in percent, `samples`: [pid, percent,
microseconds], `ecc_errors`, each null where the card does not tell; `xids` that were reported since the frame before;
`errors`: the number of NVML's error by question; `mig`: null, or its instances, with null for an empty slot.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

_NOT_SUPPORTED, _NOT_FOUND = 3, 6


class Recorder:
    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._events = nvml.nvmlEventSetCreate()
        self._xids: dict[str, list[int]] = {}
        self._before: dict[int, dict[str, object]] = {}

    def frame(self) -> dict[str, object]:
        self._collect_xids()
        return {"cards": [self._at(at) for at in range(self._nvml.nvmlDeviceGetCount())]}

    def _at(self, number: int) -> dict[str, object]:
        """A card that cannot even be opened is known by what it said before."""
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(number)
        except self._nvml.NVMLError as error:
            return self._before.get(number, {"uuid": "", "name": "", "memory_bytes": 0}) | {"errors": {"handle": error.value}}
        self._before[number] = self._card(handle)
        return self._before[number]

    def register(self) -> None:
        for at in range(self._nvml.nvmlDeviceGetCount()):
            self._nvml.nvmlDeviceRegisterEvents(self._nvml.nvmlDeviceGetHandleByIndex(at), 8, self._events)

    def _collect_xids(self) -> None:
        self._xids.clear()
        while True:
            try:
                event = self._nvml.nvmlEventSetWait_v2(self._events, 0)
            except self._nvml.NVMLError:
                return
            self._xids.setdefault(_text(self._nvml.nvmlDeviceGetUUID(event.device)), []).append(int(event.eventData))

    def _card(self, handle: Any, *, part: bool = False) -> dict[str, object]:
        nvml, errors = self._nvml, {}

        def ask(question: str, call: Callable[[], Any], default: Any = None) -> Any:
            try:
                return call()
            except nvml.NVMLError as error:
                if error.value not in (_NOT_SUPPORTED, _NOT_FOUND):
                    errors[question] = error.value
                return default

        uuid = ask("uuid", lambda: _text(nvml.nvmlDeviceGetUUID(handle)), "")
        card = {
            "uuid": uuid,
            "name": ask("name", lambda: _text(nvml.nvmlDeviceGetName(handle)), ""),
            "memory_bytes": ask("memory", lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total), 0),
            "minor": ask("minor", lambda: nvml.nvmlDeviceGetMinorNumber(handle), -1),
            "bus": ask("pci", lambda: _text(nvml.nvmlDeviceGetPciInfo(handle).busId), ""),
            "compute": ask("processes", lambda: _processes(nvml.nvmlDeviceGetComputeRunningProcesses(handle)), []),
            "graphics": ask("processes", lambda: _processes(nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)), []),
            "utilisation": ask("utilisation", lambda: int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)),
            "samples": ask("samples", lambda: self._samples(handle)),
            "ecc_errors": ask("ecc", lambda: int(nvml.nvmlDeviceGetTotalEccErrors(handle, 1, 0))),
            "xids": self._xids.get(uuid, []),
            "mig": None if part else ask("mig", lambda: self._parts(handle)),
        }
        if part:
            card |= {
                "gi": ask("gi", lambda: nvml.nvmlDeviceGetGpuInstanceId(handle), -1),
                "ci": ask("ci", lambda: nvml.nvmlDeviceGetComputeInstanceId(handle), -1),
            }
        return card | {"errors": errors}

    def _samples(self, handle: Any) -> list[tuple[int, int, int]]:
        try:
            return [(s.pid, s.smUtil, s.timeStamp) for s in self._nvml.nvmlDeviceGetProcessUtilization(handle, 0)]
        except self._nvml.NVMLError as error:
            if error.value == _NOT_FOUND:  # there is none
                return []
            raise

    def _parts(self, handle: Any) -> list[dict[str, object] | None] | None:
        if self._nvml.nvmlDeviceGetMigMode(handle)[0] != 1:
            return None
        found: list[dict[str, object] | None] = []
        for slot in range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            try:
                found.append(self._card(self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, slot), part=True))
            except self._nvml.NVMLError:
                found.append(None)
        return found


def _processes(found: Any) -> list[tuple[int, int | None]]:
    return [(process.pid, process.usedGpuMemory) for process in found]


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def record(nvml: Any, looks: int, every_s: float, about: str, between: Callable[[float], None] = time.sleep) -> dict[str, object]:
    """So many frames, and so much time between two."""
    nvml.nvmlInit()
    recorder = Recorder(nvml)
    recorder.register()
    frames = []
    for at in range(looks):
        if at:
            between(every_s)
        frames.append(recorder.frame())
    nvml.nvmlShutdown()
    return {"about": about, "frames": frames}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--looks", type=int, default=5)
    parser.add_argument("--every", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--about", default="", help="what went on")
    given = parser.parse_args()
    import pynvml

    json.dump(record(pynvml, given.looks, given.every, given.about), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
