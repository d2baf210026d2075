"""Who waited and ran when, and what ran where, as charts of one letter a step."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from aiosd.resources.grant import Grant
from aiosd.resources.inventory import Inventory

Part = tuple[str, int]  # "cpu", 3


@dataclass
class _Stretch:
    """What one job had from one moment to another; `frozen`: it kept it and did nothing."""

    name: str
    parts: tuple[Part, ...]
    from_s: float
    until_s: float = float("inf")
    frozen: bool = False


@dataclass
class Chart:
    inventory: Inventory
    stretches: list[_Stretch] = field(default_factory=list)
    waiting_since_s: dict[str, float] = field(default_factory=dict)
    waited: list[tuple[str, float, float]] = field(default_factory=list)
    last_s: float = 0.0

    def waits(self, name: str, at_s: float) -> None:
        self.waiting_since_s.setdefault(name, at_s)

    def begins(self, name: str, grant: Grant, at_s: float) -> None:
        since_s = self.waiting_since_s.pop(name, at_s)
        self.waited.append((name, since_s, at_s))
        parts = (*(("cpu", cpu.cpu) for cpu in grant.cpus), *((part.kind, part.index) for part in grant.devices))
        self.stretches.append(_Stretch(name, parts, at_s))

    def pauses(self, name: str, at_s: float) -> None:
        self._follow(name, at_s, frozen=True)

    def goes_on(self, name: str, at_s: float) -> None:
        self._follow(name, at_s, frozen=False)

    def _follow(self, name: str, at_s: float, *, frozen: bool) -> None:
        now = self._current(name)
        now.until_s = at_s
        self.stretches.append(_Stretch(name, now.parts, at_s, frozen=frozen))

    def paused(self, name: str) -> bool:
        return any(s.name == name and s.until_s == float("inf") and s.frozen for s in self.stretches)

    def ends(self, name: str, at_s: float) -> None:
        self._current(name).until_s = at_s
        self.last_s = max(self.last_s, at_s)

    def _current(self, name: str) -> _Stretch:
        return next(s for s in reversed(self.stretches) if s.name == name and s.until_s == float("inf"))

    def lines(self, step_s: float) -> Iterator[str]:
        """By job (`-` waits, `#` runs, `z` is frozen), then by processor and device; a column is `step_s`."""
        steps = max(1, round(self.last_s / step_s))
        times = [n * step_s for n in range(steps)]
        width = max(6, *(len(s.name) for s in self.stretches))
        ruler = "".join(f"{n * step_s:g}s".ljust(10) for n in range(0, steps, 10))
        yield f"{'':{width}} {ruler}".rstrip()
        for name in dict.fromkeys(s.name for s in sorted(self.stretches, key=lambda s: (s.from_s, s.name))):
            yield f"{name:{width}} {''.join(self._of_job(name, at) for at in times)}".rstrip()
        yield ""
        for part in self._parts():
            for label, row in self._of_part(part, times):
                yield f"{label:{width}} {row}"

    def _of_job(self, name: str, at_s: float) -> str:
        for stretch in self.stretches:
            if stretch.name == name and stretch.from_s <= at_s < stretch.until_s:
                return "z" if stretch.frozen else "#"
        return "-" if any(who == name and since_s <= at_s < until_s for who, since_s, until_s in self.waited) else " "

    def _parts(self) -> list[Part]:
        return [*(("cpu", cpu.id) for cpu in self.inventory.cpus), *((device.kind, device.index) for device in self.inventory.devices)]

    def _of_part(self, part: Part, times: list[float]) -> Iterator[tuple[str, str]]:
        """A line for each of those who share it at most; whoever has a part stays on its line."""
        lines: list[list[_Stretch]] = [[]]
        for stretch in sorted(self.stretches, key=lambda s: s.from_s):
            if part in stretch.parts and not stretch.frozen:
                room = next((line for line in lines if not line or line[-1].until_s <= stretch.from_s), None)
                if room is None:
                    lines.append(room := [])
                room.append(stretch)
        for number, line in enumerate(lines):
            row = "".join(next((s.name[0] for s in line if s.from_s <= at < s.until_s), ".") for at in times)
            yield (f"{part[0]} {part[1]}" if number == 0 else ""), row
